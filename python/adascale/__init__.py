"""Post-training quantization with learned rounding: AdaScale on any model that ``torch.export`` accepts."""

import logging
from importlib.metadata import version
from pathlib import Path

from . import command_start  # noqa: F401  before torch, which takes seconds, and whose OpenMP reads its environment once

# isort: split
import torch  # noqa: F401  loads the libraries that the extension links

from . import torch_minor  # noqa: F401  raises beside another torch, where _C would end in an undefined symbol

# isort: split
from . import _C
from ._C import AdaScaleReport
from .apply import apply_adascale, default_forward_fn
from .errors import Error
from .formats import python_formats
from .options import QuantScheme
from .processes import together
from .quantize import quantize
from .sim import QuantizationSimModel

__all__ = [
    "AdaScaleReport",
    "Error",
    "QuantScheme",
    "QuantizationSimModel",
    "__version__",
    "apply_adascale",
    "cmake_prefix_path",
    "default_forward_fn",
    "quantize",
    "together",
]

__version__: str = version("adascale")

cmake_prefix_path: str = str(Path(__file__).parent)
"""What CMake needs to find the C++ library: ``-DCMAKE_PREFIX_PATH=$(python -c "import adascale; ...")``."""

_C.add_formats(python_formats())
_C.log_to(logging.getLogger("adascale").warning)
