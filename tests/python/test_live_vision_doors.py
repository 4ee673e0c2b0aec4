"""A folder of a tiny vision-language model through quantize(): with text alone, and with images."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_command import run
from PIL import Image
from small_folders import TEXT, tiny_tokenizer, write_jsonl, write_text
from test_doors_folder import stored
from test_live_vision import vision_language_model
from transformers import AutoModelForImageTextToText, AutoProcessor, Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.video_processing_utils import BaseVideoProcessor

import adascale

FEW: dict[str, Any] = {"iterations": 2, "progress": False}
TEXTS: dict[str, Any] = {**FEW, "samples": 6, "seq_len": 16, "batch_size": 2}
LAYERS = [f"model.language_model.layers.{i}" for i in range(2)]
TOWERS = [f"model.visual.blocks.{i}" for i in (1, 2)]  # 0 looks through windows that depend on the data
IMAGE_TOKENS = ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
CHAT = (
    "{% for m in messages %}<{{ m['role'] }}>{% for part in m['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<eos>"
    "{% endfor %}"
)


class NoVideo(BaseVideoProcessor):
    """Takes the place of the one that needs torchvision."""

    def __init__(self) -> None:
        self.merge_size = 2


class Processor(Qwen2_5_VLProcessor):
    def check_argument_for_proper_class(self, *_: Any) -> None:
        """Without torchvision the class of video processors is none."""


def tokenizer_of_images() -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(IMAGE_TOKENS, special_tokens=True)
    tokenizer.image_token, tokenizer.video_token = IMAGE_TOKENS[:2]
    return tokenizer


def processor() -> Processor:
    sizes = {"shortest_edge": 64, "longest_edge": 4096}
    images = Qwen2VLImageProcessorPil(patch_size=4, temporal_patch_size=2, merge_size=2, size=sizes)
    return Processor(images, tokenizer_of_images(), NoVideo(), chat_template=CHAT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = tokenizer_of_images()
    image = tokenizer.convert_tokens_to_ids(IMAGE_TOKENS[0])
    vision_language_model(len(tokenizer), image).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def changed_layers(folder: Path, out: Path) -> set[str]:
    before, after = stored(folder), stored(out)
    assert before.keys() == after.keys()
    return {name.removesuffix(".weight") for name in before if not torch.equal(before[name], after[name])}


def test_with_text_alone_the_language_blocks_are_quantized(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    report = adascale.quantize(folder, out, write_text(tmp_path / "t.txt"), param_bw=3, **TEXTS)
    assert [block.name for block in report.blocks] == LAYERS
    assert "model.visual: no data reaches it, full precision" in report.not_trained
    said = capsys.readouterr().out
    assert "2 blocks, 14 layers to quantize (14 int3 symmetric, signed scales, per channel)" in said
    assert "  model.visual: no data reaches it, full precision\n" in said
    assert "  lm_head: outside every block\n" in said
    changed = changed_layers(folder, out)
    assert len(changed) == 14 and all(".layers." in name for name in changed)
    again = AutoModelForImageTextToText.from_pretrained(out)
    assert sorted(again.state_dict()) == sorted(vision_language_model().state_dict())
    assert len(json.loads((out / "report.json").read_text())["adascale.plan"]) == 40


def test_the_command_says_what_it_would_do(folder: Path, tmp_path: Path) -> None:
    text = write_text(tmp_path / "t.txt", TEXT)
    done = run("quantize", folder, "--data", text, "--seq-len", 16, "--samples", 6, "--iterations", 2,
               "--output-dir", tmp_path / "out", "--dry-run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "model.visual: no data reaches it" in done.stdout
    assert "2 blocks, 14 layers to quantize" in done.stdout and not (tmp_path / "out").exists()


def chat(image: str | None, text: str) -> dict[str, Any]:
    content = [{"type": "image", "image": image}] if image else []
    return {"messages": [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]}


def write_chats(folder: Path) -> Path:
    """Images of two sizes, and a line without one."""
    folder.mkdir()
    for i in range(3):
        pixels = torch.randint(256, (32, 24 if i % 2 else 40, 3), dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
    lines = [chat(f"{i}.png", "the quick brown fox " * (i + 1)) for i in range(3)]
    plain = {"messages": [{"role": "user", "content": "seven old wizards"}]}
    return write_jsonl(folder / "chat.jsonl", [*lines, plain])


@pytest.fixture
def own_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *_args, **_options: processor())


@pytest.mark.usefixtures("own_processor")
def test_with_images_the_vision_blocks_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    report = adascale.quantize(folder, out, write_chats(tmp_path / "data"), param_bw=3, **FEW)
    assert [block.name for block in report.blocks] == [*TOWERS, *LAYERS]
    assert any(line.startswith("model.visual.blocks.0: torch.export refuses") for line in report.not_trained)
    said = capsys.readouterr().out
    assert "4 samples, 4 batches\n" in said and "each line of chat messages is a batch of its own" in said
    changed = changed_layers(folder, out)
    assert all(".layers." in name or "visual.blocks." in name for name in changed)
    assert len(changed) == sum(len(block.layers) for block in report.blocks)


@pytest.mark.usefixtures("own_processor")
@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"seq_len": 16}, "^seq_len: for text alone, and the data has images"),
        ({"batch_size": 2}, "^batch_size: got 2, but the data comes in batches that cannot be cut"),
        ({"samples": 9}, "chat.jsonl: 4 lines, but samples asks for 9 batches"),
    ],
)
def test_refuses_options_of_text(options: dict[str, Any], refusal: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(adascale.Error, match=refusal):
        adascale.quantize(folder, tmp_path / "out", write_chats(tmp_path / "data"), **FEW, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("own_processor")
def test_refuses_lines_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    data = write_chats(tmp_path / "data")
    good = data.read_text()
    (tmp_path / "data" / "3.png").write_text("no image")
    audio = [{"role": "user", "content": [{"type": "audio", "audio": "a.wav"}]}]
    for line, refusal in [
        (chat("none.png", "a"), "chat.jsonl:5: .*none.png: not a readable image file: FileNotFoundError"),
        (chat("3.png", "a"), "chat.jsonl:5: .*3.png: not a readable image file"),
        (chat("0.png", "the lazy dog " * 99), "chat.jsonl:5: .* tokens .* takes at most 128; shorten it"),
        ({"messages": audio}, "chat.jsonl:5: a part of the content is .*'audio'.*, expected"),
        ({"text": "a"}, 'chat.jsonl:5: has "text", but other lines have images'),
    ]:
        data.write_text(good + json.dumps(line) + "\n")
        with pytest.raises(adascale.Error, match=refusal) as raised:
            adascale.quantize(folder, tmp_path / "out", data, **FEW)
        assert "\n" not in str(raised.value)


def test_a_folder_without_a_processor_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(adascale.Error, match="processor, which data with images needs") as raised:
        adascale.quantize(folder, tmp_path / "out", write_chats(tmp_path / "data"), **FEW)
    assert "\n" not in str(raised.value)


def test_images_in_memory_are_refused(folder: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_of_images()
    tokenizer.chat_template = CHAT
    with pytest.raises(adascale.Error, match="record 1: has an image; give the path of the .jsonl with"):
        adascale.quantize(folder, tmp_path / "out", [chat("0.png", "a")], tokenizer=tokenizer, **TEXTS)
