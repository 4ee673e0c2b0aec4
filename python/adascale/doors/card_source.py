"""What a model card takes over from the one of the model that it tells of: C++'s ``CardSource``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import first_line

# The rest tells of other weights (its results), or of how the hub shows them.
_KEPT = ("license", "license_name", "license_link", "language", "pipeline_tag", "datasets")
# Of a card that a quantizer wrote. Of any other they name what the original was made from.
_LINEAGE = ("base_model", "base_model_relation")
_ID = r"[\w.-]+/[\w.-]+"
_IN_CACHE = re.compile(r"models--([^/]+)--([^/]+)/snapshots(?:/|$)")


@dataclass(frozen=True)
class CardSource:
    """The hub's front matter for the quantized model's card; ``model`` and ``license``: empty if unknown."""

    front_matter: str = "tags:\n- adascale\n"
    model: str = ""
    license: str = ""


def card_source(origin: str) -> tuple[CardSource, list[str]]:
    """With notes for the user; without network.

    origin: the folder of a model, its name on the hub, or nothing.
    """
    from huggingface_hub import metadata_load
    from huggingface_hub.utils import yaml_dump

    card, notes, licence = _card_of(origin), list[str](), ""
    new: dict[str, Any] = {}
    tags: list[str] = []
    try:
        old = (metadata_load(card) if card else None) or {}
        kept = (*_KEPT, *_LINEAGE) if old.get("base_model_relation") == "quantized" else _KEPT
        new = {key: old[key] for key in kept if key in old}
        if "language" in new:
            new["language"] = [_language(one) for one in _list(new["language"])]
        tags = [str(tag) for tag in _list(old.get("tags"))]
        licence = ", ".join(str(one) for one in _list(old.get("license_name") or old.get("license")))
    except Exception as error:  # boundary: whatever a YAML parser finds wrong
        notes.append(
            "the model card keeps no licence and no tags: the original's README.md cannot be read: "
            f"{first_line(error)}"
        )
    model = _name_on_the_hub(origin)
    if model:
        new |= {"base_model": model, "base_model_relation": "quantized"}
    new["library_name"] = "transformers"
    new["tags"] = [*dict.fromkeys([*tags, "adascale"])]
    return CardSource(yaml_dump(new, sort_keys=False), model, licence), notes


def _card_of(origin: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    if origin and Path(origin).is_dir():
        card = Path(origin, "README.md")
        return card if card.is_file() else None
    found = try_to_load_from_cache(origin, "README.md") if re.fullmatch(_ID, origin) else None
    return Path(found) if isinstance(found, str) else None


def _name_on_the_hub(origin: str) -> str:
    """Only of what lies in the hub's cache: a relative path that is gone looks like a name too."""
    from huggingface_hub import try_to_load_from_cache

    if origin and Path(origin).is_dir():
        found = _IN_CACHE.search(str(Path(origin).absolute()))
        name = f"{found[1]}/{found[2]}" if found else ""
        return name if re.fullmatch(_ID, name) else ""
    if not re.fullmatch(_ID, origin):
        return ""
    return origin if isinstance(try_to_load_from_cache(origin, "config.json"), str) else ""


def _language(value: Any) -> str:
    """YAML reads Norwegian's code as false."""
    return "no" if value is False else str(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
