"""A kind of model is a file here and a row. It imports torch alone: every method's environment has that."""

from __future__ import annotations

from .classifier import CLASSIFIER
from .decoder import DECODER
from .digits import DIGITS_CLASSIFIER
from .encoder import ENCODER
from .kind import Kind, Score

KINDS: dict[str, Kind] = {
    "decoder": DECODER,
    "encoder": ENCODER,
    "classifier": CLASSIFIER,
    "digits": DIGITS_CLASSIFIER,
}

__all__ = ["KINDS", "Kind", "Score"]
