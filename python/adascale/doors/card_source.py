"""What a model card takes over from the one of the model that it tells of: C++'s ``CardSource``."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import first_line
from ..formats.hf_saved import licences_in

# The rest tells of other weights (its results), or of how the hub shows them.
_KEPT = ("license", "license_name", "license_link", "language", "pipeline_tag", "datasets")
# Of a card that a quantizer wrote. Of any other they name what the original was made from.
_LINEAGE = ("base_model", "base_model_relation")
_ID = r"[\w.-]+(?:/[\w.-]+)?"  # the hub's oldest names have no owner: gpt2
_IN_CACHE = re.compile(r"/models--([^/]+)/snapshots(?:/|$)")


@dataclass(frozen=True)
class CardSource:
    """The hub's front matter for the quantized model's card; ``model`` and ``license``: empty if unknown.

    license_files: names of the original's that the formats put beside the card.
    """

    front_matter: str = "tags:\n- adascale\n"
    model: str = ""
    license: str = ""
    license_files: list[str] = field(default_factory=list)


def folder_of(origin: str) -> str:
    """Where the files of a model lie: the folder itself, or that of a name in the hub's cache; else nothing.

    Without network. A relative path that is gone looks like a name, too: the cache does not know it.
    """
    from huggingface_hub import try_to_load_from_cache

    if not origin or Path(origin).is_dir():
        return origin
    found = try_to_load_from_cache(origin, "config.json") if re.fullmatch(_ID, origin) else None
    return str(Path(found).parent) if isinstance(found, str) else ""


def card_source(origin: str) -> tuple[CardSource, list[str]]:
    """With notes for the user; without network.

    origin: the folder of a model, its name on the hub, or nothing.
    """
    from huggingface_hub import metadata_load
    from huggingface_hub.utils import yaml_dump

    folder, notes, licence = folder_of(origin), list[str](), ""
    card = Path(folder, "README.md")
    new: dict[str, Any] = {}
    tags: list[str] = []
    try:
        old = (metadata_load(card) if folder and card.is_file() else None) or {}
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
    model = _name_on_the_hub(origin, folder)
    if model:
        new |= {"base_model": model, "base_model_relation": "quantized"}
    new["library_name"] = "transformers"
    new["tags"] = [*dict.fromkeys([*tags, "adascale"])]
    return CardSource(yaml_dump(new, sort_keys=False), model, licence, licences_in(folder)), notes


def _name_on_the_hub(origin: str, folder: str) -> str:
    if origin != folder:
        return origin if folder else ""
    found = _IN_CACHE.search(str(Path(folder).absolute())) if folder else None
    name = found[1].replace("--", "/") if found else ""
    return name if re.fullmatch(_ID, name) else ""


def _language(value: Any) -> str:
    """YAML reads Norwegian's code as false."""
    return "no" if value is False else str(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
