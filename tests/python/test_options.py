"""C++'s option tables are the keywords, documentation and types of Python."""

import inspect
import typing
from pathlib import Path

import pytest
import torch
from adascale.options import AdaScaleKeywords, QuantizeKeywords, SimKeywords
from small_models import ConsecutiveBlocks

import adascale
from adascale import _C, QuantizationSimModel, QuantScheme

TABLES = {
    "sim": (_C.sim_keywords(), SimKeywords, adascale.QuantizationSimModel),
    "adascale": (_C.adascale_keywords(), AdaScaleKeywords, adascale.apply_adascale),
    "quantize": (
        _C.quantize_keywords(),
        QuantizeKeywords,
        adascale.quantize,
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_cpp_option_is_a_keyword(name: str) -> None:
    rows, keywords, function = TABLES[name]
    spellings = {spelling for option, alias, _, _ in rows for spelling in (option, alias) if spelling}
    named = set(typing.get_type_hints(keywords)) | (spellings & set(inspect.signature(function).parameters))
    assert spellings == named
    lines = [line.strip() for line in (function.__doc__ or "").splitlines()]
    for option, _, default, text in rows:
        assert any(
            line.startswith(option) and line.endswith(f": {text}; default {default!r}") for line in lines
        )


def test_defaults_are_aimets() -> None:
    defaults = {name: default for name, _, default, _ in _C.sim_keywords()}
    assert (defaults["param_bw"], defaults["output_bw"]) == (8, 8)


def test_defaults_of_quantize_are_its_own(tmp_path: Path) -> None:
    defaults = {name: default for name, _, default, _ in _C.quantize_keywords()}
    assert (defaults["param_bw"], defaults["output_bw"], defaults["fold_batch_norms"]) == (4, 32, True)
    plain, spelled = tmp_path / "plain", tmp_path / "spelled"
    model, data = ConsecutiveBlocks(16, 2).eval(), torch.rand(8, 16)
    for out, options in ((plain, {}), (spelled, defaults)):
        adascale.quantize(model, out, data, **{**options, "iterations": 1}, progress=False)
    files = {path.name: path.read_bytes() for path in plain.iterdir()}
    assert files == {path.name: path.read_bytes() for path in spelled.iterdir()}


@pytest.mark.parametrize("scheme", list(QuantScheme))
def test_every_scheme_is_known_to_cpp(scheme: QuantScheme) -> None:
    x = torch.rand(2, 16)
    for spelled in (scheme, scheme.value):
        sim = QuantizationSimModel(ConsecutiveBlocks(16, 1).eval(), x, quant_scheme=spelled)
        assert scheme.value in repr(sim)


def test_python_knows_every_scheme_of_cpp() -> None:
    with pytest.raises(adascale.Error) as raised:
        QuantizationSimModel(ConsecutiveBlocks(16, 1).eval(), torch.rand(2, 16), quant_scheme="none")
    assert all(scheme.value in str(raised.value) for scheme in QuantScheme)
    assert str(raised.value).count("post_training") + str(raised.value).count("range_learning") == len(
        QuantScheme
    )


def test_layer_config() -> None:
    sim = QuantizationSimModel(
        ConsecutiveBlocks(16, 2).eval(),
        torch.rand(2, 16),
        param_bw=4,
        layer_config={"*.fc1": {"param_bw": 8}, "linear_blocks.1.fc1": {"param_bw": 32}},
    )
    text = repr(sim)
    assert text.startswith("QuantizationSimModel: post_training_tf, param_bw=4, output_bw=8, ")
    assert "linear_blocks.0.fc1.weight 8x16 int8" in text and "linear_blocks.0.fc2.weight 16x8 int4" in text
    assert "linear_blocks.1.fc1.weight in full precision" in text


def test_public_names() -> None:
    assert all(hasattr(adascale, name) for name in adascale.__all__)
    assert adascale.__version__.count(".") == 2


def test_a_run_reads_its_options_and_finds_its_blocks_once(tmp_path: Path) -> None:
    def counts() -> tuple[int, int]:
        return _C.counted("read_options"), _C.counted("find_blocks")

    model, x = ConsecutiveBlocks(16, 2).eval(), torch.rand(8, 16)
    options, blocks = counts()
    adascale.quantize(model, tmp_path, x, iterations=1, progress=False)
    assert counts() == (options + 1, blocks + 1)
    sim = QuantizationSimModel(model, x)
    adascale.apply_adascale(sim, [x], num_iterations=1, progress=False)
    assert counts() == (options + 3, blocks + 2)  # of the simulation, of the training


def test_scales_of_aimets_recipe_are_positive() -> None:
    model, data = ConsecutiveBlocks().eval(), [torch.rand(2, 64)]
    sim = QuantizationSimModel(model, data[0], default_output_bw=32, scale_sign="any")
    assert "signed scales" in str(sim)
    with pytest.raises(
        adascale.Error, match=r"^recipe='aimet': the scales of the recipe aimet are positive; ma"
    ):
        adascale.apply_adascale(sim, data, recipe="aimet", num_iterations=1, progress=False)
    adascale.apply_adascale(sim, data, num_iterations=1, progress=False)
