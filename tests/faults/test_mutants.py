"""Spoilt suites, thousands of them: whatever a suite says, `check` answers soon and in words, at the line.

Some are made by hypothesis from small suites; the others are the suites that we ship, spoilt in a process of its own
whose time and memory are watched.  The long form is ``tox -e faults``.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result
from huggingface_hub import constants
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from fairl_bench.cli.main import main
from fairl_bench.kinds import KINDS
from fairl_bench.suite import read
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.yaml import dump

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
    "claims": [
        {"id": "c", "better": "me", "than": "mm", "metric": "starc", "data": "pairs/test", "truth": "preferred"}
    ],
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
LONG = os.environ.get("FAIRL_FAULTS") == "long"
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
EXAMPLES = 500 if LONG else 30  # by suite; five times as many together, with the garbage and the options

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
AT_A_LINE = re.compile(r"error: (--set |\S+: cannot be read: |.*?:\d+: )")


def complaint(code: int, stdout: str, stderr: str, raised: BaseException | None) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if not isinstance(raised, SystemExit | None):
        return f"a traceback: {raised!r}"
    if code == 0:
        return "" if (stderr, ": fine; " in stdout.partition("\n")[0]) == ("", True) else f"said {stderr or stdout}"
    told = stderr.rstrip("\n").split("\n")
    if code != 2 or not stderr.startswith("error: ") or LEAKED.search(stderr):
        return f"code {code}: {stderr[:500]}"
    if not AT_A_LINE.match(stderr):
        return f"no line: {stderr[:300]}"
    return "" if len(told) <= 4 and max(map(len, told)) <= 300 else f"too long: {stderr[:300]}"


def assert_answered(ran: Result) -> None:
    wrong = complaint(ran.exit_code, ran.stdout, ran.stderr, ran.exception)
    if wrong:
        raise AssertionError(wrong) from ran.exception


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


# --- the suites that we ship

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for path in (ROOT / "suites").rglob("*.yaml"))
MUTANTS = 2_000 if LONG else 70
SEED = int(os.environ.get("FAIRL_FAULTS_SEED", "7"))
SECONDS, BYTES = 5.0, 500 * 2**20


class Raw(str):
    """YAML that stands as it is in what `flow` writes."""

    __slots__ = ()


def bomb(levels: int, width: int = 10) -> str:
    """Lines whose aliases multiply."""
    first = "x0: &x0 [" + "x," * width + "]\n"
    return first + "".join(f"x{i}: &x{i} [" + f"*x{i - 1}," * width + "]\n" for i in range(1, levels))


HOSTILE = [Raw(text) for text in (
    "!x [1]", "!!python/object/apply:os.system [echo]", "!!set {a}", "!!binary aGk=", "!!float x", "&r [*r]", "*gone",
    "[" * 3000 + "]" * 3000, "{a: " * 500 + "}" * 500, "9" * 400, "0x" + "f" * 4000, "-" + "9" * 30, "1_000", "+nan",
    ".inf", "-.INF", ".NaN", "1e999", "0o17", "0b11", "12:30:45", "2020-01-01", "2020-13-45", "~", "{<<: {a: 1}}",
    "{<<: [{a: 1}, {a: 2}], a: 3}", "{<<: 3}", "{<<: {}, <<: {}}", "{? [a] : b}", "{? {a: b} : c}", "{null: 1}",
    "{true: 1, 1.5: 2}", "{a: 1, a: 2}", "{a: 1, 'a': 2}", "{1: a, 0x1: b}", '"${}"', '"${NOT_SET_HERE}"',
    '"${A:-${B}}"',
    '"${A:-x}"', '"${1}"', '"${"', '"\\0"', '"\\ud800"', "'" + "y" * 100_000 + "'", "'\U0001f600\u202e\u0301'",
    "[" + "1," * 20_000 + "]", "[" + "a," * 60_000 + "]", "{" + ", ".join(f"k{i}: {i}" for i in range(3000)) + "}",
)]  # fmt: skip
LINES = ["---", "...", "%YAML 1.1\n---", "%TAG ! tag:x,2000:\n---", "\t", "- a", "? b", "!x", "&a", "*a", "<<: *a",
         "name: again", "seeds: [0]\nseeds: [1]", "extends: detox.yaml", "extends: nothing.yaml", "extends: .",
         "extends: mutant.yaml", "extends: /dev/zero", "extends: [a]", "extends: !x detox.yaml", "\ufeff", "\x00",
         "a: 'b",
         bomb(4), bomb(9), "defaults: {max-margin: {margin: [" + "1," * 2000 + "]}}",
         "seeds: [" + ",".join(map(str, range(9000))) + "]", "seeds: [" + ",".join(map(str, range(700))) + "]",
         "replicates: [" + ",".join(map(str, range(32768))) + "]",
         "product: {head.width: [" + ",".join(map(str, range(1, 2000))) + "]}",
         "product: {" + ", ".join(f"'training.x{i}': [1, 2, 3]" for i in range(30)) + "}",
         "product: {head.width: [1, 2, 3]}\nexclude: [{head.width: 4}]"]  # fmt: skip


def written(value: Any) -> str:
    """The value as `flow` writes it, raw pieces as they stand."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(entry)}" for key, entry in value.items()) + "}"
    return "[" + ", ".join(map(written, value)) + "]" if isinstance(value, list) else flow(value)


def values_of(schema: dict[str, Any], random: Random) -> Any:
    """A value near what the schema of a field allows: at its bounds, one beyond, or of another type."""
    if "anyOf" in schema:
        return values_of(random.choice(schema["anyOf"]), random)
    if "enum" in schema or "const" in schema:
        known = schema.get("enum", [schema.get("const")])
        return random.choice([*known, f"{known[0]}x", str(known[0]).upper(), None])
    bounds = [schema[name] for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if name in schema]
    near = [bound + step for bound in bounds for step in (-1, 0, 1, 1e-9)]
    match schema.get("type"):
        case "integer":
            return random.choice([*near, 0, 1, 3, 2**31, 2**53 + 1, 2**63 - 1, 9 * 10**18, True, 1.0, "1", Raw("1e3")])
        case "number":
            return random.choice([*near, 0, 0.5, -0.0, 5e-324, 1e308, Raw(".nan"), Raw("-.inf"), "0.5", False])
        case "array":
            inner = [values_of(schema.get("items", {}), random) for _ in range(random.choice([0, 1, 2, 3, 400]))]
            return random.choice([inner, inner * 2, "a", {}])
        case "object":
            return random.choice([{}, {"use": "max-margin"}, {"": None}, [], "x", {"use": {"use": "x"}}])
        case "boolean":
            return random.choice([True, False, 0, "yes", None])
    return random.choice(["", "x", "pairs/test", "a" * 3000, "é\u202e", "/dev/zero", "${HOME}", 3, None, [], {}])


def fields_of_parts(registry: Registry) -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """By ``use``, the fields of the parts of that name with their schemas."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for kind in KINDS:
        for name in registry.names(kind):
            found.setdefault(name, []).extend(registry.find(kind, name).model_json_schema()["properties"].items())
    return found


def at(suite: Any, place: Place) -> Any:
    for step in place:
        suite = suite[step]
    return suite


def mutated(suite: dict[str, Any], random: Random, fields: dict[str, list[tuple[str, dict[str, Any]]]]) -> None:
    """One change of the structure, in place."""
    found = list(places(suite))
    if not found:
        return
    *steps, last = random.choice(found)
    parent = at(suite, tuple(steps))
    match random.randrange(14):
        case 0:
            del parent[last]
        case 1:
            parent[last] = random.choice(HOSTILE)
        case 2 if isinstance(parent, dict):
            parent[random.choice([*WORDS, Raw("null"), Raw("[a]"), 3])] = parent.pop(last)
        case 3:  # a sound value at a wrong place
            parent[last] = deepcopy(at(suite, random.choice(found)))
        case 4:
            other = random.choice(found)
            there = at(suite, other[:-1])
            if not isinstance(there[other[-1]], dict | list) and not isinstance(parent[last], dict | list):
                parent[last], there[other[-1]] = there[other[-1]], parent[last]
        case 5 if isinstance(parent[last], list):
            parent[last] = parent[last] * random.choice([2, 30])
        case 6:
            parent[last] = random.choice(["", [], {}, None, [parent[last]], {last: parent[last]}])
        case _:  # a field of a part by its schema
            parts = [
                place for place in [(), *found] if isinstance(at(suite, place), dict) and "use" in at(suite, place)
            ]
            part = at(suite, random.choice(parts)) if parts else suite
            known = fields.get(part.get("use")) if isinstance(part.get("use"), str) else None
            name, schema = random.choice(known or [("use", {"type": "string"})])
            part[name] = values_of(schema, random)


def spoilt_text(text: str, random: Random) -> bytes:
    """One to three changes of the text: lines gone, twice, elsewhere or new, pieces cut out or put in, single bytes."""
    for _ in range(random.choice([1, 1, 2, 3])):
        rows = text.split("\n")
        at_row = random.randrange(len(rows))
        spot = random.randrange(len(text) + 1)
        match random.randrange(8):
            case 0:
                del rows[at_row : at_row + random.choice([1, 1, 3])]
            case 1:
                rows.insert(at_row, rows[at_row])
            case 2:
                other = random.randrange(len(rows))
                rows[at_row], rows[other] = rows[other], rows[at_row]
            case 3 | 4:
                rows.insert(random.choice([0, at_row, len(rows)]), random.choice(LINES))
            case 5:
                rows[at_row] = rows[at_row].replace(": ", random.choice([":", ": !x ", ": &b ", ": |", ": ? "]), 1)
            case 6:
                piece = random.choice([*GARBAGE, *HOSTILE, ""])
                rows = (text[:spot] + piece + text[spot + random.choice([0, 1, 9]) :]).split("\n")
            case _:
                rows = text[:spot].split("\n")
        text = "\n".join(rows)
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(random.choice([0, 0, 0, 1, 5])):
        if data:
            data[random.randrange(len(data))] = random.randrange(256)
    return bytes(data)


def mutant(random: Random, fields: dict[str, list[tuple[str, dict[str, Any]]]]) -> bytes:
    """A suite that we ship, spoilt in its structure or in its text."""
    text = random.choice(SHIPPED).read_text(encoding="utf-8")
    text = text.replace("extends: ../", "extends: ")
    if random.random() < 0.3:
        return spoilt_text(text, random)
    suite = YAML(typ="safe", pure=True).load(text)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        mutated(suite, random, fields)
    made = "".join(f"{written(key)}: {written(value)}\n" for key, value in suite.items())
    return made.encode("utf-8", "surrogatepass")


def beside(folder: Path) -> None:
    """What the shipped suites name, in small: their neighbours, the plugins, and a data file for each."""
    for path in SHIPPED:
        (folder / path.name).write_bytes(path.read_bytes().replace(b"extends: ../", b"extends: "))
    (folder.parent / "plugins").symlink_to(ROOT / "plugins")
    pairs = '{"prompt": "", "chosen": "a kind word", "rejected": "a rude word"}\n' * 3
    texts = '{"text": "rude", "toxic": 1, "obscene": 1, "threat": 0, "insult": 0, "identity_attack": 0}\n'
    texts += texts.replace("1", "0")
    named = {name for path in SHIPPED for name in re.findall(r"\$\{FAIRL_DATA\}/([\w.-]+)", path.read_text())}
    (folder / "data").mkdir()
    for name in named:
        (folder / "data" / name).write_text(pairs if "pairs" in name else texts)


def most_memory() -> int:
    """The most bytes that this process has held; ru_maxrss would tell of the process that started it as well."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def watch(n: int, seed: int, folder: Path) -> None:
    """Check so many mutants in this process, and print a line of JSON for each that is not answered as it should be."""
    os.environ |= {"FAIRL_DATA": str(folder / "data"), "FAIRL_STORE": str(folder / "store"), "HF_HUB_OFFLINE": "1"}
    beside(folder)
    os.chdir(folder)
    random, registries = Random(seed), dict[tuple[Path, ...], Registry]()
    fields = fields_of_parts(Registry())

    def registry(drop_ins: list[Path]) -> Registry:
        return registries.setdefault(tuple(drop_ins), Registry(drop_ins)) if drop_ins else registries[()]

    registries[()] = Registry()
    read.Registry = registry  # type: ignore[attr-defined]
    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))  # a machine is not taken down by a fault
    highest = 0
    for i in range(n):
        data = mutant(random, fields)
        (folder / "mutant.yaml").write_bytes(data)
        print(json.dumps({"begun": i}), flush=True)
        started = time.process_time()
        ran = CliRunner().invoke(main, ["check", "mutant.yaml"])
        seconds, memory = time.process_time() - started, most_memory()
        wrong = complaint(ran.exit_code, ran.stdout, ran.stderr, ran.exception)
        if seconds > SECONDS:
            wrong = f"took {seconds:.1f} s; {ran.output[:200]}"
        if memory > max(BYTES, highest):
            wrong = f"took {memory / 2**20:.0f} MiB; {ran.output[:200]}"
        highest = max(highest, memory)
        if wrong:
            kept = folder / f"wrong-{i}.yaml"
            kept.write_bytes(data)
            print(json.dumps({"wrong": wrong, "mutant": str(kept)}), flush=True)
        print(json.dumps({"code": ran.exit_code, "seconds": seconds, "memory": memory}), flush=True)


def test_a_mutant_of_a_shipped_suite_is_answered_soon_in_little_memory_and_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    command = [sys.executable, __file__, str(MUTANTS), str(SEED), str(tmp_path / "suites")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60 + 3 * MUTANTS, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [one for one in told if "wrong" in one] == []
    answers = [one for one in told if "code" in one]
    assert len(answers) == MUTANTS
    codes = [one["code"] for one in answers]
    print(f"{codes.count(0)} fine, {codes.count(2)} refused; at most {max(one['seconds'] for one in answers):.1f} s and"
          f" {max(one['memory'] for one in answers) / 2**20:.0f} MiB")  # fmt: skip
    assert 0 < codes.count(0) < MUTANTS  # the mutator spoils, and not everything


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
