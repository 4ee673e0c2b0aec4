"""Facts about a transformers model: the text it takes, its inputs, its experts."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .._C import option
from ..errors import Error
from .rows import TextModel


def is_transformers(model: nn.Module) -> bool:
    """Whether it is a transformers model, without importing transformers, which takes seconds."""
    transformers = sys.modules.get("transformers")
    return transformers is not None and isinstance(model, transformers.PreTrainedModel)


def text_model(config: Any, tokenizer: Any, architectures: list[str]) -> TextModel:
    """``architectures``: class names of the model. Errors: encoder-decoders, which need two texts."""
    if getattr(config, "is_encoder_decoder", False):
        raise Error(
            f"{config.model_type}: an encoder-decoder takes no plain text; give a .safetensors with "
            "input_ids and decoder_input_ids"
        )
    from transformers.models.auto import modeling_auto

    text = config.get_text_config()
    # A vision-language model is a causal one with more inputs.
    names: list[str] = []
    for table in ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"):
        causal = getattr(modeling_auto, table, {}).get(config.model_type, ())
        names += [causal] if isinstance(causal, str) else causal
    longest = getattr(text, "max_position_embeddings", None)
    return TextModel(
        tokenizer=tokenizer,
        is_causal=any(name in (*names, "AutoModelForCausalLM") for name in architectures),
        vocabulary=getattr(text, "vocab_size", None),
        longest=longest if isinstance(longest, int) and longest > 0 else None,
    )


def check_inputs(model: nn.Module, batch: Any, where: str) -> None:
    """transformers' forward accepts any name; an unknown one would silently have no effect."""
    if not isinstance(batch, dict):
        return
    known = [
        p.name for p in inspect.signature(model.forward).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    unknown = [name for name in batch if name not in known]
    if unknown:
        names = ", ".join(map(repr, unknown))
        raise Error(
            f"{where}: {names}: none of {type(model).__name__}'s inputs ({', '.join(known)}); name tensors "
            "as its forward does"
        )


def example_of(model: Any) -> dict[str, Tensor]:
    """An input made only from the config, to inspect a model without data. Errors: unknown inputs."""
    config = model.config
    if model.main_input_name == "input_ids" and not getattr(config, "is_encoder_decoder", False):
        vocabulary = config.get_text_config().vocab_size
        return {"input_ids": torch.randint(vocabulary, (2, 16))}
    size, channels = getattr(config, "image_size", None), getattr(config, "num_channels", 3)
    if model.main_input_name == "pixel_values" and isinstance(size, int):
        return {"pixel_values": torch.zeros(2, channels, size, size, dtype=model.dtype)}
    raise Error(
        f"{type(model).__name__}: its inputs ({model.main_input_name} first) cannot be guessed; give "
        f"{option('data')} with a .safetensors of them"
    )


@contextmanager
def grouped_experts(model: Any) -> Iterator[None]:
    """Mixtures of experts as one product of groups of tokens: torch.export refuses the loop over experts.

    ``batched_mm``, the other way that it takes, copies an expert's weight for every token it gets.
    """
    if not is_transformers(model):
        yield
        return
    from transformers.integrations import moe

    can_use = getattr(moe, "_can_use_grouped_mm", None)  # some versions have no choice of operators

    def fits(x: Tensor, weight: Tensor, offs: Tensor) -> bool:
        """torch's own operator wants rows of whole 16 bytes; transformers' fallback takes any."""
        return can_use(x, weight, offs) and all(
            n * weight.element_size() % 16 == 0 for n in weight.shape[-2:]
        )

    configs = [module.config for module in model.modules() if is_transformers(module)]
    before = [getattr(config, "_experts_implementation_internal", None) for config in configs]
    try:
        # A model without experts ignores it; set_experts_implementation() would refuse that model.
        for config in configs:
            config._experts_implementation_internal = "grouped_mm"
        if can_use is not None:
            moe._can_use_grouped_mm = fits
        yield
    finally:
        if can_use is not None:
            moe._can_use_grouped_mm = can_use
        for config, name in zip(configs, before, strict=True):
            config._experts_implementation_internal = name
