"""The ONNX formats of a model on a device, beside those of the same model on the CPU."""

from pathlib import Path

import fake_device  # noqa: F401
import pytest
import torch
from pairs import CPU, FAKE, tensor_operators, to
from small_models import ConsecutiveBlocks, seed_loader

import adascale

FORMATS = {"onnx": {}, "onnx-matmulnbits": {"group_size": 16, "default_output_bw": 32}}


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_on_a_device_gives_the_cpus_file(name: str, tmp_path: Path) -> None:
    files = []
    for device in (CPU, FAKE):
        torch.manual_seed(0)
        model, data = ConsecutiveBlocks(depth=2).eval().to(device), to(seed_loader(), device)
        options = {"default_param_bw": 4, "default_output_bw": 8, **FORMATS[name]}
        with tensor_operators():
            sim = adascale.QuantizationSimModel(model, data[0], **options)
            adascale.apply_adascale(sim, data, num_iterations=4, progress=False, precision="float32")
            sim.compute_encodings(lambda model: [model(x) for x in data])  # noqa: B023
        files.append(sim.export(tmp_path / device.type, "q", formats=[name])[0])
    assert Path(files[0]).read_bytes() == Path(files[1]).read_bytes()
