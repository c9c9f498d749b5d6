from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairl_bench.builtin.sources.hub_dataset import HubDataset
from fairl_bench.builtin.sources.layouts.layout import LayoutColumns as Columns
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.values.data import Pairs

ROWS = [
    {"chosen": "kind", "rejected": "rude", "prompt": "hello", "thread": 7},
    {"chosen": "calm", "rejected": "loud", "prompt": None, "thread": None},
    {"chosen": "naïve ☕", "rejected": "a\u2028b", "prompt": "", "thread": 9},
]
EVERY = Columns(prompt="prompt", group="thread")
EXPECTED = Pairs(("kind", "calm", "naïve ☕"), ("rude", "loud", "a\u2028b"), ("hello", "", ""), ("7", "", "9"))


def source(local: Path | None, **fields: Any) -> HubDataset:
    return HubDataset(dataset="some/pairs", local=None if local is None else str(local), **fields)


def pairs_of(local: Path | None, **fields: Any) -> Pairs:
    return source(local, **fields).pairs(np.random.default_rng(0))


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set as the hub lays it out: two splits, one compressed."""
    place = tmp_path / "pairs"
    place.mkdir()
    (place / "train.jsonl").write_bytes(lines(ROWS))
    (place / "test.jsonl.gz").write_bytes(gzip.compress(lines(ROWS[:1])))
    return place


def refuses(local: Path | None, complaint: str, **fields: Any) -> None:
    """The whole message, word for word, of a check and of the real thing."""
    for ask in (source(local, **fields).check, lambda: pairs_of(local, **fields)):
        with pytest.raises(DataError) as caught:
            ask()
        assert str(caught.value) == complaint


# --- a local copy


def to_jsonl(folder: Path) -> Path:
    (folder / "a.jsonl").write_bytes(lines(ROWS))
    return folder / "a.jsonl"


def to_json(folder: Path) -> Path:
    (folder / "a.json").write_text(json.dumps(ROWS))
    return folder / "a.json"


def to_gz(folder: Path) -> Path:
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(lines(ROWS)))
    return folder / "a.jsonl.gz"


def to_parquet(folder: Path) -> Path:
    datasets.Dataset.from_list(ROWS).to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def to_disk(folder: Path) -> Path:
    datasets.Dataset.from_list(ROWS).save_to_disk(folder / "saved")
    return folder / "saved"


def to_disk_by_split(folder: Path) -> Path:
    splits = {"train": datasets.Dataset.from_list(ROWS), "test": datasets.Dataset.from_list(ROWS[:1])}
    datasets.DatasetDict(splits).save_to_disk(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("write", [to_jsonl, to_json, to_gz, to_parquet, to_disk, to_disk_by_split])
def test_a_copy_of_any_format_gives_the_same_pairs(write: Callable[[Path], Path], tmp_path: Path) -> None:
    local = write(tmp_path)
    source(local).check()
    assert pairs_of(local, columns=EVERY) == EXPECTED
    assert pairs_of(local).prompt == EXPECTED.prompt  # found by its usual name
    assert pairs_of(local).group == ("", "", "")
    assert pairs_of(local, columns=EVERY, limit=2) == EXPECTED.take([0, 1])


def test_a_csv_file_is_a_copy_too(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("win", "lose"), ("kind, or so", "rude"), ("calm", "loud\nand long")])
    found = pairs_of(tmp_path / "a.csv", columns=Columns(preferred="win", rejected="lose"))
    assert found == Pairs(("kind, or so", "calm"), ("rude", "loud\nand long"))


def test_a_folder_is_read_as_the_hub_lays_it_out(folder: Path) -> None:
    assert pairs_of(folder, columns=EVERY) == EXPECTED
    assert pairs_of(folder, columns=EVERY, split="test") == EXPECTED.take([0])


def test_configurations_and_folders_within_are_chosen(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "train.jsonl").write_bytes(lines(ROWS[1:]))
    assert len(pairs_of(folder, data_dir="other")) == 2
    (folder / "README.md").write_text(
        "---\nconfigs:\n- {config_name: all, data_files: train.jsonl}\n"
        "- {config_name: few, data_files: other/train.jsonl}\n---\n"
    )
    assert len(pairs_of(folder, config="all")) == 3
    assert len(pairs_of(folder, config="few")) == 2
    refuses(
        folder,
        f"data set {folder} cannot be opened: Config name is missing. "
        "Please pick one among the available configs: ['all', 'few']",
    )
    refuses(
        folder,
        f"data set {folder} cannot be opened: BuilderConfig 'al' not found. Available: ['all', 'few']",
        config="al",
    )


def test_no_code_of_a_data_set_is_run(folder: Path, tmp_path: Path) -> None:
    (folder / "pairs.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with pytest.raises(DataError, match="Dataset scripts are no longer supported"):
        pairs_of(folder)
    assert not (tmp_path / "ran").exists()


def test_nothing_is_written_beside_the_data_or_into_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    before = sorted(tmp_path.rglob("*"))
    pairs_of(folder)
    assert sorted(tmp_path.rglob("*")) == before


# --- size and identity


def test_its_size_is_told_where_the_data_set_tells_it(folder: Path, tmp_path: Path) -> None:
    assert source(folder).size() is None
    info = (
        "dataset_info:\n  features:\n  - {name: chosen, dtype: string}\n  splits:\n  - {name: train, num_examples: 3}\n"
    )
    (folder / "README.md").write_text(f"---\n{info}---\n")
    assert source(folder).size() == 3
    assert source(folder, limit=2).size() == 2
    assert source(to_disk(tmp_path)).size() == 3


def test_a_copy_is_its_content_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    before = source(folder).reads()
    assert before.keys() == {"data"}
    assert source(folder.rename(tmp_path / "moved")).reads() == before
    (tmp_path / "moved" / "train.jsonl").write_bytes(lines(ROWS[:2]))
    assert source(tmp_path / "moved").reads() != before


@pytest.fixture
def cached(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The data set in the hub's cache of this machine, which has no hub; its commit."""
    commit = "c0ffee" * 6 + "abcd"
    place = tmp_path / "cache" / "datasets--some--pairs"
    (place / "snapshots").mkdir(parents=True)
    folder.rename(place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return commit


def test_what_the_hub_has_once_given_is_read_without_it(cached: str) -> None:
    assert source(None).reads() == {"data": cached}
    assert pairs_of(None, columns=EVERY) == EXPECTED
    assert pairs_of(None, columns=EVERY, revision=cached, split="test") == EXPECTED.take([0])


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("fields", [{"dataset": "some/other"}, {"dataset": "some/pairs", "revision": "v2"}])
def test_what_is_neither_here_nor_on_the_hub(fields: dict[str, str]) -> None:
    with pytest.raises(MissingExtra) as caught:
        HubDataset(**fields).check()
    assert str(caught.value) == (
        f"data set '{fields['dataset']}' is not on this machine and the hub cannot be reached; "
        "name a copy of it under 'local:'"
    )


# --- transcripts

TURNS = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Insult me\n\nAssistant:"


def transcripts(tmp_path: Path, *rows: tuple[str, str], **fields: Any) -> Pairs:
    (tmp_path / "hh.jsonl").write_bytes(lines([{"chosen": one, "rejected": other} for one, other in rows]))
    return pairs_of(tmp_path / "hh.jsonl", layout="transcripts", **fields)


def test_dialogues_share_their_prompt_up_to_the_last_turn(tmp_path: Path) -> None:
    found = transcripts(tmp_path, (f"{TURNS} No, I like you.", f"{TURNS} No, but you smell."))
    assert found == Pairs(("No, I like you.",), ("No, but you smell.",), (TURNS.strip(),))


def test_dialogues_that_part_earlier_are_split_where_they_do(tmp_path: Path) -> None:
    start = "\n\nHuman: Hi\n\nAssistant:"
    found = transcripts(tmp_path, (f"{start} A\n\nHuman: b\n\nAssistant: c", f"{start} X\n\nHuman: y\n\nAssistant: z"))
    assert found.prompt == (start.strip(),)
    assert found.preferred == ("A\n\nHuman: b\n\nAssistant: c",)


def test_a_completion_may_begin_the_other(tmp_path: Path) -> None:
    found = transcripts(tmp_path, (f"{TURNS} No.", f"{TURNS} No. Go away."))
    assert (found.preferred, found.rejected) == (("No.",), ("No. Go away.",))


def test_an_empty_or_equal_completion_is_handled_as_the_suite_says(tmp_path: Path) -> None:
    rows = ((f"{TURNS} a", f"{TURNS}"), (f"{TURNS} b", f"{TURNS} b "), (f"{TURNS} c", f"{TURNS} d"))
    place = f"{tmp_path}/hh.jsonl, split 'train', row"
    with pytest.raises(DataError, match=f"{place} 0: a text of the pair is empty; set 'empty: drop' to leave such"):
        transcripts(tmp_path, *rows)
    with pytest.raises(DataError, match=f"{place} 1: both texts of the pair are equal; .*'identical: drop'"):
        transcripts(tmp_path, *rows, empty="drop")
    # the harness drops and counts them
    assert transcripts(tmp_path, *rows, empty="drop", identical="drop").rejected == ("", "b", "d")


def test_texts_that_are_no_dialogues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        transcripts(tmp_path, ("kind", "rude"))
    assert str(caught.value) == (
        f"{tmp_path}/hh.jsonl, split 'train', row 0: its dialogues share no turn of 'Assistant:'; "
        "set 'layout: texts' for plain texts"
    )


def test_a_prompt_has_one_origin() -> None:
    with pytest.raises(ValueError, match=r"layout 'transcripts' does not read 'columns\.prompt'; leave it out"):
        HubDataset(dataset="a/b", layout="transcripts", columns=Columns(prompt="prompt"))


# --- mistakes


def test_an_unknown_split_is_told_the_near_ones(folder: Path) -> None:
    refuses(folder, f"{folder} has no split 'tset'; did you mean 'test'?", split="tset")


@pytest.mark.parametrize("write", [to_disk, to_disk_by_split])
def test_an_unknown_split_of_a_saved_copy(write: Callable[[Path], Path], tmp_path: Path) -> None:
    local = write(tmp_path)
    if write is to_disk_by_split:
        refuses(local, f"{local} has no split 'validation'; known: 'test', 'train'", split="validation")
    else:  # one saved alone is the split that it is named for
        assert len(pairs_of(local, split="validation")) == 3


def test_an_unknown_column_is_told_the_near_ones(folder: Path) -> None:
    refuses(
        folder,
        f"{folder}, split 'train', row 0: no column 'chosn'; did you mean 'chosen'?",
        columns=Columns(preferred="chosn"),
    )


def test_a_copy_that_is_not_there(tmp_path: Path) -> None:
    refuses(tmp_path / "gone", f"{tmp_path / 'gone'} cannot be read: No such file or directory")


def test_a_file_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    refuses(
        tmp_path / "a.txt",
        f"data set {tmp_path / 'a.txt'} cannot be opened: a file of pairs ends in one of .jsonl, .json, .csv, .parquet",
    )


def test_a_file_that_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(ROWS * 50))[:-20])
    refuses(
        tmp_path / "a.jsonl.gz",
        f"{tmp_path / 'a.jsonl.gz'} cannot be read: Compressed file ended before the end-of-stream marker was reached",
    )


def test_a_file_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(ROWS) + b"{not JSON\n")
    with pytest.raises(DataError, match=r"a\.jsonl:4: is not JSON: expecting property name"):
        pairs_of(tmp_path / "a.jsonl")


def test_a_split_without_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("chosen,rejected\n")
    refuses(tmp_path / "a.csv", f"{tmp_path / 'a.csv'}, split 'train' holds no row")


@pytest.mark.parametrize("value", [3, ["a"], {"role": "user"}])
def test_a_text_that_is_none(tmp_path: Path, value: Any) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([{"chosen": value, "rejected": "b"}]))
    with pytest.raises(DataError, match=r"a\.jsonl, split 'train', row 0: column 'chosen' needs a text, got "):
        pairs_of(tmp_path / "a.jsonl")


# --- one reading, whatever the format and the place

PATTERNS = ["pa*rs", "pairs[12]", "what?", "{a,b}", "a::b", "50%5b"]
WORDS = ["NA", "null", "None", "nan", "", "007", "1e5", "2020-01-01", "true", "x" * 140_000]


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("write", [to_jsonl, to_gz, to_parquet, to_disk])
def test_a_path_is_a_path_and_no_pattern(write: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    for folder in (name, name.replace("*", "i"), "pairs1", "pairs"):
        (tmp_path / folder).mkdir(exist_ok=True)
        if folder != name:
            datasets.Dataset.from_list(ROWS[:1]).to_parquet(tmp_path / folder / "a.parquet")
            (tmp_path / folder / "a.jsonl").write_bytes(lines(ROWS[:1]))
    (tmp_path / "made").mkdir()
    made = write(tmp_path / "made")
    assert pairs_of(made.rename(tmp_path / name / made.name), columns=EVERY) == EXPECTED


@pytest.mark.parametrize("name", PATTERNS)
def test_a_folder_and_a_folder_within_are_no_patterns(folder: Path, name: str, tmp_path: Path) -> None:
    here = folder.rename(tmp_path / name)
    assert pairs_of(here, columns=EVERY) == EXPECTED
    (here / name).mkdir()
    (here / name / "train.jsonl").write_bytes(lines(ROWS[1:]))
    (here / "other").mkdir()
    (here / "other" / "train.jsonl").write_bytes(lines(ROWS[:1]))
    assert pairs_of(here, columns=EVERY, data_dir=name) == EXPECTED.take([1, 2])
    with pytest.raises(DataError, match="cannot be opened"):
        pairs_of(here, data_dir="oth*")


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "tsv", "parquet"])
@pytest.mark.parametrize("within", [False, True], ids=["file", "folder"])
def test_a_text_is_what_stands_there_in_every_format(form: str, within: bool, tmp_path: Path) -> None:
    rows = [{"chosen": f"a{i}", "rejected": word} for i, word in enumerate(WORDS)]
    place = tmp_path / "of"
    place.mkdir()
    path = place / f"train.{form}"
    if form in ("csv", "tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["chosen", "rejected"], delimiter="\t" if form == "tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif form == "parquet":
        datasets.Dataset.from_list(rows).to_parquet(path)
    else:
        path.write_bytes(lines(rows) if form == "jsonl" else json.dumps(rows, indent=1).encode())
    if form == "tsv" and not within:  # a file alone is known by its suffix
        refuses(path, f"data set {path} cannot be opened: a file of pairs ends in one of .jsonl, .json, .csv, .parquet")
        return
    assert pairs_of(place if within else path, empty="drop").rejected == tuple(WORDS)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("within", [False, True], ids=["file", "folder"])
def test_a_column_that_is_there_twice_is_refused_in_every_format(form: str, within: bool, tmp_path: Path) -> None:
    place = tmp_path / "of"
    place.mkdir()
    path = place / f"train.{form}"
    if form == "csv":
        path.write_text("chosen,rejected,chosen\na,b,c\n")
    elif form == "parquet":
        columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
        pq.write_table(pa.Table.from_arrays(columns, names=["chosen", "rejected", "chosen"]), path)
    else:
        path.write_text('{"chosen": "a", "rejected": "b", "chosen": "c"}\n')
    with pytest.raises(DataError, match=r'"chosen"(;| stands twice)'):
        pairs_of(place if within else path)


def test_a_card_that_asks_for_a_reading_of_its_own_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "of"
    place.mkdir()
    (place / "train.csv").write_text("a,b\n")
    (place / "README.md").write_text(
        "---\nconfigs:\n- {config_name: default, data_files: train.csv, column_names: [chosen, rejected]}\n---\n"
    )
    refuses(
        place,
        f"data set {place} asks for options of its own (names, column_names); write its rows to a plain file and name "
        "that under 'local:'",
    )


def test_a_pipe_in_the_place_of_a_copy_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    path = tmp_path / "a.jsonl"
    refuses(path, f"{path} cannot be read: it is a pipe; write its content to a file and name that")
    with pytest.raises(DataError, match="it is a pipe"):
        source(tmp_path / "a.jsonl").reads()


DATA = Path(os.environ.get("FAIRL_DATA", "/nowhere"))


@pytest.mark.skipif(not DATA.is_dir(), reason="FAIRL_DATA names no folder")
def test_real_dialogues_come_back_from_their_transcripts(tmp_path: Path) -> None:
    path = DATA / "hh_harmless_base.jsonl"
    fields: dict[str, Any] = {"identical": "drop", "empty": "drop"}
    plain = pairs_of(path, columns=Columns(prompt="prompt"), **fields)
    assert len(plain) > 2000
    rows = [(f"\n\n{prompt} {one}", f"\n\n{prompt} {other}") for prompt, one, other in
            zip(plain.prompt, plain.preferred, plain.rejected, strict=True)]  # fmt: skip
    assert transcripts(tmp_path, *rows, **fields) == plain
