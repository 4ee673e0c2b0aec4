"""The fake device computes the same as the CPU, and supports the calls of torch and transformers."""

import copy
import io
from collections.abc import Callable

import fake_device
import pytest
import torch
from torch import nn

FAKE = torch.device("fake")


def rnn(kind: type, **options: object) -> tuple[Callable, Callable]:
    return lambda: kind(8, 6, **options), lambda: torch.randn(3, 5, 8)


MODULES = {
    "linear": (lambda: nn.Linear(8, 4), lambda: torch.randn(3, 8)),
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), lambda: torch.randn(2, 4, 7, 7)),
    "conv2d, no bias, no batch": (lambda: nn.Conv2d(4, 6, 3, bias=False), lambda: torch.randn(4, 7, 7)),
    "transposed conv2d": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1),
        lambda: torch.randn(2, 4, 5, 5),
    ),
    "embedding": (lambda: nn.Embedding(10, 4), lambda: torch.randint(10, (2, 3))),
    "batch norm": (lambda: nn.BatchNorm2d(4), lambda: torch.randn(2, 4, 3, 3)),
    "layer norm": (lambda: nn.LayerNorm(8), lambda: torch.randn(2, 8)),
    "encoder layer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True),
        lambda: torch.randn(2, 5, 8),
    ),
    "RNN": rnn(nn.RNN, num_layers=2),
    "LSTM": rnn(nn.LSTM),
    "LSTM, 2 layers, bidirectional": rnn(nn.LSTM, num_layers=2, bidirectional=True, batch_first=True),
    "LSTM, no bias": rnn(nn.LSTM, bias=False),
    "LSTM, projected": rnn(nn.LSTM, proj_size=3),
    "GRU": rnn(nn.GRU),
    "GRU, 2 layers, bidirectional": rnn(nn.GRU, num_layers=2, bidirectional=True, batch_first=True),
    "GRU, no bias": rnn(nn.GRU, bias=False),
}


def outputs(result: object) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    return [t for part in result if part is not None for t in outputs(part)]


def forward_and_backward(model: nn.Module, *inputs: torch.Tensor) -> list[torch.Tensor]:
    found = outputs(model(*inputs))
    (sum(t.sin().mean() for t in found)).backward()
    leaves = [*model.parameters(), *inputs]
    return [t.detach().cpu() for t in found] + [t.grad.cpu() for t in leaves if t.grad is not None]


def assert_close(a: list[torch.Tensor], b: list[torch.Tensor], bound: float = 1e-6) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        torch.testing.assert_close(x, y, rtol=0, atol=bound)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_modules_compute_as_on_the_cpu(name: str, training: bool) -> None:
    make, inputs = MODULES[name]
    model, x = make().train(training), inputs()
    twin, y = copy.deepcopy(model).to(FAKE), x.to(FAKE)
    if x.is_floating_point():
        x.requires_grad_()
        y.requires_grad_()
    assert_close(forward_and_backward(model, x), forward_and_backward(twin, y))
    assert_close([b.cpu() for b in model.buffers()], [b.cpu() for b in twin.buffers()])
    with torch.inference_mode():
        assert_close(outputs(model(x)), [t.cpu() for t in outputs(twin(y))])


@pytest.mark.parametrize("causal", [True, False])
def test_attention(causal: bool) -> None:
    q, k, v = torch.randn(3, 2, 2, 5, 4).unbind()
    mask = None if causal else torch.randn(5, 5)
    on_fake = [t.to(FAKE) if t is not None else None for t in (q, k, v, mask)]
    attend = nn.functional.scaled_dot_product_attention
    assert_close([attend(q, k, v, mask, is_causal=causal)], [attend(*on_fake, is_causal=causal).cpu()])


@pytest.mark.parametrize("batch_first", [True, False])
def test_multihead_attention(batch_first: bool) -> None:
    model, x = nn.MultiheadAttention(8, 2, batch_first=batch_first), torch.randn(2, 5, 8)
    twin, y = copy.deepcopy(model).to(FAKE), x.to(FAKE)
    assert_close(outputs(model(x, x, x)), [t.cpu() for t in outputs(twin(y, y, y))])
    with torch.no_grad():  # the fused operator
        assert_close(outputs(model.eval()(x, x, x)), [t.cpu() for t in outputs(twin.eval()(y, y, y))])


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("kind", [{}, {"foreach": True}, {"fused": True}])
def test_optimizers(optimizer: type, kind: dict) -> None:
    x = nn.Parameter(torch.randn(5))
    y = nn.Parameter(x.detach().to(FAKE))
    for p in (x, y):
        steps = optimizer([p], lr=0.1, **kind)
        for _ in range(3):
            steps.zero_grad()
            p.square().sum().backward()
            steps.step()
    assert_close([x.detach()], [y.detach().cpu()])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_dtypes(dtype: torch.dtype) -> None:
    x = torch.randn(4, 4, dtype=dtype)
    y = x.to(FAKE)
    assert y.dtype == dtype and y.cpu().equal(x)
    assert_close([(y @ y + 1).cpu()], [x @ x + 1])
    assert_close([y.float().cpu(), y.double().to(dtype).cpu()], [x.float(), x])


def test_views_share_memory() -> None:
    d = torch.zeros(4, 6, device=FAKE)
    d[1:3].t()[2] = 1
    d.unfold(1, 2, 2)[0, 0].fill_(2)
    torch.view_as_complex(d.view(4, 3, 2))[3, 0] = 3j
    expected = torch.zeros(4, 6)
    expected[1:3, 2], expected[0, :2], expected[3, 1] = 1, 2, 3
    assert d.cpu().equal(expected)
    assert d.view(torch.int32).cpu().equal(expected.view(torch.int32))
    assert torch.view_as_complex(d.view(4, 3, 2)).conj().cpu()[3, 0] == -3j


def test_results_take_the_size_they_need() -> None:
    values, indices = torch.empty(0, device=FAKE), torch.empty(0, dtype=torch.long, device=FAKE)
    x = torch.randn(4, 8, device=FAKE)
    torch.topk(x, 2, out=(values, indices))
    assert_close([values.cpu()], [x.cpu().topk(2).values])
    x.resize_(6, 8)
    assert x[:4].isfinite().all() and x[4:].isnan().all()


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3, padding=1)
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.lstm(self.conv(x).transpose(1, 2))[0]
        return self.head(y + torch.arange(4, device=x.device))


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_export() -> None:
    model, x = Mixed().eval().to(FAKE), torch.randn(2, 2, 6, device=FAKE)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    more = torch.randn(3, 2, 6, device=FAKE)
    assert_close([program.module()(more).cpu()], [model(more).cpu()])


def test_llama() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        intermediate_size=64,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    twin, ids = copy.deepcopy(model).to(FAKE), torch.randint(50, (2, 7))
    losses = [m(i, labels=i).loss for m, i in ((model, ids), (twin, ids.to(FAKE)))]
    for loss in losses:
        loss.backward()
    assert_close([losses[0].detach()], [losses[1].detach().cpu()])
    assert_close([p.grad for p in model.parameters()], [p.grad.cpu() for p in twin.parameters()])
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    assert twin.generate(ids.to(FAKE), **options).cpu().equal(model.generate(ids, **options))


def test_copies_and_files() -> None:
    model = Mixed().to(FAKE)
    state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    twin = copy.deepcopy(model)
    assert all(p.device == torch.device("fake:0") for p in twin.parameters())
    fresh = Mixed()
    fresh.load_state_dict(model.state_dict())
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert loaded["head.weight"].device.type == "fake"
    for other in (twin.state_dict(), fresh.state_dict(), loaded, model.cpu().state_dict()):
        assert all(other[name].cpu().equal(state[name]) for name in state)


def test_parameters_stay_who_they_are_when_they_move() -> None:
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.LSTM(3, 3))
    tied[1].weight = weight = tied[0].weight
    bias = tied[1].bias
    with fake_device.counting() as counted:
        tied.to(FAKE)
    assert counted == fake_device.Counts(to_device=7)
    assert tied[0].weight is tied[1].weight is weight
    assert tied[1].bias is bias
    assert weight.device.type == bias.device.type == "fake"
    tied(torch.ones(1, 3, device=FAKE))[0].sum().backward()
    assert tied.cpu()[1].weight is weight
    assert weight.device.type == weight.grad.device.type == "cpu"
    tied.load_state_dict(tied.state_dict())


def test_seeds() -> None:
    def draw(**options: object) -> list[torch.Tensor]:
        x = torch.randn(4, device=FAKE, **options)
        return [
            t.cpu()
            for t in (x, torch.randint(9, (3,), device=FAKE, **options), x.clone().uniform_(**options))
        ]

    torch.manual_seed(5)
    first = draw()
    torch.manual_seed(5)
    torch.rand(10)  # the CPU's numbers are another sequence
    assert_close(draw(), first)
    assert_close(draw(generator=torch.Generator(FAKE).manual_seed(5)), first)
    state = torch.fake.get_rng_state()
    second = draw()
    torch.fake.set_rng_state(state)
    assert_close(draw(), second)
    with pytest.raises(RuntimeError, match="Expected a 'fake' device type for generator but found 'cpu'"):
        draw(generator=torch.Generator())
