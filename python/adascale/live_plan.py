"""The trained parts of a live model and their options, decided before the first block is trained."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from . import _C
from .errors import Error
from .live_blocks import LiveBlock

# C++'s message for training without data; the rest of its text is about the options.
_NO_BATCH = "apply_adascale: the data gave no batch; a generator can be read only once"


class LivePlan:
    """The blocks to train and their options; ``idle``: a line on each block left unchanged.

    reaching: the number of batches that reach a block in the FP model, by its path.
    Raises :class:`adascale.Error` for options that a block would refuse when its turn came.
    """

    def __init__(
        self, blocks: Sequence[LiveBlock], reaching: Mapping[str, int], keywords: dict[str, Any]
    ) -> None:
        self.options: dict[str, dict[str, Any]] = {}  # by path
        self.idle: list[str] = []
        names = _chosen(blocks, keywords.get("blocks"))
        for index, block in enumerate(blocks):
            own = keywords | {"blocks": [block.path], "seed": keywords.get("seed", 0) + index}
            reason = _reason_idle(block, names, reaching, own)
            if reason:
                self.idle.append(f"{block.path}: {reason}")
                continue
            _check_held_out(block, reaching[block.path], own)
            self.options[block.path] = own
        self._settle_options([block for block in blocks if block.path in self.options])

    def _settle_options(self, blocks: list[LiveBlock]) -> None:
        """Raises for options that no block takes; requests bfloat16 only of the blocks that take it."""
        refused: list[str] = []
        for block in blocks:
            own = self.options[block.path]
            objections = _objections(block, own)
            if not objections:
                continue
            self.options[block.path] = own | {"precision": "auto"}
            if own.get("precision") != "bfloat16" or _objections(block, self.options[block.path]):
                raise Error(objections)
            refused.append(objections)
        if refused and len(refused) == len(blocks):
            raise Error(refused[0])


def _reason_idle(
    block: LiveBlock, names: set[str], reaching: Mapping[str, int], keywords: dict[str, Any]
) -> str:
    if block.path not in names:
        return "not among the blocks named, round-to-nearest"
    if not reaching.get(block.path):
        return "no batch reaches it, round-to-nearest"
    bare = {name: keywords[name] for name in ("blocks", "recipe") if name in keywords}
    if not _C.count_trainable(block.core) and _objections(block, bare):  # a recipe may train nothing
        return "none of its layers has 2 to 8 bits to train"
    return ""


def _check_held_out(block: LiveBlock, count: int, keywords: dict[str, Any]) -> None:
    held_out = keywords.get("held_out_batches", 0)
    if held_out >= count:
        raise Error(
            f"{block.path}: held_out_batches: got {held_out} of the {count} batches that reach it, "
            f"expected 0 to {count - 1}"
        )


def _objections(block: LiveBlock, keywords: dict[str, Any]) -> str:
    """The block's objections to its options, read from its refusal to train without a batch."""
    try:
        block.core.apply_adascale_to_part([], [], keywords | {"held_out_batches": 0}, None)
    except Error as error:
        if _NO_BATCH not in str(error):
            raise
        return str(error).replace(_NO_BATCH, "").removeprefix("; ").removesuffix("; ").replace("; ; ", "; ")
    raise AssertionError(f"{block.path}: trained on no batch")


def _chosen(blocks: Sequence[LiveBlock], patterns: Sequence[str] | None) -> set[str]:
    if not patterns:
        return {block.path for block in blocks}
    for pattern in patterns:
        if not any(fnmatchcase(block.path, pattern) for block in blocks):
            raise Error(
                f"blocks: '{pattern}' matches none of the blocks captured: "
                f"{', '.join(block.path for block in blocks)}"
            )
    return {b.path for b in blocks if any(fnmatchcase(b.path, pattern) for pattern in patterns)}
