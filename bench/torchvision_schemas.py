"""Import before torchvision. PyPI's is linked against CUDA: beside a CPU torch its operators are missing when
it registers fakes for them. Their schemas alone let it import; nothing here calls them."""

from __future__ import annotations

import torch

schemas = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    schemas.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
