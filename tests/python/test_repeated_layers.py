"""A deep model is captured by a few of its layers; the graph must be the one that torch.export gives."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from adascale.capture import Capture, capture
from torch import Tensor, nn

from adascale import capture as capture_module

VALUES = ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values")


def comparable(captured: Capture) -> Any:
    """The graph with its values counted where they first appear."""
    module = json.loads(captured.graph)["graph_module"]
    names: dict[str, str] = {}

    def counted(tree: Any) -> Any:
        if isinstance(tree, list):
            return [counted(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
        return {
            key: names.setdefault(value, f"value {len(names)}")
            if key in ("name", "as_name") and isinstance(value, str)
            else counted(value)
            for key, value in tree.items()
        }

    graph, signature = module["graph"], module["signature"]
    nodes = [counted(graph["inputs"])]
    for node in graph["nodes"]:
        inputs = [(given["name"], counted(given["arg"])) for given in node["inputs"]]
        places = {key: value for key, value in node["metadata"].items() if key != "torch_fn"}
        nodes.append((node["target"], inputs, counted(node["outputs"]), places))
    values = [{counted({"name": k})["name"]: v for k, v in graph[table].items()} for table in VALUES]
    calls = [call["fqn"] for call in module["module_call_graph"]]
    return nodes, counted(graph["outputs"]), counted(signature), values, calls


def exports(model: nn.Module, example: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Capture, list[int]]:
    """The capture, and the depth of the model in each call of torch.export."""
    depths: list[int] = []
    export = torch.export.export

    def counting(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        depths.append(max(len(each) for each in module.modules() if type(each) is nn.ModuleList))
        return export(module, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch.export, "export", counting)
        return capture(model, example), depths


def whole(model: nn.Module, example: Any, monkeypatch: pytest.MonkeyPatch) -> Capture:
    with monkeypatch.context() as patch:
        patch.setattr(capture_module, "find_stacks", lambda *_: [])
        return capture(model, example)


class Layer(nn.Module):
    def __init__(self, index: int, width: int = 8) -> None:
        super().__init__()
        self.layer_idx = index
        self.up, self.down = nn.Linear(8, width), nn.Linear(width, 8, bias=False)
        self.register_buffer("gain", torch.rand(8), persistent=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + self.down(torch.relu(self.up(x * self.gain))) * mask


class Model(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.embed, self.layers, self.head = nn.Linear(4, 8), nn.ModuleList(layers), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, mask = self.embed(x), x.sum(-1, keepdim=True) > 0
        for layer in self.layers:
            h = layer(h, mask)
        return self.head(h)


EXAMPLE = torch.rand(3, 5, 4)


def two_widths() -> Model:
    return Model([Layer(i, 16 if i % 3 == 2 else 8) for i in range(12)])


@pytest.mark.parametrize(
    ("model", "depths"),
    [
        (lambda: Model([Layer(i) for i in range(9)]), [3]),
        (two_widths, [4]),
        (lambda: Model([Layer(0, 16), *(Layer(i) for i in range(1, 9))]), [3]),  # the first stands alone
        (lambda: Model([Layer(i) for i in range(4)]), [4]),  # nothing to gain
    ],
)
def test_the_graph_is_that_of_all_layers(
    model: Callable[[], Model], depths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model().eval()
    found, exported = exports(made, EXAMPLE, monkeypatch)
    expected = whole(made, EXAMPLE, monkeypatch)
    assert exported == depths
    assert comparable(found) == comparable(expected)
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert found.tensors[name].data_ptr() == tensor.data_ptr(), name
    assert len(made.layers) == len(list(made.layers)) and isinstance(made.layers, nn.ModuleList)


class ByIndex(Layer):
    """Scales by its place, as GPT-2 does with scale_attn_by_inverse_layer_idx."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(x, mask) / (1 + self.layer_idx)


class LateChange(Layer):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(torch.tanh(x) if self.layer_idx > 5 else x, mask)


class Between(Model):
    def forward(self, x: Tensor) -> Tensor:
        h, mask = self.embed(x), x.sum(-1, keepdim=True) > 0
        for layer in self.layers:
            h = layer(h, mask) * 0.5
        return self.head(h)


class Skips(Model):
    def forward(self, x: Tensor) -> Tensor:
        h, mask = self.embed(x), x.sum(-1, keepdim=True) > 0
        first = None
        for layer in self.layers:
            h = layer(h, mask)
            first = h if first is None else first
        return self.head(h + first)


class Backwards(Model):
    def forward(self, x: Tensor) -> Tensor:
        h, mask = self.embed(x), x.sum(-1, keepdim=True) > 0
        for layer in reversed(self.layers):
            h = layer(h, mask)
        return self.head(h)


class AllStates(Model):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        h, mask = self.embed(x), x.sum(-1, keepdim=True) > 0
        states = []
        for layer in self.layers:
            h = layer(h, mask)
            states.append(h)
        return (self.head(h), *states)


class ByNumber(Model):
    """A loop that counts; ``numbered`` is one of the cases below."""

    def __init__(self, numbered: str) -> None:
        super().__init__([Layer(i) for i in range(9)])
        self.numbered = numbered
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(2))

    def forward(self, x: Tensor) -> Any:
        h, mask, states = self.embed(x), x.sum(-1, keepdim=True) > 0, []
        other = x.mean(-1, keepdim=True) > 0.5
        layers = list(self.layers)[:4] if self.numbered == "early exit" else self.layers
        for i, layer in enumerate(layers):
            is_fifth = i == 5
            h = layer(h, other if self.numbered == "mask" and i % 4 == 3 else mask)
            if is_fifth and self.numbered == "twice":
                h = layer(h, mask)
            if is_fifth and self.numbered == "tanh":
                h = torch.tanh(h)
            if is_fifth and self.numbered == "output":
                states.append(h)
            if self.numbered == "norms" and i < len(self.norms):
                h = self.norms[i](h)
        out = self.head(h / len(self.layers) if self.numbered == "length" else h)
        return (out, *states) if self.numbered == "output" else out


class Dilated(nn.Module):
    def __init__(self, index: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(5, 5, 3, padding="same", dilation=1 + index % 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + self.conv(x)


class Parity(Layer):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(-x if self.layer_idx % 2 else x, mask)


def with_function() -> Model:
    model = Model([Layer(i) for i in range(9)])
    for index, layer in enumerate(model.layers):
        layer._act = torch.tanh if index == 4 else torch.relu
        layer.forward = lambda x, mask, own=layer: own._act(Layer.forward(own, x, mask))
    return model


def tied_inside() -> Model:
    layers = [Layer(i) for i in range(9)]
    for index in (1, 8):
        layers[index].down.weight = layers[index].up.weight
    return Model(layers)


def hooked() -> Model:
    model = Model([Layer(i) for i in range(9)])
    model.layers[4].register_forward_hook(lambda module, given, output: output * 2)
    return model


def shared() -> Model:
    layers = [Layer(i) for i in range(9)]
    layers[7].up = layers[2].up
    return Model(layers)


def layers_of(kind: Callable[[int], nn.Module]) -> list[nn.Module]:
    return [kind(i) for i in range(9)]


NOT_ALIKE: dict[str, Callable[[], nn.Module]] = {
    "scaled by index": lambda: Model(layers_of(ByIndex)),
    "late change": lambda: Model(layers_of(LateChange)),
    "parity": lambda: Model(layers_of(Parity)),
    "dilation": lambda: Model(layers_of(Dilated)),
    "between": lambda: Between(layers_of(Layer)),
    "skip": lambda: Skips(layers_of(Layer)),
    "backwards": lambda: Backwards(layers_of(Layer)),
    "all states": lambda: AllStates(layers_of(Layer)),
    "function": with_function,
    "tied inside": tied_inside,
    "hook": hooked,
    "shared": shared,
    **{
        name: lambda name=name: ByNumber(name)
        for name in ("early exit", "mask", "twice", "tanh", "output", "norms", "length")
    },
}


@pytest.mark.parametrize("name", NOT_ALIKE)
def test_layers_that_are_not_alike_are_captured_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = NOT_ALIKE[name]().eval()
    found, exported = exports(made, EXAMPLE, monkeypatch)
    assert exported == ([3, 9] if name == "skip" else [9])  # only the graph shows who reads a layer's output
    assert comparable(found) == comparable(whole(made, EXAMPLE, monkeypatch))


def test_what_forward_keeps_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without values must leave none of its tensors in the user's model."""

    class Keeps(Layer):
        kept = None

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            self.kept = x.sum() if self.kept is None else self.kept
            return super().forward(x, mask)

    made = Model(layers_of(Keeps)).eval()
    exports(made, EXAMPLE, monkeypatch)
    assert all("kept" not in vars(layer) for layer in made.layers)
    assert len(made.layers) == 9 and torch.isfinite(made(EXAMPLE)).all()


@pytest.mark.full
def test_a_backbone_that_returns_some_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Dinov2Backbone, Dinov2Config

    size = {"hidden_size": 16, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    config = Dinov2Config(num_hidden_layers=8, out_indices=[3, 6, 8], **size)
    model, example = Dinov2Backbone(config).eval(), {"pixel_values": torch.rand(2, 3, 16, 16)}
    found, exported = exports(model, example, monkeypatch)
    assert exported == [8]
    assert comparable(found) == comparable(whole(model, example, monkeypatch))


SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 50}


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SMALL, num_hidden_layers=8, num_key_value_heads=2))


def mixture_of_experts() -> Any:
    """Its first layer computes sizes that the others read; two layers of a kind of their own come first."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    config = Qwen3MoeConfig(
        **SMALL,
        num_hidden_layers=10,
        num_key_value_heads=2,
        head_dim=8,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        mlp_only_layers=[0, 1],
    )
    return Qwen3MoeForCausalLM(config)


@pytest.mark.parametrize(
    ("make", "depths"), [(llama, [3]), pytest.param(mixture_of_experts, [4, 5], marks=pytest.mark.full)]
)
def test_transformers(make: Callable[[], Any], depths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    from adascale.doors.transformers_model import grouped_experts

    torch.manual_seed(0)
    model, example = make().eval(), {"input_ids": torch.randint(50, (2, 16))}
    with grouped_experts(model):
        found, exported = exports(model, example, monkeypatch)
        assert exported == depths
        assert comparable(found) == comparable(whole(model, example, monkeypatch))
