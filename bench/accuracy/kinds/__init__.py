"""A kind of model is a file here and a row. It imports torch alone: every method's environment has that."""

from __future__ import annotations

from .classifier import CLASSIFIER
from .decoder import DECODER
from .encoder import ENCODER
from .kind import Kind, Score

KINDS: dict[str, Kind] = {"decoder": DECODER, "encoder": ENCODER, "classifier": CLASSIFIER}

__all__ = ["KINDS", "Kind", "Score"]
