"""Text becomes samples: packed or padded, plain or chat, from several files in shares."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from adascale.doors.door import DataRequest
from adascale.doors.given import GivenData, sort_data
from adascale.doors.rows import TextModel
from adascale.doors.text_data import read_text
from adascale.doors.texts import read_documents
from small_folders import CHAT_TEMPLATE, TEXT, tiny_tokenizer, write_jsonl, write_text

import adascale

TOKENIZER = tiny_tokenizer(CHAT_TEMPLATE)
EOS = TOKENIZER.eos_token_id


def rows(data: Any, causal: bool = True, longest: int = 64, **options: Any) -> dict[str, torch.Tensor]:
    files, given = sort_data(data)
    model = TextModel(TOKENIZER, causal, vocabulary=320, longest=longest)
    return read_text(DataRequest(files, **options), given, model).calls[0]


def error(data: Any, **options: Any) -> str:
    with pytest.raises(adascale.Error) as raised:
        rows(data, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_packed_rows_are_the_text_in_pieces(tmp_path: Path) -> None:
    packed = rows(write_text(tmp_path / "a.txt", TEXT[:2000]), seq_len=16)
    assert list(packed) == ["input_ids"] and packed["input_ids"].shape[1] == 16
    ids = TOKENIZER(TEXT[:2000])["input_ids"]
    pieces = [ids[i : i + 16] for i in range(0, len(ids) - 15, 16)]
    taken = packed["input_ids"].tolist()
    assert sorted(taken) == sorted(pieces) and taken != pieces and len(taken) < 128


def test_documents_are_packed_with_an_end_between(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "the quick"}, {"text": "brown fox"}])
    text = TOKENIZER.decode(rows(path, seq_len=5)["input_ids"].flatten()[:5])
    assert "<eos>" in text


def test_padded_rows_are_a_line_each(tmp_path: Path) -> None:
    padded = rows(write_text(tmp_path / "a.txt", "the fox\n\na lazy dog in the rain\n"), causal=False)
    ids, mask = padded["input_ids"], padded["attention_mask"]
    texts = {TOKENIZER.decode(row[keep.bool()]) for row, keep in zip(ids, mask, strict=True)}
    assert texts == {"the fox", "a lazy dog in the rain"}
    assert ids.shape == mask.shape and (ids[mask == 0] == TOKENIZER.pad_token_id).all()
    assert not (mask.diff(dim=1) > 0).any()  # padding at the end only


@pytest.mark.parametrize("separator", [" ", "\n", ""])
def test_of_a_large_file_only_windows_are_read(separator: str, tmp_path: Path) -> None:
    """Numbered words: a row shows where it came from."""
    words = separator.join(f"w{i:07}ü" for i in range(1_200_000))
    path = write_text(tmp_path / "large.txt", words)
    found = rows(path, samples=6, seq_len=64, seed=3)["input_ids"]
    assert found.equal(rows(path, samples=6, seq_len=64, seed=3)["input_ids"])
    texts = [TOKENIZER.decode(row) for row in found]
    assert not found.equal(rows(path, samples=6, seq_len=64, seed=4)["input_ids"])
    assert "\ufffd" not in "".join(text[3:-3] for text in texts)


def test_lines_of_a_large_file_come_from_all_over(tmp_path: Path) -> None:
    records = [{"text": f"line {i:06} " + "x" * 120} for i in range(60_000)]
    records[30_000]["text"] *= 2000  # a line longer than many windows
    path = write_jsonl(tmp_path / "large.jsonl", records)
    (source,) = [read_documents(path, by_line=False)]
    lines = [text.split()[1] for (text, _), _ in zip(source.texts(TOKENIZER, 5), range(200), strict=False)]
    numbers = [int(line) for line in lines]
    assert len(set(numbers)) == 200
    tenths = {number // 6000 for number in numbers}
    assert len(tenths) == 10, tenths
    everything = [text.split()[1] for text, _ in source.texts(TOKENIZER, 5)]
    assert sorted(everything) == [f"{i:06}" for i in range(60_000)]


def test_line_ends_of_a_large_file_are_those_of_a_small_one(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"one line\r\n" * 1_000_000)
    texts = {text for text, _ in read_documents(str(path), by_line=True).texts(TOKENIZER, 0)}
    assert texts == {"one line"}


def test_a_large_file_that_is_not_text_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"word \xff\xfe " * 1_200_000)
    assert "large.txt: bytes " in error(str(path)) and "UTF-8" in error(str(path))


def test_padded_rows_are_cut(tmp_path: Path) -> None:
    assert rows([TEXT], packing="padded", seq_len=8)["input_ids"].shape == (1, 8)


def test_chat_messages_go_through_the_template(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "fox"}, {"role": "assistant", "content": "dog"}]
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": messages}])
    padded = rows(path, packing="padded")
    assert TOKENIZER.decode(padded["input_ids"][0]) == "<user>fox<eos><assistant>dog<eos>"


def test_a_dataset_is_read_only_as_far_as_needed() -> None:
    class Dataset:
        column_names = ("text",)
        read = 0

        def __len__(self) -> int:
            return 1_000_000

        def __getitem__(self, index: int) -> dict[str, str]:
            self.read += 1
            return {"text": f"the fox {index}"}

    dataset = Dataset()
    assert rows(dataset, seq_len=4, samples=3)["input_ids"].shape == (3, 4)
    assert dataset.read < 10


def test_shares_of_files(tmp_path: Path) -> None:
    fox = write_text(tmp_path / "fox.txt", "fox\n" * 40)
    dog = write_text(tmp_path / "dog.txt", "dog\n" * 40)
    texts = [
        TOKENIZER.decode(row, skip_special_tokens=True)
        for row in rows([fox, dog], packing="padded", data_weights=[3.0, 1.0], samples=20)["input_ids"]
    ]
    assert texts.count("fox") == 15 and texts.count("dog") == 5


def test_without_samples_the_shares_hold(tmp_path: Path) -> None:
    fox, dog = write_text(tmp_path / "fox.txt", "fox\n" * 40), write_text(tmp_path / "dog.txt", "dog\n" * 4)
    mixed = rows([fox, dog], packing="padded", data_weights=[3.0, 1.0])["input_ids"]
    assert len(mixed) == 16


def test_the_seed_chooses() -> None:
    first, again, other = (rows([TEXT], seq_len=16, samples=4, seed=s)["input_ids"] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_lengths() -> None:
    assert rows([TEXT])["input_ids"].shape[1] == 64  # the model's own limit, below 512
    assert rows([TEXT * 40], longest=4096)["input_ids"].shape == (128, 512)
    assert error([TEXT], seq_len=65) == "seq_len: got 65, but the model takes at most 64 tokens"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.txt", " \n", "a.txt: no text in it; give a file with the text to calibrate on"),
        ("a.csv", "x", "a.csv: got .csv, expected .txt, .jsonl, .safetensors"),
        ("a", "x", "a: got no extension, expected .txt"),
        ("a.txt", "too short", "expected 64 or more for one sample; give more text, a smaller seq_len"),
        ("a.jsonl", '{"text": "x"}\n{"text"', "a.jsonl:2: not JSON"),
        ("a.jsonl", '{"prompt": "x"}', 'a.jsonl:1: got keys [\'prompt\'], expected "text" or "messages"'),
        ("a.jsonl", '\n{"text": "\\ud800"}', "a.jsonl:2: has \\ud800, half of a character"),
        ("a.jsonl", "[" * 5000, "a.jsonl:1: cannot be read as JSON"),
        ("a.jsonl", '{"text": %s}' % ("1" * 5000), "a.jsonl:1: cannot be read as JSON"),
        ("a.jsonl", '{"a\\nb": 1}', "a.jsonl:1: got keys ['a\\nb'], expected"),
        ("a.jsonl", '["x"]', "a.jsonl:1: got list, expected an object"),
        ("a.jsonl", '{"text": 3}', 'a.jsonl:1: "text" is int, expected a string'),
        ("a.jsonl", '{"messages": [{"role": "user"}]}', 'expected an object with "role" and "content"'),
    ],
)
def test_bad_files(name: str, content: str, text: str, tmp_path: Path) -> None:
    assert text in error(write_text(tmp_path / name, content))


def test_not_text_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert "a.txt: is not UTF-8 text" in error(tmp_path / "a.txt")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, encoding: str) -> str:
        raise PermissionError(13, "Permission denied")

    path = write_text(tmp_path / "a.txt", "text")
    monkeypatch.setattr(Path, "read_text", refuse)  # root reads what it may not
    assert "a.txt: cannot be read: Permission denied; make it readable, or give another" in error(path)


def test_chat_without_a_template(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": [{"role": "user", "content": "x"}]}])
    with pytest.raises(adascale.Error, match="the tokenizer has no chat template"):
        read_text(DataRequest([str(path)]), None, TextModel(tiny_tokenizer(), True, 320, 64))


def test_too_few_samples(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "fox\ndog\n")
    text = error(path, packing="padded", samples=5)
    assert text.endswith("a.txt: 2 samples, expected 5; give more text, a smaller seq_len or fewer samples")


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    with pytest.raises(adascale.Error, match="but the model has 10; it is another model's tokenizer"):
        read_text(DataRequest([]), GivenData(texts=[TEXT]), TextModel(TOKENIZER, True, 10, 64))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "data: got an empty list"),
        (3, "data: got int, expected a file or files"),
        (["a.txt", "some words"], "data: a.txt is a file among texts"),
        ([TEXT, torch.rand(2)], "data: got a list of Tensor, str, expected texts"),
        ({"text": "x"}, "data: got dict, expected a file"),
        (iter([]), "data: the iterable gave nothing"),
    ],
)
def test_bad_data(data: Any, text: str) -> None:
    with pytest.raises(adascale.Error) as raised:
        sort_data(data)
    assert str(raised.value).startswith(text)


def test_records_that_json_holds_are_records() -> None:
    assert sort_data([json.loads('{"text": "x"}')])[1] == GivenData(texts=[{"text": "x"}])
