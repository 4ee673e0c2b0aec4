"""A tiny vision-language model, block by block."""

from pathlib import Path

import torch
from live_models import changed, copies, simulate
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from adascale import apply_adascale

IMAGE, TEXT, PATCHES = 100, 24, 32


def vision_language_model(vocabulary: int = 128, image: int = IMAGE) -> nn.Module:
    torch.manual_seed(0)
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128,
            "rope_parameters": rope,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 16,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1, 2],
        },
        image_token_id=image,
        video_token_id=image + 1,
        vision_start_token_id=image + 2,
        vision_end_token_id=image + 3,
    )
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def image_and_text(seed: int, height: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    patches = height * 8
    ids = torch.randint(3, 99, (1, TEXT), generator=generator)
    ids[0, 3], ids[0, 4 : 4 + patches // 4], ids[0, 4 + patches // 4] = 102, IMAGE, 103
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(patches, 3 * 2 * 4 * 4, generator=generator),
        "image_grid_thw": torch.tensor([[1, height, 8]]),
        "mm_token_type_ids": (ids == IMAGE).int(),
    }


def test_a_vision_language_model(tmp_path: Path) -> None:
    model = vision_language_model()
    before, data = copies(model), [image_and_text(seed) for seed in range(1, 5)]
    with torch.no_grad():
        expected = model(**data[0]).logits
    sim = simulate(model, output_bw=16, example=data[0])
    layers = [f"model.language_model.layers.{i}" for i in range(2)]
    towers = [f"model.visual.blocks.{i}" for i in (1, 2)]  # 0 looks through windows that depend on the data
    assert "not captured: model.visual.blocks.0: torch.export refuses the model" in repr(sim)
    rounded, runs = sim.model(**data[0]).logits, []
    sim._core.float_model.register_forward_pre_hook(lambda *_: runs.append(1))

    report = apply_adascale(sim, data, num_iterations=100, progress=False)
    assert len(runs) == 3 * len(data)  # one to look, one up to each tower: the others go from block to block
    assert [block.name for block in report.blocks] == towers + layers
    assert all(block.loss_after < block.loss_before for block in report.blocks)
    assert all(name.startswith((*towers, *layers)) for name in changed(before, sim.model))
    assert len(changed(before, sim.model)) == sum(len(block.layers) for block in report.blocks)
    assert not changed(before, model)
    trained = sim.model(**data[0]).logits
    assert (trained - expected).square().sum() < (rounded - expected).square().sum()

    sim.compute_encodings(lambda simulated: [simulated(**batch) for batch in data])
    sim.export(str(tmp_path), "vl")
    tensors = load_file(tmp_path / "vl.safetensors")
    assert set(tensors) <= set(before)
    again = vision_language_model()
    again.load_state_dict(tensors, strict=False)
    assert not changed(sim.model.state_dict(), again)
