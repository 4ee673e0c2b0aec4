"""Reads a model folder by transformers: config, tokenizer and weights, each failure in one line."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import Error, first_line
from ..packages import how_to_install, missing
from ..transformers_output import quiet_unpacking
from .joined_weights import joined_weights_in_a_file


@dataclass(frozen=True)
class Source:
    """A model folder; ``gguf``: the file in it that holds the model."""

    folder: str
    gguf: str | None

    @property
    def options(self) -> dict[str, Any]:
        """Options of every ``from_pretrained``: no network, and no code from the folder."""
        gguf = {"gguf_file": self.gguf} if self.gguf else {}
        return {"local_files_only": True, "trust_remote_code": False, **gguf}


def find_source(model: str) -> Source:
    """Errors: no config, no weights in a readable form (safetensors, one GGUF), no such file."""
    path = Path(model)
    if not path.exists():
        raise Error(f"{model}: there is no such file or folder")
    if path.is_file():
        return Source(str(path.parent), path.name)
    names = sorted(entry.name for entry in path.iterdir())
    gguf = [name for name in names if name.endswith(".gguf")]
    if any(name.endswith(".safetensors") for name in names):
        if "config.json" not in names:
            raise Error(f"{model}: no config.json, so no transformers model folder")
        return Source(model, None)
    if len(gguf) == 1:
        return Source(model, gguf[0])
    if gguf:
        raise Error(f"{model}: holds {len(gguf)} .gguf files ({', '.join(gguf)}); give the path of one")
    if any(name.endswith(".onnx") for name in names):
        raise Error(f"{model}: holds ONNX, which is not opened; give the PyTorch model it was made from")
    pickled = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    if pickled:
        raise Error(
            f"{model}: its weights are pickled ({pickled[0]}), which is never loaded; save them as "
            "safetensors with save_pretrained"
        )
    raise Error(f"{model}: no weights in it, expected .safetensors or a .gguf beside config.json")


def need_packages(*packages: str) -> None:
    lacks = missing(packages)
    if lacks:
        raise Error(f"model folders need the packages {', '.join(packages)}; {how_to_install(lacks)}")


def load_tokenizer(source: Source) -> Any:
    """Errors: no tokenizer, or none that transformers can load."""
    from transformers import AutoTokenizer

    known = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    if source.gguf is None and not any((Path(source.folder) / name).exists() for name in known):
        raise Error(
            f"{source.folder}: no tokenizer in it (such as tokenizer.json), which text data needs; save one "
            "there with save_pretrained, or give a .safetensors of token ids"
        )
    try:
        return AutoTokenizer.from_pretrained(source.folder, **source.options)
    except Exception as error:  # boundary: transformers raises many kinds
        raise Error(f"{source.folder}: its tokenizer cannot be loaded: {first_line(error)}") from error


def load_processor(source: Source) -> Any:
    """Errors: no processor of images, or none that transformers can load."""
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(source.folder, **source.options)
    except Exception as error:  # boundary: as above; it may lack a package
        raise Error(
            f"{source.folder}: its processor, which data with images needs, cannot be loaded: "
            f"{first_line(error)}"
        ) from error
    if getattr(processor, "image_processor", None) is None:
        raise Error(f"{source.folder}: has no processor of images, which data with images needs")
    return processor


def load_config(source: Source) -> Any:
    from transformers import AutoConfig

    _check_model_type(source)
    try:
        return AutoConfig.from_pretrained(source.folder, **source.options)
    except Exception as error:  # boundary: as above
        raise Error(f"{source.folder}: its config cannot be loaded: {first_line(error)}") from error


def _check_model_type(source: Source) -> None:
    """Raises an error of our own for what transformers lacks: its text offers to run the folder's code."""
    import transformers

    path = Path(source.folder) / "config.json"
    if source.gguf is not None or not path.exists():
        return
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):
        return  # transformers says what is wrong with it
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind in transformers.CONFIG_MAPPING:
        return
    lacks = f"transformers {transformers.__version__} has no model type '{kind}'"
    if config.get("auto_map"):
        raise Error(
            f"{source.folder}: {lacks}, and the folder's own code is never run; load it yourself and call "
            "adascale.quantize on the module"
        )
    raise Error(
        f"{source.folder}: {lacks}; install a version that has it, or load the model yourself and call "
        "adascale.quantize on the module"
    )


def check_config(source: Source, config: Any) -> None:
    if getattr(config, "quantization_config", None) is not None:
        raise Error(
            f"{source.folder}: is quantized already (config.json has a quantization_config); give the "
            "model it was made from"
        )


def model_class(source: Source, config: Any) -> Any:
    import transformers

    if source.gguf is not None:
        return transformers.AutoModelForCausalLM
    names = config.architectures or []
    if len(names) != 1:
        raise Error(f"{source.folder}: config.json names {len(names)} architectures, expected one class name")
    found = getattr(transformers, names[0], None)
    if found is None:
        raise Error(
            f"{source.folder}: transformers {transformers.__version__} has no {names[0]}, and no code of the "
            "folder's is run; load it yourself and call adascale.quantize on the module"
        )
    return found


def _check_weight_files(source: Source) -> None:
    """Raises an error that names the file where one of the folder's is no whole ``.safetensors``."""
    from safetensors import SafetensorError, safe_open

    for path in [] if source.gguf else sorted(Path(source.folder).glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise Error(
                f"{path}: is damaged or cut off: {first_line(error)}; download or copy it again"
            ) from error


def _options_of(source: Source) -> dict[str, Any]:
    if source.gguf is None:
        # Other shapes pass here and are named by load_model; transformers would only print them.
        return {"use_safetensors": True, "ignore_mismatched_sizes": True}
    import transformers

    # A version that has this may leave weights packed, and saves no model that it has not unpacked itself.
    config = getattr(transformers, "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def load_model(source: Source, kind: Any) -> Any:
    where = source.gguf or source.folder
    try:
        with joined_weights_in_a_file(), quiet_unpacking():
            model, info = kind.from_pretrained(
                source.folder,
                dtype="auto",
                output_loading_info=True,
                **_options_of(source),
                **source.options,
            )
    except Error:
        raise
    except Exception as error:  # boundary: as above
        _check_weight_files(source)
        raise Error(
            f"{where}: transformers {version('transformers')} cannot load it: {first_line(error)}; see that "
            f"{kind.__name__}.from_pretrained loads it, with another version of transformers if need be"
        ) from error
    absent = sorted(info["missing_keys"]) + sorted(str(key[0]) for key in info["mismatched_keys"])
    if absent:
        shown = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        raise Error(f"{where}: {kind.__name__} lacks weights there, or they have other shapes: {shown}")
    return model
