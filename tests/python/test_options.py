"""C++'s option tables are what Python takes, documents and types."""

import inspect
import typing

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
        [*_C.sim_keywords(), *_C.adascale_keywords(), *_C.setup_keywords(), *_C.data_keywords()],
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
    for option, _, _, text in rows:
        assert option in (function.__doc__ or "") and text in (function.__doc__ or "")


def test_defaults_are_aimets() -> None:
    defaults = {name: default for name, _, default, _ in _C.sim_keywords()}
    assert (defaults["param_bw"], defaults["output_bw"]) == (8, 8)


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
    assert "linear_blocks.0.fc1.weight 8x16 int8" in text and "linear_blocks.0.fc2.weight 16x8 int4" in text
    assert "linear_blocks.1.fc1.weight in full precision" in text


def test_public_names() -> None:
    assert all(hasattr(adascale, name) for name in adascale.__all__)
    assert adascale.__version__.count(".") == 2
