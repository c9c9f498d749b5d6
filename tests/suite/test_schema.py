"""The JSON Schema of suites, and what `show` prints of a part."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from fairl_bench.kinds import KINDS
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.schema import fields, json_schema
from fairl_bench.suite.suite import Suite

ROOT = Path(__file__).parents[2]
PARTS = [(kind, name) for kind in KINDS for name in Registry().names(kind)]
PLUGINS = sorted((ROOT / "plugins").glob("*.py"))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """With the drop-ins of this repository."""
    return json_schema(Registry(PLUGINS))


@pytest.fixture(scope="module")
def refusals(schema: dict[str, Any]) -> Callable[[dict[str, Any]], list[str]]:
    """What the schema refuses in a suite, by place."""
    validator = Draft202012Validator(schema)
    return lambda suite: ["/".join(map(str, error.absolute_path)) for error in validator.iter_errors(suite)]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for entry in value.values():
            yield from references(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from references(entry)


def branch(schema: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The fields of one part."""
    found = [
        part["then"] for part in schema["$defs"][kind]["allOf"] if part["if"]["properties"]["use"] == {"const": name}
    ]
    assert len(found) == 1
    return dict(found[0])


def test_it_is_a_json_schema_whose_references_lead_somewhere(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"description", "properties"} <= schema.keys()
    found = set(references(schema))
    assert {f"#/$defs/named-{kind}" for kind in ("source", "encoder", "method")} <= found
    assert found <= {f"#/$defs/{name}" for name in schema["$defs"]}
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("path", sorted((ROOT / "suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_suite_here_is_accepted(path: Path, refusals: Callable[..., list[str]]) -> None:
    assert refusals(YAML(typ="safe", pure=True).load(path.read_text())) == []


def test_the_tiny_suite_is_accepted(tiny: dict[str, Any], refusals: Callable[..., list[str]]) -> None:
    assert refusals(tiny) == []


def change(suite: dict[str, Any], *place: str | int, to: object = ...) -> None:
    *steps, last = place
    target: Any = suite
    for step in steps:
        target = target[step]
    if to is ...:
        del target[last]
    else:
        target[last] = to


@pytest.mark.parametrize(
    ("place", "value", "refused"),
    [
        (("trainig",), {}, ""),
        (("head",), {"use": "mlp", "widht": 8}, "head"),
        (("methods", 0, "margn"), 0.1, "methods/0"),
        (("models", 0, "gold", "us"), 1, "models/0/gold"),
        (("training", "epochs"), "three", "training/epochs"),
        (("training", "epochs"), 0, "training/epochs"),
        (("training", "lr"), 0, "training/lr"),
        (("models", 0, "n"), "many", "models/0/n"),
        (("models", 0, "n"), 1, "models/0/n"),
        (("models", 0, "base_toxic"), 1.5, "models/0/base_toxic"),
        (("models", 0, "embed"), "prompt", "models/0/embed"),
        (("methods", 0, "use"), "max-margn", "methods/0/use"),
        (("encoders", 0, "use"), "max-margin", "encoders/0/use"),
        (("models", 0, "gold", "use"), "toy-comments", "models/0/gold"),
        (("methods", 0, "use"), ..., "methods/0"),
        (("methods", 0, "name"), ..., "methods/0"),
        (("testsets", "shifted", "use"), ..., "testsets/shifted"),
        (("evaluate", 0, "use"), ..., "evaluate/0"),
        (("evaluate", 0, "label"), "silver", "evaluate/0/label"),
        (("evaluate", 0, "data"), [], "evaluate/0/data"),
        (("seeds",), [-1], "seeds/0"),
        (("methods",), [], "methods"),
        (("name",), ..., ""),
    ],
)
def test_a_mistake_is_refused_at_its_place(
    place: tuple[str | int, ...],
    value: object,
    refused: str,
    tiny: dict[str, Any],
    refusals: Callable[..., list[str]],
) -> None:
    change(tiny, *place, to=value)
    assert refused in refusals(tiny)


def test_a_suite_that_extends_another_need_not_say_everything(refusals: Callable[..., list[str]]) -> None:
    assert refusals({"name": "x", "extends": "detox.yaml", "seeds": [0]}) == []
    assert refusals({"name": "x", "extends": 3}) == ["extends"]


def test_the_fields_of_a_plugin_are_in_it(
    schema: dict[str, Any], tiny: dict[str, Any], refusals: Callable[..., list[str]]
) -> None:
    gamma = branch(schema, "method", "focal-bt")["properties"]["gamma"]
    assert {"type": "number", "minimum": 0, "default": 2.0}.items() <= gamma.items()
    assert gamma["description"] == "focusing exponent; 0 is plain Bradley-Terry"
    tiny["methods"][0] = {"name": "focal", "use": "focal-bt", "gamma": 0.5}
    assert refusals(tiny) == []
    tiny["methods"][0]["gamma"] = -1
    assert refusals(tiny) == ["methods/0/gamma"]
    tiny["methods"][0] = {"name": "focal", "use": "focal-bt", "gama": 1}
    assert refusals(tiny) == ["methods/0"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not KINDS[kind].named_by_place])
def test_every_registered_part_is_in_it(kind: str, schema: dict[str, Any]) -> None:
    registry = Registry(PLUGINS)
    for definition in (kind, f"named-{kind}"):
        found = schema["$defs"][definition]
        assert found["properties"]["use"]["enum"] == list(registry.names(kind))
        assert len(found["allOf"]) == len(registry.names(kind))
    for name in registry.names(kind):
        then = branch(schema, kind, name)
        assert then["properties"].keys() == {"use", *registry.find(kind, name).model_fields}
        assert then["additionalProperties"] is False


def test_every_table_is_in_it_under_its_name(schema: dict[str, Any]) -> None:
    registry, tables = Registry(PLUGINS), schema["properties"]["report"]["properties"]
    assert tables.keys() == set(registry.names("table"))
    for name, settings in tables.items():
        assert settings["properties"].keys() == registry.find("table", name).model_fields.keys()
        assert settings["additionalProperties"] is False


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_field_of_a_part_says_what_it_takes(kind: str, name: str, schema: dict[str, Any]) -> None:
    known = {"type", "enum", "const", "anyOf", "$ref", "allOf"}
    tables = schema["properties"]["report"]["properties"]
    for field, found in (tables[name] if kind == "table" else branch(schema, kind, name))["properties"].items():
        assert known & found.keys(), f"{kind} {name}: {field}"


def test_every_key_of_a_suite_is_in_it(schema: dict[str, Any]) -> None:
    assert schema["properties"].keys() == {*Suite.model_fields, "extends"}


NESTED = """
from fairl_bench import Field, PairwiseMethod, hookimpl
from fairl_bench.component import Settings


class Stop(Settings):
    when: int = Field(3, ge=2)


class Stopping(PairwiseMethod):
    stop: Stop = Stop()

    def loss(self, margin):
        return -margin


@hookimpl
def fairl_methods(register):
    register("stopping", Stopping)
"""


def test_a_plugins_own_class_hides_no_other_of_its_name(tmp_path: Path, tiny: dict[str, Any]) -> None:
    (tmp_path / "stopping.py").write_text(NESTED)
    validator = Draft202012Validator(json_schema(Registry([tmp_path / "stopping.py"])))
    tiny["training"]["stop"] = {"patience": 3}
    tiny["methods"][0] = {"name": "stopping", "use": "stopping", "stop": {"when": 2}}
    assert list(validator.iter_errors(tiny)) == []
    tiny["methods"][0]["stop"] = {"patience": 3}
    assert [list(error.absolute_path) for error in validator.iter_errors(tiny)] == [["methods", 0, "stop"]]


# --- show


def test_the_fields_of_a_part_are_told_with_type_bounds_and_default() -> None:
    found = {row[0]: row[1:] for row in fields(Registry().find("source", "toy-comments"))}
    assert found["n"] == ("integer ≥ 2", "3500", "number of pairs")
    assert found["base_toxic"][:2] == ("number ≥ 0 ≤ 1", "0.4")
    assert found["embed"][:2] == ("completion | prompt+completion", "completion")
    assert found["gold"][:2] == ("judge or null", "none")
    texts = {row[0]: row[1:] for row in fields(Registry().find("testset", "jsonl-texts"))}
    assert texts["path"] == ("string", "required", "the file, relative to the suite")
    assert texts["subtypes"][0] == "list of string or {column, name, present, absent, unknown, at_least}"
    assert texts["gold"][:2] == (
        "{column, good, bad, unknown} or {value, lower_is_better, label_above} or null",
        "none",
    )


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_show_prints_every_part(kind: str, name: str, cli: Callable[..., Result]) -> None:
    shown = cli("show", name)
    assert shown.exit_code == 0
    part = Registry().find(kind, name)
    # where two kinds share the name, both are shown
    kinds = [one for one in KINDS if name in Registry().names(one)]
    (text,) = (one for one in shown.stdout.split("\nfrom fairl_bench.builtin ") if f"{kind} {name}\n\n" in one)
    assert shown.stdout.count("\nfrom fairl_bench.builtin ") == len(kinds)
    assert part.help() in text
    fields = text.partition("\n---")[2].splitlines()  # above them a part may be called as one of its fields is
    for field, info in part.model_fields.items():
        (line,) = (line for line in fields if line.split()[:1] == [field])
        assert (info.description or "") in line
        assert (re.split("  +", line)[2] == "required") is info.is_required()
    assert shown.stdout.rstrip().endswith(".py")


def test_show_prints_a_name_that_two_kinds_share_for_both(cli: Callable[..., Result]) -> None:
    shown = cli("show", "toy-comments").stdout
    assert shown.startswith("source toy-comments\n")
    assert "\ntestset toy-comments\n" in shown
    assert "share of the base writer's texts that are toxic" in shown
    assert "share of toxic texts" in shown


def test_show_prints_a_drop_in_and_where_it_lies(cli: Callable[..., Result]) -> None:
    shown = cli("show", "focal-bt", "--plugin", ROOT / "plugins" / "focal_bt.py")
    assert shown.exit_code == 0
    assert re.search(r"gamma +number ≥ 0 +2\.0 +focusing exponent; 0 is plain Bradley-Terry\n", shown.stdout)
    assert f"(drop-in): {ROOT / 'plugins' / 'focal_bt.py'}" in shown.stdout


def test_show_of_an_unknown_name_is_exit_code_2_with_near_names(cli: Callable[..., Result]) -> None:
    shown = cli("show", "mean-diference")
    assert shown.exit_code == 2
    assert "error: part 'mean-diference' is unknown; did you mean 'mean-difference'?" in shown.stderr


def test_schema_prints_the_schema_with_the_plugins_named(cli: Callable[..., Result], schema: dict[str, Any]) -> None:
    printed = cli("schema", *(word for path in PLUGINS for word in ("--plugin", path)))
    assert printed.exit_code == 0
    assert json.loads(printed.stdout) == schema


@pytest.mark.parametrize(
    "arguments",
    [
        ["schema"],
        ["show", "max-margin"],
        ["show", "toy-comments"],
        ["list"],
        ["plugins"],
        ["check", "suites/detox.yaml"],
    ],
    ids=" ".join,
)
def test_what_computes_nothing_imports_no_torch(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from fairl_bench.cli.main import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "FAIRL_STORE": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
