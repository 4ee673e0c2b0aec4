"""AIMET, importable beside a CPU build of torch."""

from __future__ import annotations

import torchvision_schemas  # noqa: F401  isort: skip  before what imports torchvision
from aimet_torch import QuantizationSimModel
from aimet_torch.adaround.adaround_weight import Adaround, AdaroundParameters
from aimet_torch.adascale import adascale_optimizer
from aimet_torch.quantization.affine import QuantizeDequantize
from aimet_torch.utils import remove_activation_quantizers

__all__ = [
    "Adaround",
    "AdaroundParameters",
    "QuantizationSimModel",
    "QuantizeDequantize",
    "adascale_optimizer",
    "remove_activation_quantizers",
]
