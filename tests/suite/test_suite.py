from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fairl_bench
from fairl_bench.engine.planner import plan
from fairl_bench.errors import FairlError, PluginError, SuiteError
from fairl_bench.suite.read import read_study
from fairl_bench.suite.suite import Suite

Write = Callable[..., Path]
PACKAGED = {
    "gemma3-270m",
    "gemma3-270m-toxicity",
    "smollm2-135m",
    "real-models",
    "audit-gemma3-270m",
    "audit-smollm2-best-of-3",
}  # planned in test_real_models
SUITES = sorted((Path(fairl_bench.__file__).parent.parent / "suites").glob("*.yaml"))

SUITE = """\
name: small
plugins: []
replicates: [0]
seeds: [0, 1]
models:
  - name: toy
    use: toy-comments
    n: 50
    gold: {use: toy-truth}
encoders:
  - {name: tfidf, use: tfidf, dimensions: 16}
training:
  lr: 1e-3
methods:
  - name: mm
    use: max-margin
    margin: 0.8
  - {name: length, use: length}
testsets:
  shifted: {use: toy-comments, n: 60, gold: {use: toy-truth}}
evaluate:
  - {use: classification, data: [pairs/test, shifted], label: gold}
  - use: fidelity
    data: [pairs/test]
report:
  table1:
    data: [pairs/test]
    truth: gold
"""


def test_the_suite_that_is_spoilt_below_is_sound(write_suite: Write) -> None:
    study = read_study(write_suite(SUITE))
    suite = study.suite
    assert (suite.name, suite.seeds, suite.methods[0].name, suite.training.lr) == ("small", (0, 1), "mm", 0.001)
    assert len(plan(study).cells) == 3


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("training:", "trainning:", 12, "unknown field 'trainning'; did you mean 'training'?"),
        ("    margin: 0.8", "    margn: 0.8", 17, "methods.0: unknown field 'margn'; did you mean 'margin'?"),
        ("use: max-margin", "use: max-margn", 15, "methods.0: method 'max-margn' is unknown; did you mean 'max-margin'?"),  # noqa: E501
        ("{use: toy-truth}\nenc", "{use: toytruth}\nenc", 9,
         "models.0.gold: judge 'toytruth' is unknown; did you mean 'toy-truth'?"),
        ("n: 50", "n: fifty", 8, "models.0.n: needs a whole number, got 'fifty'"),
        ("n: 50", "n: on", 8, "models.0.n: needs a whole number, got 'on'"),
        ("n: 50", "n: true", 8, "models.0.n: needs a whole number, got true"),
        ("margin: 0.8", "margin: .nan", 17, "methods.0.margin: needs a finite number, got nan"),
        ("margin: 0.8", "margin: -1", 17, "methods.0.margin: must be greater than 0, got -1"),
        ("lr: 1e-3", "lr: 0", 13, "training.lr: must be greater than 0, got 0"),
        ("seeds: [0, 1]", "seeds: [3, 3]", 4, "seeds: 3 is given twice"),
        ("seeds: [0, 1]", "seeds: [-1]", 4, "seeds.0: must be at least 0, got -1"),
        ("seeds: [0, 1]", "seeds: [40000]", 4, "seeds.0: must be at most 32767, got 40000"),
        ("name: length, use", "name: mm, use", 14, "methods: the name 'mm' is given twice"),
        ("  - name: mm\n    use", "  - use", 15, "methods.0: needs a 'name:' for the tables"),
        ("    use: max-margin\n", "", 15, "methods.0: names no method: add 'use: NAME'"),
        ("name: small\n", "", 1, "'name' is missing"),
        ("name: small", "name: a/b", 1,
         "name: a name starts with a letter or digit and holds letters, digits, '.', '_', '+' and '-' alone, "
         "got 'a/b'"),
        ("label: gold}", "label: gold, threshold: {data: pairs/trian}}", 22,
         "evaluate: data 'pairs/trian' is unknown; did you mean 'pairs/train'"),
        ("[pairs/test, shifted]", "[pairs/test, shiftd]", 22, "evaluate: data 'shiftd' is unknown; did you mean 'shifted'?"),  # noqa: E501
        ("    data: [pairs/test]\n    truth", "    data: [pairs/tst]\n    truth", 27,
         "report.table1: data 'pairs/tst' is unknown; did you mean 'pairs/test'"),
        ("data: [pairs/test]\nreport", "data: []\nreport", 24,
         "evaluate.1.data: must not be empty"),
        ("  shifted: {use: toy-comments, n: 60, gold: {use: toy-truth}}",
         "  pairs: {use: toy-comments, n: 60, gold: {use: toy-truth}}", 20,
         "a test set cannot be named 'pairs'"),
        ("plugins: []", "plugins: [gone.py]", 2, "plugin 'gone.py' does not exist"),
        ("plugins: []", "plugins: gone.py", 2, "'plugins' needs a list of file names"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, message: str, write_suite: Write) -> None:
    assert SUITE.count(old) == 1
    path = write_suite(SUITE.replace(old, new))
    with pytest.raises(SuiteError) as raised:
        read_study(path)
    said, expected = str(raised.value), f"{path}:{line}: {message}"
    # where two names are near, one is enough here
    assert said == expected or (message.endswith("'") and said.startswith(f"{expected} or ") and "\n" not in said)


def test_two_mistakes_are_two_lines(write_suite: Write) -> None:
    path = write_suite(SUITE.replace("n: 50", "n: 1").replace("lr: 1e-3", "lr: -1"))
    with pytest.raises(SuiteError, match=r"^[^\n]*models.0.n: .*got 1\n[^\n]*training.lr: .*got -1$"):
        read_study(path)


@pytest.mark.parametrize("use", ["3", "{a: b}", "[a]", "null"])
def test_a_use_that_is_no_text_is_refused_with_its_line(use: str, write_suite: Write) -> None:
    path = write_suite(SUITE.replace("use: max-margin", f"use: {use}"))
    with pytest.raises(SuiteError, match=re.escape(f"{path}:15: methods.0: 'use' needs a name, got ")):
        read_study(path)


@pytest.mark.parametrize("key", ["models", "methods", "encoders", "evaluate", "testsets", "report", "split"])
@pytest.mark.parametrize("value", ["3", "text", "[3]", "{3: 4}", "[{name: x}]", "[[]]", "null", "{a: null}"])
def test_nonsense_anywhere_is_an_error_with_a_line_and_never_a_crash(key: str, value: str, write_suite: Write) -> None:
    text = re.sub(rf"^{key}:.*\n(?:[ ].*\n)*", "", SUITE, flags=re.M)
    path = write_suite(f"{key}: {value}\n{text}")
    with pytest.raises(SuiteError, match=re.escape(f"{path}:1: ")):
        read_study(path)


def test_a_broken_drop_in_of_a_suite_is_named(write_suite: Write, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(PluginError, match=f"plugin {tmp_path / 'bad.py'} is broken: ZeroDivisionError"):
        read_study(write_suite(SUITE.replace("plugins: []", "plugins: [bad.py]")))


def test_nothing_in_the_working_directory_is_loaded_unasked(
    write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugin.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    assert read_study(write_suite(SUITE)).registry.drop_ins == ()


def file_suite(path: str) -> str:
    return SUITE.replace("use: toy-comments\n    n: 50", f"use: jsonl\n    path: {path}").replace(
        "toy-truth}\n", "role}\n", 1
    )


def test_a_relative_file_is_found_beside_the_suite_and_one_in_a_variable_from_the_working_directory(
    write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("FAIRL_DATA", os.path.relpath(tmp_path / "elsewhere", "/"))
    beside = read_study(write_suite(file_suite("data/x.jsonl"), "deep/suite.yaml"))
    variable = read_study(write_suite(file_suite("${FAIRL_DATA}/x.jsonl"), "deep/suite.yaml"))
    found = [study.suite.models[0].part.path for study in (beside, variable)]  # type: ignore[attr-defined]
    assert found == [f"{tmp_path}/deep/data/x.jsonl", f"{tmp_path}/elsewhere/x.jsonl"]


def test_a_resolved_suite_means_the_same_anywhere(write_suite: Write, tmp_path: Path) -> None:
    from fairl_bench.suite.yaml import dump

    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pairs.jsonl").write_text('{"chosen": "a", "rejected": "b"}\n')
    (tmp_path / "deep" / "plugin.py").write_text("# nothing\n")
    text = file_suite("pairs.jsonl").replace("plugins: []", "plugins: [plugin.py]")
    study = read_study(write_suite(text, "deep/suite.yaml"))
    again = read_study(write_suite(dump(study.suite.plain()), "other/resolved.yaml"))
    assert again.suite == study.suite
    assert plan(again).stages.keys() == plan(study).stages.keys()


@pytest.mark.parametrize(
    ("truth", "expected"),
    [
        (None, ["gold", "gold", "gold"]),
        ("preferred", ["preferred", "preferred", "preferred"]),
        ({"pairs": "preferred"}, ["preferred", "preferred", "gold"]),
        ({"pairs": "preferred", "pairs/test": "gold", "shifted": "preferred"}, ["preferred", "gold", "preferred"]),
    ],
)
def test_the_truth_of_a_column_is_that_of_its_data_else_of_the_pairs_else_gold(truth: Any, expected: list[str]) -> None:
    from fairl_bench.tables.leaderboard import Leaderboard

    layout = Leaderboard.model_validate({"data": ["x"], **({} if truth is None else {"truth": truth})})
    assert [layout.truth_of(data) for data in ("pairs/train", "pairs/test", "shifted")] == expected


@pytest.mark.parametrize("path", [path for path in SUITES if path.stem not in PACKAGED], ids=lambda path: path.stem)
def test_every_suite_in_the_repository_loads_and_plans(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of every suite: one may extend another
    for name in re.findall(r"\$\{FAIRL_DATA\}/([\w.]+)", "".join(one.read_text() for one in SUITES)):
        row = '{"chosen": "a", "rejected": "b", "prompt": "", "text": "c", "toxic": 0}\n'
        (tmp_path / name).write_text(row * 2)
    monkeypatch.setenv("FAIRL_DATA", str(tmp_path))
    try:
        study = read_study(path)
        made = plan(study)
    except FairlError as error:
        pytest.fail(str(error))
    assert made.cells
    assert made.worlds
    assert study.suite.name == path.stem


def test_there_are_suites_in_the_repository() -> None:
    assert {path.stem for path in SUITES} >= {"detox", "paradetox", "plugins", *PACKAGED}


def _of(name: str) -> Suite:
    return read_study(next(path for path in SUITES if path.stem == name)).suite


def test_the_main_job_has_six_worlds_and_three_seeds_of_each() -> None:
    assert (len(_of("detox").replicates), len(_of("detox").seeds)) == (6, 3)


@pytest.mark.parametrize("name", ["paradetox", "claims-paradetox", "detox-real-text", "detox-two-worlds", "encoders"])
def test_what_makes_the_main_job_cheap_stays_out_of_the_suites_that_extend_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRL_DATA", str(tmp_path))
    suite = _of(name)
    assert len(suite.seeds) == 5
    minilm = next(encoder.part for encoder in suite.encoders if encoder.name == "minilm")
    assert minilm.model_dump(include={"dtype", "batch"}) == {"dtype": "float32", "batch": 16}


def test_a_part_whose_own_check_fails_on_a_value_is_told_at_its_line(write_suite: Write, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "from pydantic import field_validator\nfrom fairl_bench import PairwiseMethod, hookimpl\n"
        "class Odd(PairwiseMethod):\n    width: float = 1.0\n"
        "    @field_validator('width')\n    @classmethod\n    def _look(cls, width):\n        return {}[width]\n"
        "    def loss(self, margin):\n        return margin\n"
        "@hookimpl\ndef fairl_methods(register):\n    register('odd', Odd)\n"
    )
    text = SUITE.replace("plugins: []", "plugins: [odd.py]").replace("use: length", "use: odd, width: 2.0")
    said = "methods.1: method 'odd' cannot be made of these values: KeyError: 2.0"
    with pytest.raises(SuiteError, match=re.escape(f"suite.yaml:18: {said}")):
        read_study(write_suite(text))


def test_a_weight_that_grows_beyond_all_numbers_is_told_at_its_line(write_suite: Write) -> None:
    grows = "use: failure-aware, base: {use: max-entropy}, detector: {use: all}, rounds: 9000, " \
            "failure_weight: {use: exponential, start: 1.0, factor: 1e300}"  # fmt: skip
    with pytest.raises(
        SuiteError, match=r"suite.yaml:18: methods.1: round 8999: failure_weight inf must be at least 0"
    ):
        read_study(write_suite(SUITE.replace("use: length", grows)))
