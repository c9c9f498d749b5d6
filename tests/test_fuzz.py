"""Spoilt suites, thousands of them: whatever a suite says, `check` answers in words and never with a traceback."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from huggingface_hub import constants
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairl_bench.cli import main
from fairl_bench.engine import read
from fairl_bench.engine.registry import Registry
from fairl_bench.engine.yaml import dump

TOY: dict[str, Any] = {
    "name": "toy",
    "replicates": [0],
    "seeds": [0, 1],
    "models": [{"name": "toy", "use": "toy-comments", "n": 20, "gold": {"use": "toy-truth"}}],
    "split": {"by": "prompt", "validation": 0.1, "test": 0.2},
    "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 8}],
    "head": {"use": "mlp", "width": 4},
    "training": {"lr": 1e-3, "epochs": 2, "stop": {"patience": 3}},
    "methods": [{"name": "mm", "use": "max-margin", "margin": 0.8}, {"name": "length", "use": "length"}],
    "testsets": {"shifted": {"use": "toy-comments", "n": 9, "gold": {"use": "toy-truth"}}},
    "evaluate": [
        {"use": "classification", "data": ["pairs/test", "shifted"], "label": "gold"},
        {"use": "fidelity", "data": ["pairs/test"]},
    ],
    "report": {"table1": {"data": ["pairs/test"], "truth": {"pairs": "gold"}}},
}
PRODUCT: dict[str, Any] = {
    "name": "product",
    "models": [{"name": "toy", "use": "toy-comments", "n": 20}],
    "encoders": [{"name": "tfidf", "use": "tfidf"}],
    "defaults": {"max-entropy": {"temperature": 2.0}},
    "methods": [{"name": "me", "use": "max-entropy"}, {"name": "mm", "use": "max-margin"}],
    "product": {"head.width": [4, 8], "methods.mm.margin": [0.5, 1.0]},
    "exclude": [{"head.width": 4, "methods.mm.margin": 0.5}],
    "evaluate": [
        {"use": "fidelity", "data": ["pairs/test"], "truth": "preferred"},
        {"use": "classification", "data": ["pairs/test"], "label": "preferred"},
    ],
    "slices": {"baseline": "me", "near_tie": 0.2},
    "report": {"table2": {"methods": ["me", "mm"], "data": ["pairs/test"], "truth": "preferred"}},
    "claims": [{"id": "c", "better": "me", "than": "mm", "metric": "starc", "data": "pairs/test"}],
}
FILES: dict[str, Any] = {
    "name": "files",
    "extends": "base.yaml",
    "plugins": ["plugin.py"],
    "models": [
        {
            "name": "people",
            "use": "jsonl",
            "path": "pairs.jsonl",
            "columns": {"preferred": "chosen", "rejected": "rejected", "group": None},
            "gold": {"use": "role"},
            "identical": "drop",
            "limit": 5,
        }
    ],
    "testsets": {"texts": {"use": "jsonl-texts", "path": "texts.jsonl", "gold": {"column": "toxic", "good": 0}}},
    "evaluate": [
        {"use": "classification", "data": ["texts"], "label": "gold", "threshold": {"data": "pairs/train"}},
    ],
}
BASE: dict[str, Any] = {
    "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
    "methods": [{"name": "length", "use": "length", "unit": "words"}],
}
SUITES = {"toy": TOY, "product": PRODUCT, "files": FILES}
# words that mean something somewhere, so that a mutation gets further than the first check
WORDS = ["name", "use", "part", "path", "data", "me", "max-margin", "max-entropy", "tfidf", "gold", "preferred",
         "pairs",
         "pairs/test", "shifted", "head", "head.width", "methods.mm.margin", "toy-truth", "role", "jsonl", "plugin.py",
         "pairs.jsonl", "suite.yaml", "base.yaml", "extends", "product", "exclude", "defaults", ".", "..", "/", "",
         "${X}", "${X:-y}", "sentence-transformer", "nobody/nothing"]  # fmt: skip
GARBAGE = ["[", "]", "{", "}", ":", ": ", "- ", "\t", "\n", "  ", "&a ", "*a", "!!float ", "!!set ", "!!omap ", "!t ",
           "<<: ", "? ", "| ", "> ", "%YAML 1.1\n", "---\n", "...\n", "'", '"', '"\\0"', '"\\ud800"', "\x00", "\x07",
           "é", "2020-13-45", ".nan", "1e999", "0x" + "f" * 5000, "[" * 300, "#", "~: ", "\ufeff", "\u2028",
           "@", "`"]  # fmt: skip
EXAMPLES = 500  # by suite; 2,500 together, with the garbage and the options

words = st.sampled_from(WORDS) | st.text(max_size=8)
numbers = (
    st.integers(-2, 60)
    | st.floats(0, 2)
    | st.sampled_from([10**18, -(10**30), 2**63, 2**63 - 1, -0.0, 1e308, 5e-324, float("nan"), float("inf")])
)
scalars = st.none() | st.booleans() | numbers | words | st.just("x" * 5000)
keys = words | st.integers(0, 3) | st.none() | st.booleans() | st.just(float("nan"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
MUTATIONS = ("delete", "rename", "replace", "tweak", "tweak", "add", "swap", "double", "empty", "nest")
Place = tuple[Any, ...]


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every place below a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield (*here, key)
        yield from places(entry, (*here, key))


def flow(value: Any) -> str:
    """The value as YAML of one line, keys of every type included."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf"
    return json.dumps(value)


def lines(suite: dict[str, Any]) -> str:
    return "".join(f"{flow(key)}: {flow(value)}\n" for key, value in suite.items())


@st.composite
def spoilt(draw: st.DrawFn, sound: dict[str, Any]) -> dict[str, Any]:
    """The suite after one to three mutations."""
    suite = deepcopy(sound)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        found = list(places(suite))
        if not found:
            break
        *steps, last = draw(st.sampled_from(found))
        parent: Any = suite
        for step in steps:
            parent = parent[step]
        match draw(st.sampled_from(MUTATIONS)):
            case "delete":
                del parent[last]
            case "rename" if isinstance(parent, dict):
                parent[draw(keys)] = parent.pop(last)
            case "replace":
                parent[last] = draw(values)
            case "tweak" if not isinstance(parent[last], dict | list):  # a value of the same type
                parent[last] = draw(words if isinstance(parent[last], str) else numbers)
            case "add" if isinstance(parent[last], dict):
                parent[last][draw(keys)] = draw(values)
            case "swap":  # a sound value at a wrong place
                other: Any = suite
                for step in draw(st.sampled_from(list(places(suite)))):
                    other = other[step]
                parent[last] = deepcopy(other)
            case "double" if isinstance(parent[last], list):
                parent[last] = parent[last] * 2
            case "empty":
                parent[last] = type(parent[last])()
            case _:
                parent[last] = draw(st.sampled_from([[parent[last]], {"x": parent[last]}, {last: parent[last]}]))
    return suite


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Checks a suite, given as text, beside the files that sound suites name; plugins are read once."""
    registries: dict[tuple[Path, ...], Registry] = {}

    def registry(drop_ins: list[Path]) -> Registry:
        key = tuple(drop_ins)
        if key not in registries:
            registries[key] = Registry(drop_ins)
        return registries[key]

    monkeypatch.setattr(read, "Registry", registry)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("FAIRL_STORE", str(tmp_path / "store"))
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugin.py").write_text("# registers nothing\n")
    (tmp_path / "base.yaml").write_text(dump(BASE))
    (tmp_path / "pairs.jsonl").write_text('{"chosen": "a kind word", "rejected": "a rude word"}\n' * 3)
    (tmp_path / "texts.jsonl").write_text('{"text": "kind", "toxic": 0}\n{"text": "rude", "toxic": 1}\n')

    def invoke(text: str, *more: str) -> Result:
        (tmp_path / "suite.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        return CliRunner().invoke(main, ["check", "suite.yaml", *more])

    return invoke


# what a traceback or a raw validation error prints; no value that a suite may quote back matches it by accident
LEAKED = re.compile(r"Traceback \(most recent|errors\.pydantic\.dev/\d|\[type=\w+, input_value=")


def assert_answered(ran: Result) -> None:
    if not isinstance(ran.exception, SystemExit | None):
        raise AssertionError(f"a traceback: {ran.exception!r}") from ran.exception
    if ran.exit_code == 0:
        assert (ran.stderr, ran.stdout.startswith("suite.yaml: fine; ")) == ("", True)
    else:
        assert ran.exit_code == 2
        assert ran.stderr.startswith("error: ")
        assert not LEAKED.search(ran.stderr)


quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", SUITES)
def test_the_suites_that_are_spoilt_are_sound(name: str, check: Callable[..., Result]) -> None:
    ran = check(dump(SUITES[name]))
    assert (ran.exit_code, ran.stderr) == (0, "")


@pytest.mark.parametrize("name", SUITES)
def test_a_mutated_suite_is_answered_in_words(name: str, check: Callable[..., Result]) -> None:
    @quick
    @given(spoilt(SUITES[name]))
    def answer(suite: dict[str, Any]) -> None:
        assert_answered(check(lines(suite)))

    answer()


@pytest.mark.parametrize("name", SUITES)
def test_garbage_in_the_text_of_a_suite_is_answered_in_words(name: str, check: Callable[..., Result]) -> None:
    text = dump(SUITES[name])

    @settings(quick, max_examples=EXAMPLES // 2)
    @given(
        st.lists(
            st.tuples(st.integers(0, len(text)), st.integers(0, 5), st.sampled_from(GARBAGE) | st.text(max_size=4)),
            min_size=1,
            max_size=3,
        )
    )
    def answer(edits: list[tuple[int, int, str]]) -> None:
        broken = text
        for at, gone, new in edits:
            broken = broken[:at] + new + broken[at + gone :]
        assert_answered(check(broken))

    answer()


def test_any_option_is_answered_in_words(check: Callable[..., Result]) -> None:
    text = dump(TOY)
    paths = st.sampled_from([".".join(map(str, place)) for place in places(TOY)])
    characters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)

    @settings(quick, max_examples=EXAMPLES // 2)
    @given(
        paths | words | st.tuples(paths, words).map(".".join),
        st.sampled_from(GARBAGE) | characters | st.sampled_from(WORDS) | scalars.map(str),
    )
    def answer(path: str, value: str) -> None:
        assert_answered(check(text, "--set", f"{path}={value}"))

    answer()
