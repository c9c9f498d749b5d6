"""What small inputs may ask for: aliases, depth, length, cells and stages are bounded, and a refusal is short."""

from __future__ import annotations

import os
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.planner import plan
from fairl_bench.errors import LINES, WIDTH, SuiteError, brief
from fairl_bench.suite import yaml
from fairl_bench.suite.overrides import points
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import dump, load

Write = Callable[..., Path]
Cli = Callable[..., Result]

SMALL = """\
name: small
seeds: [0]
models: [{name: toy, use: toy-comments, n: 20, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 8}]
methods: [{name: me, use: max-entropy}]
evaluate: [{use: fidelity, data: [pairs/test]}]
"""


def listed(n: int, start: int = 0) -> str:
    return "[" + ",".join(map(str, range(start, start + n))) + "]"


# --- files


def multiplied(levels: int, width: int, first: str) -> str:
    """Lines in which each list holds the one before it several times."""
    rows = [f"x0: &x0 {first}"]
    rows += [f"x{i}: &x{i} [" + ",".join([f"*x{i - 1}"] * width) + "]" for i in range(1, levels)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (multiplied(12, 9, "[a, b]"), "holds more than 50,000 values, once aliases are written out"),
        (multiplied(30, 2, "{k: 1}"), "holds more than 50,000 values, once aliases are written out"),
        (multiplied(4, 60, "y" * 1000), "holds more than 4,000,000 characters, once aliases are written out"),
        (
            "x0: &x0 {a: {b: 1}}\n"
            + "\n".join(f"x{i}: &x{i} {{l: *x{i - 1}, m: {{<<: *x{i - 1}}}, n: *x{i - 1}}}" for i in range(1, 20)),
            "holds more than 50,000 values, once aliases are written out",
        ),
    ],
)
def test_aliases_that_multiply_are_refused_before_they_fill_the_memory(
    text: str, said: str, write_suite: Write
) -> None:
    path = write_suite(f"name: x\n{text}\n")
    tracemalloc.start()
    try:
        with pytest.raises(SuiteError, match=rf"^{path}:\d+: {said}"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()


def test_a_file_of_too_many_values_is_refused(write_suite: Write) -> None:
    with pytest.raises(SuiteError, match=":1: holds more than 50,000 values"):
        load(write_suite("x: [" + "1," * 60_000 + "]\n"))


def test_the_line_of_what_multiplies_is_that_of_the_key_that_does(write_suite: Write) -> None:
    path = write_suite("a: &a " + listed(999) + "\nb: 1\nc: [" + ",".join(["*a"] * 99) + "]\n")
    with pytest.raises(SuiteError, match=f"{path}:3: holds more than 50,000 values"):
        load(path)


def test_a_variable_cannot_multiply_either(write_suite: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRL_LONG", "y" * 100_000)
    path = write_suite("name: x\na: [" + ",".join(['"${FAIRL_LONG}"'] * 99) + "]\n")
    with pytest.raises(SuiteError, match=rf"{path}:2: holds more than 4,000,000 characters"):
        load(path)


def test_aliases_within_the_bounds_are_copies(write_suite: Write) -> None:
    assert len(load(write_suite(multiplied(5, 9, "[a]"))).content["x4"]) == 9


@pytest.mark.parametrize("nested", ["[" * 99 + "]" * 99, "{a: " * 99 + "}" * 99, "[" * 100_000])
def test_deep_nesting_is_told_with_its_line(nested: str, write_suite: Write) -> None:
    path = write_suite(f"name: x\na: {nested}\n")
    with pytest.raises(SuiteError, match=f"{path}:2: is nested too deeply: more than 60 lists and mappings"):
        load(path)


def test_nesting_by_aliases_is_as_deep(write_suite: Write) -> None:
    rows = ["x0: &x0 " + "[" * 40 + "]" * 40] + [f"x{i}: &x{i} [[[[[[*x{i - 1}]]]]]]" for i in range(1, 9)]
    with pytest.raises(SuiteError, match=r":5: is nested too deeply"):
        load(write_suite("\n".join(rows)))


@pytest.mark.parametrize("digits", [22, 400, 5000, 100_000])
@pytest.mark.parametrize("form", ["{}", "-{}", "+{}", "0x{}", "0o{}"])
def test_a_number_of_many_digits_is_told_with_its_line(digits: int, form: str, write_suite: Write) -> None:
    path = write_suite(f"name: x\na: {form.format(('7' if 'o' in form else '9') * max(digits, 22))}\n")
    with pytest.raises(SuiteError, match=f"{path}:2: a number has more than 18 digits"):
        load(path)


def test_leading_zeros_make_no_number_long(write_suite: Write) -> None:
    assert load(write_suite("a: " + "0" * 500 + "12\n")).content["a"] == 12


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(SuiteError, match=f"{path}:1: has more than 200,000 bytes; is it the right file"):
        load(path)


def test_files_that_extend_one_another_are_bounded_together(write_suite: Write) -> None:
    for i in range(3):
        write_suite(f"extends: {i + 1}.yaml\n# " + "x" * 90_000 + "\n", f"{i}.yaml")
    write_suite("name: x\n", "3.yaml")
    with pytest.raises(SuiteError, match=r"2.yaml:1: has more than 200,000 bytes together with the files that extend"):
        load(write_suite("extends: 0.yaml\n"))


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path: Path, write_suite: Write) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(SuiteError, match=f"^{name}: cannot be read: it is a pipe or a device, and no file"):
            load(name)
    path = write_suite("name: x\nextends: pipe.yaml\n")
    with pytest.raises(SuiteError, match=f"{path}:2: 'extends' names 'pipe.yaml', which does not exist"):
        load(path)


def test_what_is_extended_may_be_no_folder_and_no_long_chain(write_suite: Write, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SuiteError, match=r":2: 'extends' names 'folder', which is a folder"):
        load(write_suite("name: x\nextends: folder\n"))
    for i in range(20):
        write_suite(f"name: x\nextends: {i + 1}.yaml\n", f"{i}.yaml")
    with pytest.raises(SuiteError, match=r"15.yaml:2: 'extends' leads through more than 16 files"):
        load(tmp_path / "0.yaml")


# --- cells


@pytest.mark.parametrize(
    ("more", "line", "said"),
    [
        (f"product: {{head.width: {listed(200, 1)}, training.epochs: {listed(101, 1)}}}", 7,
         "the product has 20,200 points"),
        ("product: {" + ", ".join(f"head.x{i}: [1, 2, 3, 4, 5, 6, 7, 8]" for i in range(99)) + "}", 7,
         "the product has more than a million million points"),
        (f"product: {{head.width: {listed(9, 1)}}}\nreplicates: {listed(2500)}", 7,
         "the suite has 22,500 cells or more"),
        (f"product: {{seeds: [{listed(9000)}, {listed(9000)}, {listed(9000)}]}}", 7,
         "the suite has 27,000 cells or more"),
        (f"replicates: {listed(200)}\nlimits: {{cells: 199}}", 2, "the suite has 200 cells or more"),
    ],
)  # fmt: skip
def test_too_many_cells_are_told_before_they_are_planned(more: str, line: int, said: str, write_suite: Write) -> None:
    path = write_suite(f"{SMALL}{more}\n")
    started = time.process_time()
    with pytest.raises(SuiteError, match=rf"{path}:{line}: {said}, and 'limits: {{cells: \d+}}' allows \d[\d,]*; take"):
        read_study(path)
    assert time.process_time() - started < 15  # some 4; it was minutes where each cell looked at all others


def test_a_field_raises_the_limit_on_cells(write_suite: Write) -> None:
    text = SMALL.replace("seeds: [0]", f"seeds: {listed(101)}\nlimits: {{cells: 101}}")
    assert len(plan(read_study(write_suite(text))).cells) == 101


def test_what_is_excluded_is_not_counted(write_suite: Write) -> None:
    text = f"{SMALL}product: {{head.width: {listed(9, 1)}}}\nexclude: [{{head.width: [9]}}]\nlimits: {{cells: 16}}\n"
    text = text.replace("[9]", "9").replace("seeds: [0]", "seeds: [0, 1]")
    assert len(plan(read_study(write_suite(text))).cells) == 16
    with pytest.raises(SuiteError, match="the suite has 18 cells or more"):
        read_study(write_suite(text.replace("exclude", "# ")))


def test_exclusions_leave_what_they_do_not_name(write_suite: Write) -> None:
    product = {"a": [1, 2, 3], "b": [1, "x"], "c": [None, 1.0]}
    exclude = [{"a": 2}, {"b": "x", "c": 1}, {"a": 3, "b": 1, "c": None}]
    document = load(write_suite(dump({"product": product, "exclude": exclude})))
    every = [{"a": a, "b": b, "c": c} for a in product["a"] for b in product["b"] for c in product["c"]]
    left = [point for point in every if not any(gone.items() <= point.items() for gone in exclude)]
    assert points(document, 100) == left


def test_stages_are_bounded_where_cells_are_few(write_suite: Write) -> None:
    shards = SMALL.replace("dimensions: 8", "dimensions: 8, shards: 4000") + "limits: {stages: 3000}\n"
    path = write_suite(shards)
    with pytest.raises(SuiteError, match=rf"{path}:7: the suite has more than 3,000 stages to plan, which 'limits: "):
        plan(read_study(path))


def test_ten_thousand_cells_are_checked_in_seconds(write_suite: Write, cli: Cli) -> None:
    two = f"product: {{head.width: {listed(50, 1)}, training.epochs: {listed(40, 1)}}}"
    path = write_suite(SMALL.replace("seeds: [0]", f"seeds: {listed(5)}") + two)
    started = time.process_time()
    ran = cli("check", path)
    assert (ran.exit_code, "10000 cells, 2000 variants" in ran.stdout) == (0, True)
    assert time.process_time() - started < 15  # some 4; it was minutes where each cell looked at all others


def test_a_huge_number_of_texts_is_told(write_suite: Write, cli: Cli) -> None:
    ran = cli("check", write_suite(SMALL.replace("n: 20", "n: 100000000")))
    assert (ran.exit_code, "to do: 200,000,000 texts to embed" in ran.stdout) == (0, True)


@pytest.mark.parametrize("n", [10**9, 9 * 10**18])
@pytest.mark.parametrize("word", ["check", "run"])
def test_more_texts_than_any_memory_holds_are_refused(word: str, n: int, write_suite: Write, cli: Cli) -> None:
    ran = cli(word, write_suite(SMALL.replace("n: 20", f"n: {n}")))
    assert (ran.exit_code, f"is to hold {n:,} pairs, and 100,000,000 are the most" in ran.stderr) == (2, True)


# --- messages


def wide(tiny: dict[str, Any]) -> list[dict[str, Any]]:
    """Suites of many mistakes, or of long ones."""
    return [
        {**tiny, "seeds": [-1] * 5000},
        {**tiny, "methods": [{"name": f"m{i}", "use": "max-margin", "margin": -i} for i in range(1, 2000)]},
        {**tiny, "y" * 90_000: 1},
        {**tiny, "name": "y/" * 50_000},
        {**tiny, "methods": [{"name": "a", "use": "z" * 100_000}]},
        {**tiny, "training": {"epochs": ["x" * 1000] * 100}},
        {**tiny, "training": {f"k{i}": i for i in range(9000)}},
        {**tiny, "evaluate": [{"use": "fidelity", "data": [f"d{i}" for i in range(9000)]}]},
        {**tiny, "plugins": ["p" * 9000]},
        {**tiny, "extends": "e" * 9000},
        {**tiny, "claims": [{"id": "c", "better": "x", "than": "y", "metric": "z", "data": "z"}] * 3000},
    ]  # fmt: skip


@pytest.mark.parametrize("index", range(11))
def test_a_refusal_is_four_lines_of_300_characters_at_most(
    index: int, tiny: dict[str, Any], write_suite: Write, cli: Cli
) -> None:
    write_suite(dump(wide(tiny)[index]))
    started = time.process_time()
    ran = cli("check", "suite.yaml")
    assert time.process_time() - started < 15  # some 4; it was minutes where each cell looked at all others
    lines = ran.stderr.rstrip("\n").split("\n")
    assert (ran.exit_code, ran.stderr.startswith("error: suite.yaml:")) == (2, True)
    assert len(lines) <= 4
    assert max(map(len, lines)) <= 300


def test_mistakes_beyond_the_third_are_counted(tiny: dict[str, Any], write_suite: Write) -> None:
    tiny["seeds"] = [-1, -2, -3, -4, -5]
    with pytest.raises(
        SuiteError, match=r"^(.*: seeds.\d: must be at least 0, got -\d\n){3}\.\.\. and 2 other mistakes$"
    ):
        read_study(write_suite(tiny))


def test_a_brief_message_keeps_the_beginning_and_the_end_of_its_lines() -> None:
    lines = brief("\n".join(f"{i}" + "x" * 999 + f"{i}" for i in range(9))).split("\n")
    assert len(lines) == LINES
    assert max(map(len, lines)) <= WIDTH
    assert re.fullmatch(r"0x+ \.\.\. x+0", lines[0])
    assert lines[-1] == "... and 6 more lines like these"


def test_a_long_sentence_is_folded_between_its_words_and_loses_none() -> None:
    sentence = " ".join(f"word{i}" for i in range(90))
    lines = brief(sentence).split("\n")
    assert 1 < len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines) == sentence


def test_the_bounds_leave_room_for_what_we_ship() -> None:
    shipped = [*Path(yaml.__file__).parents[2].glob("suites/**/*.yaml")]
    for path in [*shipped, *Path(yaml.__file__).parents[2].glob("results/published/*.yaml")]:
        assert path.stat().st_size < yaml.BYTES / 5
