"""Saved rewards that somebody made up: each gives the numbers of the true one, or is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from safetensors.numpy import load_file, save_file

from fairl_bench.errors import DataError, FairlError
from fairl_bench.pipeline import Finished
from fairl_bench.reward import files as reward_files
from fairl_bench.reward.load import load_reward

CELL = "toy-tfidf-max-margin-r0-s0"
TEXTS = ["thank you", "you are a numbskull", ""]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def place(ran_once: tuple[Path, Finished], tmp_path: Path) -> Path:
    """A copy of a reward that shares no file with it."""
    return Path(shutil.copytree(ran_once[1].folder / "rewards" / CELL, tmp_path / "reward"))


@pytest.fixture
def expected(ran_once: tuple[Path, Finished]) -> list[float]:
    return load_reward(ran_once[1].folder / "rewards" / CELL)(TEXTS)


def told(place: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place / "reward.json").read_text())
    return found


def edit(place: Path, change: Change) -> None:
    found = told(place)
    change(found)
    (place / "reward.json").write_text(json.dumps(found))


def put(place: Path, name: str, content: bytes) -> None:
    """Write a file of a reward, and say its true checksum: a stranger would."""
    (place / name).write_bytes(content)
    edit(place, lambda found: found["files"].update({name: hashlib.sha256(content).hexdigest()}))


def said(place: Path, expected: list[float] | None = None) -> str:
    """The one sentence with which a reward is refused; empty where it gives numbers, which must be the expected."""
    began, sentence = time.monotonic(), ""
    try:
        found = load_reward(place)(TEXTS)
    except FairlError as error:
        sentence = str(error)
    else:
        assert expected is None or found == expected
    assert time.monotonic() - began < 20
    assert len(sentence.splitlines()) <= 1
    assert len(sentence) < 900
    return sentence


# --- what it says

WRONG = (
    None,
    3,
    -1.5,
    True,
    "x",
    "../../../x",
    "/dev/zero",
    [],
    ["x"],
    {},
    {"x": "y"},
    "",
    {"use": 3},
    {"/dev/zero": ""},
)
FIELDS = (
    *("format", "signature", "cell", "embed", "head", "method", "encoder", "upstream", "plugins", "files", "facts"),
    *("packages", "method.spec", "method.identity", "encoder.spec", "encoder.identity", "method.spec.use"),
    *("encoder.spec.use", "encoder.spec.dimensions", "method.spec.margin", "files.reward.safetensors"),
)


def changed(found: dict[str, Any], field: str, value: Any) -> None:
    if field.startswith("files."):
        found["files"][field.removeprefix("files.")] = value
        return
    *outer, last = field.split(".")
    for name in outer:
        found = found[name]
    if value is ...:
        found.pop(last)
    else:
        found[last] = value


@pytest.mark.parametrize("field", FIELDS)
def test_any_field_that_is_something_else_is_right_or_refused(field: str, place: Path, expected: list[float]) -> None:
    whole = (place / "reward.json").read_text()
    for value in (..., *WRONG):
        if value is ... and field.startswith("files."):
            continue
        edit(place, lambda found, value=value: changed(found, field, value))
        said(place, expected)
        (place / "reward.json").write_text(whole)


def test_any_flipped_bit_of_what_it_says_is_right_or_refused(place: Path, expected: list[float]) -> None:
    rng, whole = np.random.default_rng(5), (place / "reward.json").read_bytes()
    for bit in rng.integers(8 * len(whole), size=60):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << int(bit) % 8
        (place / "reward.json").write_bytes(data)
        said(place, expected)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is damaged: expecting value"),
        (b"\xff\xfe", "is damaged: "),
        (b"[" * 200_000, "is damaged: it is nested too deeply"),
        (b'{"embed": "completion", "embed": "completion"}', 'is damaged: the name "embed" stands twice'),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "is damaged: it is nested too deeply"),
        (b"1" * 10_000, "is damaged: a number in it has over 4300 digits"),
        (b'"' + b"x" * (16 * 2**20) + b'"', "cannot be read: it holds more than 16,777,216 bytes"),
        (b"null", "is of another version of fairl-bench: "),
    ],
    ids=["empty", "binary", "brackets", "twice", "braces", "digits", "long", "null"],
)
def test_what_is_not_our_json_is_refused(content: bytes, sentence: str, place: Path) -> None:
    (place / "reward.json").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        load_reward(place)


@pytest.mark.parametrize("name", ["/dev/zero", "../reward/reward.safetensors", "other.bin", "", "\x00", "reward.json"])
def test_a_reward_names_its_own_files_alone(name: str, place: Path) -> None:
    edit(place, lambda found: found["files"].update({name: "0" * 64}))
    with pytest.raises(DataError, match=r"is of another version of fairl-bench: files: .*names a file "):
        load_reward(place)


def test_a_checksum_that_is_left_out_is_missed(place: Path) -> None:
    edit(place, lambda found: found["files"].pop("reward.safetensors"))
    with pytest.raises(DataError, match=r"names no file 'reward.safetensors', which holds what the method learnt"):
        load_reward(place)
    edit(place, lambda found: found["files"].update({"reward.safetensors": "0" * 64}))
    edit(place, lambda found: found["files"].pop("corpus.parquet"))
    (place / "corpus.parquet").unlink()
    put(place, "reward.safetensors", (place / "reward.safetensors").read_bytes())
    with pytest.raises(DataError, match=r"its encoder 'tfidf' learns from training texts, and it holds none"):
        load_reward(place)


def test_parts_must_fit_together(place: Path) -> None:
    edit(place, lambda found: found.update(upstream={"lm": {"place": "/", "sha256": "0" * 64}}))
    with pytest.raises(DataError, match=r"its encoder starts from nothing, and it names 'lm'"):
        load_reward(place)
    edit(place, lambda found: found.update(upstream={}, encoder=None))
    with pytest.raises(DataError, match=r"its method 'max-margin' reads vectors, and it names no encoder"):
        load_reward(place)


@pytest.mark.parametrize("model", ["/", "/dev/zero", "/dev/../dev/zero", "/proc"])
def test_what_a_part_would_read_without_an_end_is_refused(model: str, place: Path) -> None:
    spec = {"use": "sentence-transformer", "model": model}
    edit(place, lambda found: found["encoder"].update(spec=spec))
    with pytest.raises(
        DataError, match=r"cannot be had here: (/(proc)? holds more than 10,000|/dev/.*is neither a file nor)"
    ):
        load_reward(place)


# --- its files


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def link_to_a_file(path: Path) -> None:
    other = path.with_name("elsewhere")
    shutil.copyfile(path.with_name("backup"), other)
    path.symlink_to(other)


KINDS = {pipe: "it is a named pipe", link: "it is a link", link_to_itself: "it is a link", link_to_a_file: "a link"}


@pytest.mark.parametrize("name", ["reward.json", "reward.safetensors", "corpus.parquet"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_no_file_is_not_opened(kind: Callable[[Path], None], name: str, place: Path) -> None:
    (place / name).rename(place / "backup")
    kind(place / name)
    with pytest.raises(DataError, match=rf"{name} cannot be read: .*{KINDS[kind]}, not a file"):
        load_reward(place)


@pytest.mark.parametrize("name", ["reward.json", "reward.safetensors", "corpus.parquet"])
def test_a_folder_in_the_place_of_a_file_is_refused(name: str, place: Path) -> None:
    (place / name).unlink()
    (place / name).mkdir()
    with pytest.raises(DataError, match=rf"{name} cannot be read: it is a folder, not a file"):
        load_reward(place)


@pytest.mark.parametrize("name", ["reward.safetensors", "corpus.parquet"])
def test_a_file_of_terabytes_is_not_read(name: str, place: Path) -> None:
    os.truncate(place / name, 2**41)  # a hole: it takes no room
    with pytest.raises(DataError, match=rf"{name} holds 2,199,023,255,552 bytes, and 2,147,483,648 is the most"):
        load_reward(place)


def spoiled(data: bytes) -> Iterator[bytes]:
    rng = np.random.default_rng(7)
    yield from (b"", data[:4], data[: len(data) // 2], data[:-1], data + b"x", rng.bytes(500), b"PAR1" * 5)
    yield struct.pack("<Q", 2**62) + data[8:]
    yield struct.pack("<Q", 10) + b'{"a": [[[' + data
    for at in rng.integers(len(data), size=12):
        yield data[:at] + rng.bytes(6) + data[at + 6 :]


@pytest.mark.parametrize("name", ["reward.safetensors", "corpus.parquet"])
def test_spoiled_bytes_of_a_true_checksum_never_end_in_a_traceback(name: str, place: Path) -> None:
    data, refused = (place / name).read_bytes(), 0
    for content in spoiled(data):
        put(place, name, content)
        refused += bool(said(place))  # other numbers are what such a file says
    assert refused >= 8


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, "max-margin"),
        ({"other": np.zeros(3, np.float32)}, "max-margin"),
        ({"w1": np.zeros((0, 0), np.float32)}, "max-margin"),
        ({"nan": np.full(2, np.nan, np.float32)}, "something other than finite numbers in 'nan'"),
        ({"infinite": np.full(2, np.inf)}, "something other than finite numbers in 'infinite'"),
    ],
    ids=["none", "others", "empty", "nan", "infinite"],
)
def test_arrays_that_the_method_cannot_use_are_told(arrays: dict[str, Any], sentence: str, place: Path) -> None:
    save_file(arrays, place / "made")
    put(place, "reward.safetensors", (place / "made").read_bytes())
    with pytest.raises(DataError, match=sentence):
        load_reward(place)(TEXTS)


def test_arrays_of_another_shape_are_told(place: Path) -> None:
    arrays = load_file(place / "reward.safetensors")
    refused = 0
    for name, array in arrays.items():
        for other in (array[..., None], array.ravel()[:1], np.zeros((7, 5), np.float32), np.tile(array, 3)):
            save_file({**arrays, name: np.ascontiguousarray(other)}, place / "made")
            put(place, "reward.safetensors", (place / "made").read_bytes())
            refused += bool(said(place))
    assert refused >= len(arrays)


# --- its texts


def corpus(place: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), place / "made")
    put(place, "corpus.parquet", (place / "made").read_bytes())


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"other": ["a"]}, "is no Parquet file of texts: KeyError"),
        ({"text": [1, 2]}, "needs a column 'text' of texts, has"),
        ({"text": [["a"]]}, "needs a column 'text' of texts, has|is no Parquet file of texts"),
        ({"text": [{"text": "a"}]}, "needs a column 'text' of texts, has|is no Parquet file of texts"),
        ({"text": [b"\xff\xfe"]}, "needs a column 'text' of texts, has"),
        ({"text": ["a", None]}, "has a text that is null"),
        ({"text": pa.array([], pa.string())}, "tfidf finds no word in its"),
        ({"text": ["", ""]}, "tfidf finds no word in its"),
    ],
)
def test_a_corpus_of_something_else_is_refused(columns: dict[str, Any], sentence: str, place: Path) -> None:
    corpus(place, **columns)
    with pytest.raises(DataError, match=sentence):
        load_reward(place)(TEXTS)


def test_kilobytes_that_stand_for_gigabytes_are_not_unpacked(place: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), ["a" * 500_000])
    corpus(place, text=long)  # 10 GB
    assert (place / "corpus.parquet").stat().st_size < 100_000
    with pytest.raises(DataError, match=r"holds [\d,]+ texts of [\d,]+ bytes or more, .* are the most that are read"):
        load_reward(place)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_a_file_that_says_how_much_it_holds_is_believed_before_it_is_unpacked(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reward_files, "MOST_TEXTS", 1000)
    corpus(place, text=[""] * 1001)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(DataError, match=r"holds 1,001 texts of .* bytes or more, and 1,000 of"):
        load_reward(place)


def test_a_text_that_stands_in_many_rows_is_held_once(place: Path) -> None:
    corpus(place, text=["you are kind"] * 5000 + ["you are a fool"] * 5000)
    texts = reward_files.read_corpus(place / "corpus.parquet")
    assert texts == ("you are kind",) * 5000 + ("you are a fool",) * 5000


# --- on the command line


@pytest.mark.parametrize("command", ["score", "serve", "export"])
def test_the_command_line_says_one_sentence(command: str, place: Path, cli: Callable[..., Result]) -> None:
    edit(place, lambda found: found["files"].update({"/dev/zero": "0" * 64}))
    refused = cli(command, place)
    assert refused.exit_code == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "reward.json is of another version" in refused.stderr
