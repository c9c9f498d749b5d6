"""Data files that people and programs get wrong: each is read as it is, or refused in a sentence, by all readers.

Each file is made from a number.  The short form makes 60 of them, the long one (``FAIRL_FAULTS=long``) 300.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner

from fairl_bench.builtin.prompts import JsonlPrompts
from fairl_bench.builtin.shared.label_columns import GoldColumn
from fairl_bench.builtin.sources.files import Csv, Jsonl
from fairl_bench.builtin.sources.hub_dataset import HubDataset
from fairl_bench.builtin.testsets import JsonlTexts
from fairl_bench.cli.main import main
from fairl_bench.cli.tables import rendered
from fairl_bench.errors import DataError
from fairl_bench.results.csv_scores import read_scores
from fairl_bench.results.evaluate import evaluate
from fairl_bench.values.data import GOLD, Pairs

LONG = os.environ.get("FAIRL_FAULTS") == "long"
SEEDS = range(300 if LONG else 60)
SEED = int(os.environ.get("FAIRL_FAULTS_SEED", "20"))

Rng = np.random.Generator
Row = dict[str, Any]
WORDS = (
    "NA",
    "null",
    "None",
    "nan",
    "",
    "true",
    "007",
    "1e5",
    "-",
    "kind",
    "rude",
    "naïve ☕",
    "a\u2028b",
    "x" * 140_000,
)


class Made(NamedTuple):
    """A file's bytes, and what it says: rows of texts, or None where it must be refused."""

    content: bytes
    rows: list[Row] | None


def pick(rng: Rng, words: tuple[str, ...] = WORDS) -> str:
    return words[int(rng.integers(len(words)))]


def some_rows(rng: Rng) -> list[Row]:
    n = int(rng.integers(20, 40))
    return [{"chosen": f"{pick(rng)} a{i}", "rejected": f"{pick(rng)} b{i}"} for i in range(n)]


def as_jsonl(rows: list[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: list[Row]) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return "\n".join([",".join(rows[0]), *(",".join(map(cell, row.values())) for row in rows)]) + "\n"


# --- what goes wrong with any text file

Spoil = Callable[[str, list[Row], Rng], Made]
ANY: dict[str, Spoil] = {
    "as it is": lambda text, rows, rng: Made(text.encode(), rows),
    "mark of order": lambda text, rows, rng: Made(b"\xef\xbb\xbf" + text.encode(), rows),
    "other line ends": lambda text, rows, rng: Made(text.replace("\n", "\r\n").encode(), rows),
    "no last line end": lambda text, rows, rng: Made(text.rstrip("\n").encode(), rows),
    "blank lines": lambda text, rows, rng: Made(text.replace("\n", "\n\n").encode(), rows),
    "utf-16": lambda text, rows, rng: Made(text.encode("utf-16"), None),
    "utf-16 without a mark": lambda text, rows, rng: Made(text.encode("utf-16-le"), None),
    "latin-1": lambda text, rows, rng: Made(text.encode() + "é".encode("latin-1") + b"\n", None),
    "null character": lambda text, rows, rng: Made(text.encode() + b"\0\n", None),
    "nothing": lambda text, rows, rng: Made(b"", None),
    "lines of space": lambda text, rows, rng: Made(b" \n\n", None),
    "cut short": lambda text, rows, rng: Made(text.encode()[:-4], None),
    "a bit turned": lambda text, rows, rng: Made(turned(text.encode(), rng), None),
}


def turned(content: bytes, rng: Rng) -> bytes:
    """The highest bit of one letter set: no longer UTF-8, where it stands alone."""
    plain = [i for i in range(1, len(content) - 1) if max(content[i - 1 : i + 2]) < 128]
    at = plain[int(rng.integers(len(plain)))]
    return content[:at] + bytes([content[at] | 0x80]) + content[at + 1 :]


# --- what goes wrong with JSON, and with CSV

TEXTS_NO = [None, 3, 0.5, True, ["a"], {"of": "a"}, " ", "half a pair \ud800"]


def with_value(text: str, rows: list[Row], rng: Rng) -> Made:
    wrong = TEXTS_NO[int(rng.integers(len(TEXTS_NO)))]
    return Made((text + json.dumps({"chosen": wrong, "rejected": "b"}) + "\n").encode(), None)


def with_line(line: str) -> Spoil:
    return lambda text, rows, rng: Made((text + line + "\n").encode(), None)


def with_more(more: str) -> Spoil:
    """Another column, which nobody reads."""
    return lambda text, rows, rng: Made(text.replace("{", f'{{"more": {more}, ').encode(), rows)


JSON: dict[str, Spoil] = {
    "no text": with_value,
    "name twice": with_line('{"chosen": "a", "rejected": "b", "chosen": "c"}'),
    "name twice within": with_line('{"chosen": "a", "rejected": "b", "more": {"x": 1, "x": 2}}'),
    "not a number": with_line('{"chosen": "a", "rejected": "b", "more": NaN}'),
    "infinite": with_line('{"chosen": "a", "rejected": "b", "more": Infinity}'),
    "too large": with_line('{"chosen": "a", "rejected": "b", "more": 1e999}'),
    "too many digits": with_line('{"chosen": "a", "rejected": "b", "more": ' + "9" * 9000 + "}"),
    "too deep": with_line('{"chosen": "a", "rejected": "b", "more": ' + "[" * 50_000 + "}"),
    "no object": with_line('["a", "b"]'),
    "control character": with_line('{"chosen": "a\tb", "rejected": "b"}'),
    "no such column": with_line('{"chosem": "a", "rejected": "b"}'),
    "equal texts": with_line('{"chosen": "a", "rejected": "a"}'),
    "many digits": with_more("9" * 1000),
    "nested": with_more('[{"a": [1.5, null, true]}]'),
    "null beside": with_more("null"),
}


def renamed(head: str, sound: bool) -> Spoil:
    return lambda text, rows, rng: Made(text.replace("chosen,rejected", head).encode(), rows if sound else None)


def wider(head: str, cell: str, sound: bool) -> Spoil:
    def spoil(text: str, rows: list[Row], rng: Rng) -> Made:
        wide = [{**row, "more": cell} for row in rows]
        return Made(as_csv(wide).replace("chosen,rejected,more", head).encode(), rows if sound else None)

    return spoil


CSV: dict[str, Spoil] = {
    "column twice": wider("chosen,rejected,chosen", "other", False),
    "column without a name": wider("chosen,rejected,", "other", True),
    "column beside": wider("chosen,rejected,more", "NA", True),
    "another name": renamed("chosem,rejected", False),
    "another mark": renamed("chosen;rejected", False),
    "space in a name": renamed("chosen, rejected", False),
    "too few cells": with_line("alone"),
    "too many cells": with_line("a,b,c"),
    "open quote": with_line('"a,b'),
    "text behind a quote": with_line('"a"b,c'),
    "empty cell": with_line("a,"),
    "header alone": lambda text, rows, rng: Made(b"chosen,rejected\n", None),
}


def spoilt(form: str, seed: int) -> Made:
    """One file: its fault in turn, its rows and the place of the fault drawn."""
    own, write = (JSON, as_jsonl) if form == "jsonl" else (CSV, as_csv)
    faults = [*(own | ANY).items()]
    name, spoil = faults[seed % len(faults)]
    rng = np.random.default_rng([SEED, seed])
    rows = some_rows(rng)
    if name == "cut short" and form == "csv":  # else what is left may be a row
        return Made(write(rows).encode()[:-2], None)
    return spoil(write(rows), rows, rng)


def told(error: DataError) -> str:
    """The sentence of an error, short enough to be read."""
    said = str(error)
    assert len(said) <= 300, said
    assert "\n" not in said
    return said


def read(source: Any) -> Pairs | str:
    """The pairs of a source, or the sentence that refuses them: the same from a check as from the real thing."""
    try:
        found: Pairs = source.pairs(np.random.default_rng(0))
    except DataError as error:
        with pytest.raises(DataError):
            source.check()
        return told(error)
    source.check()
    return found


PLACES = ("pairs", "pa*rs", "pa[ir]s", "what?", "{a,b}", "a b", "a%5bb", "a#b", "a::b", "ü")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_is_read_as_it_is_or_refused_by_every_reader(seed: int, tmp_path: Path) -> None:
    form = "jsonl" if seed % 2 else "csv"
    made = spoilt(form, seed // 2)
    folder = tmp_path / PLACES[seed % len(PLACES)]
    folder.mkdir()
    path = folder / f"{PLACES[(seed // 3) % len(PLACES)]}.{form}"
    # what a pattern would find in its place
    decoy = tmp_path / "pairs" / path.name.replace("*", "i")
    decoy.parent.mkdir(exist_ok=True)
    decoy.write_text(as_jsonl([{"chosen": "decoy", "rejected": "b"}]))
    path.write_bytes(made.content)
    plain = (Jsonl if form == "jsonl" else Csv)(path=str(path))
    answers = [read(source) for source in (plain, HubDataset(dataset="a/b", local=str(path)))]
    for answer in answers:
        if made.rows is None:
            assert isinstance(answer, str), f"{answer} of {made.content[-200:]!r}"
        else:
            expected = Pairs(*(tuple(row[side] for row in made.rows) for side in ("chosen", "rejected")))
            assert answer == expected
    if form == "jsonl":
        same_of_others(path, made)


def same_of_others(path: Path, made: Made) -> None:
    """Test sets and prompts read a file as sources do; what is wrong with a pair alone is none of theirs."""
    for ask in (
        lambda: JsonlTexts(path=str(path), text="chosen").examples(np.random.default_rng(0)).text,
        lambda: sorted(JsonlPrompts(path=str(path), prompt="chosen").texts(10**6, np.random.default_rng(0))),
    ):
        try:
            found = ask()
        except DataError as error:
            found = told(error)
        if made.rows is not None:
            assert sorted(found) == sorted(row["chosen"] for row in made.rows)


# --- files of scores

NUMBERS = ("1", "-1", "0", "", "1.0", " 1", "yes", "nan", "inf", "1e400", "2", "0.5", "true", "١", "1_0")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_of_scores_is_read_as_it_is_or_refused(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([SEED, 1, seed])
    labels = [pick(rng, NUMBERS[: 3 + seed % len(NUMBERS)]) for _ in range(6)]
    head = ["example,reward,label", "example,reward,label,reward", "example,reward,label,label"][seed % 7 % 3]
    lines = [f"{i},{i},{label}" + ",1" * (head.count(",") - 2) for i, label in enumerate(labels)]
    path = tmp_path / "s.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    try:
        file = read_scores(path)
    except DataError as error:
        told(error)
        return
    (sheet,), notes = file.sheets, file.notes
    assert head.count(",") == 2
    numbers = [float(label) if label else 0.0 for label in labels]
    bad_by_zero = 0.0 in numbers and -1.0 not in numbers
    assert any("0 is read as bad" in note for note in notes) == (
        bad_by_zero and any(float(x) == 0 for x in labels if x)
    )
    label = sheet.examples.truths["gold"].label.tolist() if "gold" in sheet.examples.truths else [0] * 6
    zero = -1 if any("0 is read as bad" in note for note in notes) else 0
    assert label == [0 if not text else int(float(text)) or zero for text in labels]


NASTY = (
    *(
        "",
        "0",
        "1",
        "-1",
        "x",
        "9" * 5000,
        "1e400",
        "1e300",
        "-1e300",
        "nan",
        "1e-320",
        "9" * 20,
        "-5",
        "all",
        "a,b",
        "é",
    ),
    *("\ud7ff", "preferred", "rejected", "gold", "subtype:x", "subtype:", "train", " ", "1.5", "٣", "0x1", "=cmd()"),
    *("\u202e", "a" * 3000, "{}", '{"a": 1}', "[1]"),
)
COLUMNS = (
    *(
        "model",
        "encoder",
        "head",
        "method",
        "variant",
        "replicate",
        "seed",
        "dataset",
        "split",
        "example",
        "pair",
        "role",
    ),
    *("group", "prompt", "text", "reward", "predicted", "truth", "value", "label"),
)
USUAL: dict[str, Callable[[Rng, int], str]] = {
    "example": lambda rng, i: str(i),
    "reward": lambda rng, i: f"{rng.normal():.2f}",
    "value": lambda rng, i: f"{rng.normal():.2f}",
    "label": lambda rng, i: str(rng.choice([1, -1])),
    "predicted": lambda rng, i: str(rng.choice([0, 1])),
    "pair": lambda rng, i: str(i // 2),
    "role": lambda rng, i: ("preferred", "rejected")[i % 2],
    "seed": lambda rng, i: "0",
    "replicate": lambda rng, i: "0",
}


@pytest.mark.parametrize("seed", range(2000 if LONG else 100))
def test_whatever_a_file_of_scores_holds_is_answered_with_tables_or_a_sentence(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng([SEED, 3, seed])
    columns = [name for name in COLUMNS if rng.random() < 0.3 or name == "reward" or (name == "label" and seed % 4)]
    n = int(rng.integers(1, 14))
    rows = [[USUAL[name](rng, i) if name in USUAL else "" for name in columns] for i in range(n)]
    for _ in range(int(rng.integers(0, 4))):
        at, word = int(rng.integers(len(columns))), pick(rng, NASTY)
        for row in rows if rng.random() < 0.5 else [rows[int(rng.integers(n))]]:
            row[at] = word
    path = tmp_path / "s.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    try:
        scored = evaluate(path)
    except DataError as error:
        told(error)
    else:
        assert rendered(list(scored.tables.values()), "terminal")


# --- labels, from the command line

VALUES: tuple[Any, ...] = (0, 1, "0", "1", True, False, None, "", -1, 2, 0.5, 1.0, "toxic", "clean", "clean ", "NA")
SUITE = """\
name: small
seeds: [0]
models: [{name: toy, use: synthetic-linear, n: 60}]
encoders: [{name: numbers, use: numbers}]
methods: [{name: length, use: length}]
testsets: {texts: {use: jsonl-texts, path: texts.jsonl, gold: %s}}
evaluate: [{use: classification, data: [texts], label: gold}]
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_are_what_is_declared_or_refused_in_a_sentence(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng([SEED, 2, seed])
    few = [VALUES[int(i)] for i in rng.permutation(len(VALUES))[: int(rng.integers(1, 4))]]
    good, *others = few if few[0] is not None else [0, *few]
    gold: Row = {"column": "toxic", "good": good} | (
        {"bad": [v for v in others if v is not None] or 9} if seed % 2 else {}
    )
    values = [few[int(i)] for i in rng.integers(len(few), size=12)]
    rows = [{"text": f"{i}", "toxic": value} for i, value in enumerate(values)]
    (tmp_path / "texts.jsonl").write_text(as_jsonl(rows))
    (tmp_path / "suite.yaml").write_text(SUITE % json.dumps(gold))
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, ["check", "suite.yaml", "--store", "store"])
    assert ran.exit_code in (0, 2), ran.output
    assert ran.exception is None or isinstance(ran.exception, SystemExit)
    if ran.exit_code == 2:
        assert len(ran.stderr) <= 500
        assert "toxic" in ran.stderr or "gold" in ran.stderr
        return
    made = GoldColumn.model_validate({name: tuple(v) if isinstance(v, list) else v for name, v in gold.items()})
    part = JsonlTexts(path="texts.jsonl", gold=made)
    label = part.examples(np.random.default_rng(0)).truths[GOLD].label.tolist()

    def same(one: Any, other: Any) -> bool:
        return one == other and isinstance(one, bool) == isinstance(other, bool)

    assert label == [0 if value is None else 1 if same(value, good) else -1 for value in values]
    assert any(label)
