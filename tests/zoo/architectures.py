"""The architectures of the zoo, one row each. Their modules are in tests/tune, where blocks are tested."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from make_zoo import SLOW, make_plain, make_transformers
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from zoo_plain import PLAIN

VOCABULARY = 128
SPECIAL_TOKENS = 3  # the first few ids: padding, begin, end


@dataclass(frozen=True)
class Architecture:
    """`name`: as in PLAIN or TRANSFORMERS. `title`: as people call it."""

    name: str
    title: str

    @property
    def is_plain(self) -> bool:
        return self.name in PLAIN

    @property
    def is_slow(self) -> bool:
        return self.name in SLOW


ARCHITECTURES = [
    Architecture("llama", "Llama"),
    Architecture("mistral", "Mistral, sliding window"),
    Architecture("phi3", "Phi-3"),
    Architecture("qwen2", "Qwen2"),
    Architecture("qwen3", "Qwen3"),
    Architecture("qwen3moe", "Qwen3-MoE"),
    Architecture("gemma3", "Gemma 3"),
    Architecture("gpt2", "GPT-2"),
    Architecture("opt", "OPT"),
    Architecture("bert", "BERT"),
    Architecture("t5", "T5"),
    Architecture("whisper", "Whisper"),
    Architecture("vit", "ViT"),
    Architecture("swin", "Swin"),
    Architecture("clip", "CLIP"),
    Architecture("mobilenet", "MobileNetV2"),
    Architecture("efficientnet", "EfficientNet"),
    Architecture("efficientnet_tv", "MBConv stages in Sequentials"),
    Architecture("resnet_bottleneck", "ResNet, bottlenecks"),
    Architecture("densenet_4blocks", "DenseNet"),
    Architecture("plain_cnn", "plain CNN"),
    Architecture("unet", "U-Net, ConvTranspose"),
    Architecture("unet_updown", "U-Net, Up and Down modules"),
    Architecture("diffusion", "diffusion U-Net, time and context"),
    Architecture("lstm", "LSTM language model"),
    Architecture("crnn", "CRNN: Conv1d, bidirectional GRU"),
    Architecture("tcn_weightnorm", "TCN, weight norm"),
    Architecture("mlp_mixer", "MLP-Mixer"),
    Architecture("moe_modulelist", "mixture of experts in a ModuleList"),
    Architecture("siamese_deep", "siamese: one encoder called twice"),
    Architecture("trunk_two_heads", "trunk with two heads"),
    Architecture("hetero_chain", "chain of unlike blocks"),
    Architecture("seed_toy", "AIMET's example model"),
    Architecture("functional_root", "parameters and matmuls, no submodule"),
]


class Subject:
    """One architecture with random weights, and any amount of data."""

    def __init__(self, architecture: Architecture) -> None:
        torch.manual_seed(0)
        make = make_plain if architecture.is_plain else make_transformers
        self.model, self._args, self._kwargs = make(architecture.name)
        self.example = self.batch(2)
        self._settle_batch_norms()
        self.model.eval()

    def batch(self, samples: int, stretch: float = 1.0) -> Any:
        """New random inputs; `stretch` multiplies the length of token sequences."""

        def like(x: Tensor) -> Tensor:
            shape = (samples, *x.shape[1:])
            if x.dtype != torch.long:
                return torch.randn(shape)
            return _tokens(samples, round(x.shape[1] * stretch), is_mask=bool((x == 1).all()))

        return pytree.tree_map_only(Tensor, like, self._kwargs or self._args)

    def run(self, model: nn.Module, batch: Any) -> Any:
        """The outputs of `model`, ours or PyTorch's."""
        with torch.no_grad():
            return model(**batch) if self._kwargs else model(*batch)

    def _settle_batch_norms(self) -> None:
        """Statistics like those after training. transformers starts EfficientNet's scales at 0.02:
        activations fade to 0, a residual block's loss is its input's."""
        norms = [m for m in self.model.modules() if isinstance(m, nn.BatchNorm2d)]
        if not norms:
            return
        for norm in norms:
            nn.init.ones_(norm.weight)
            norm.reset_running_stats()
            norm.momentum = None  # averages over all batches seen
        self.model.train()
        for _ in range(4):
            self.run(self.model, self.batch(16))


def _tokens(samples: int, length: int, is_mask: bool) -> Tensor:
    if not is_mask:
        return torch.randint(SPECIAL_TOKENS, VOCABULARY, (samples, length))
    lengths = torch.randint(length // 2, length + 1, (samples, 1))  # padded on the right, each differently
    return (torch.arange(length)[None] < lengths).long()


@contextmanager
def put_back(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Yields the model's present tensors and restores them afterwards."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        yield before
    finally:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                tensor.copy_(before[name])
