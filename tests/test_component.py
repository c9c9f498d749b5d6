from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field, ValidationError

from fairl_bench.component import Component, DataFile, PathText, RunTime, Settings, tuples
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.training import Head

REGISTRY = Registry(installed=False)


class Knobs(Settings):
    ratio: float = 0.5
    count: int = 3
    flag: bool = False
    word: str = "a"
    many: tuple[str, ...] = ()
    nested: tuple[tuple[int, ...], ...] = ()


class Fair(Judge):
    """Says that all is good.

    And nothing else.
    """

    bonus: float = 0.0
    threads: Annotated[int, RunTime] = 1

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        return {"gold": Truth(np.ones(len(examples)), np.ones(len(examples), np.int8))}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("ratio", True, "valid number"),
        ("count", True, "valid integer"),
        ("count", 2.0, "valid integer"),
        ("count", "2", "valid integer"),
        ("ratio", "0.5", "valid number"),
        ("flag", 1, "valid boolean"),
        ("flag", "no", "valid boolean"),
        ("word", 3, "valid string"),
        ("many", "ab", "valid tuple"),
        ("ratio", math.nan, "finite number"),
        ("ratio", math.inf, "finite number"),
        ("ratio", -math.inf, "finite number"),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: object, reason: str) -> None:
    with pytest.raises(ValidationError, match=f"{field}\n.*{reason}.*input_value={value!r}"):
        Knobs.model_validate({field: value})


def test_a_whole_number_is_a_float_where_a_float_is_needed() -> None:
    assert repr(Knobs(ratio=2).ratio) == "2.0"


def test_an_unknown_field_is_answered_with_its_near_match() -> None:
    with pytest.raises(ValidationError, match=r"unknown field 'ratoi'; did you mean 'ratio'?"):
        Knobs.model_validate({"ratoi": 1.0})


def test_an_unknown_field_in_python_is_answered_with_its_near_match() -> None:
    with pytest.raises(ValidationError, match=r"unknown field 'cuont'; did you mean 'count'?"):
        Knobs(cuont=1)  # type: ignore[call-arg]


def test_lists_become_tuples_at_any_depth() -> None:
    knobs = Knobs.model_validate({"many": ["a", "b"], "nested": [[1], [2, 3]]})
    assert knobs.many == ("a", "b")
    assert knobs.nested == ((1,), (2, 3))
    assert isinstance(hash(knobs), int)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match=r"count\n.*frozen"):
        Knobs().count = 4  # type: ignore[misc]


def test_plain_is_data_with_every_default_written_out() -> None:
    assert Knobs(nested=((1, 2),)).plain() == {
        "ratio": 0.5,
        "count": 3,
        "flag": False,
        "word": "a",
        "many": [],
        "nested": [[1, 2]],
    }


def test_a_default_is_held_to_its_type() -> None:
    class Loose(Settings):
        scale: float = 2

    assert repr(Loose().scale) == "2.0"  # else a default and the same number written out had two keys


def test_help_is_the_first_line_of_the_docstring() -> None:
    assert Fair.help() == "Says that all is good."


def test_a_part_made_in_python_has_no_name() -> None:
    assert Fair(bonus=1.0).use == ""


def test_a_spec_is_built_by_the_registry_with_its_name() -> None:
    part = REGISTRY.build(Method, {"use": "max-margin", "margin": 0.5})
    assert (type(part).__name__, part.use, part.plain()) == (
        "MaxMargin",
        "max-margin",
        {"use": "max-margin", "resources": None, "margin": 0.5},
    )


def test_a_nested_spec_is_built_by_the_registry() -> None:
    source = REGISTRY.build(Source, {"use": "toy-comments", "gold": {"use": "toy-truth"}})
    assert source.gold is not None
    assert (type(source.gold).__name__, source.gold.use) == ("ToyTruth", "toy-truth")


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (Source, {"use": "toy-comments", "n": 7, "shift": 0.25, "gold": {"use": "role"}, "identical": "drop"}),
        (TestSet, {"use": "toy-comments", "gold": {"use": "toy-truth"}}),
        (
            TestSet,
            {
                "use": "jsonl-texts",
                "path": "/x",
                "gold": {"column": "toxic", "good": 0, "bad": 1, "unknown": []},
                "subtypes": ["a"],
            },
        ),
        (Encoder, {"use": "tfidf"}),
    ],
)
def test_a_spec_survives_the_round_trip(kind: type[Component], spec: dict[str, Any]) -> None:
    part = REGISTRY.build(kind, spec)
    again = REGISTRY.build(kind, part.plain())
    assert again == part
    assert again.plain() == part.plain()
    assert {name: part.plain()[name] for name in spec} == spec


def test_an_unknown_nested_name_gives_its_place() -> None:
    with pytest.raises(ValidationError, match=r"judge 'toy-trut' is unknown; did you mean 'toy-truth'?") as raised:
        REGISTRY.build(Source, {"use": "toy-comments", "gold": {"use": "toy-trut"}})
    assert raised.value.errors()[0]["loc"] == ("gold",)


def test_a_mistake_in_a_nested_part_gives_its_place() -> None:
    with pytest.raises(ValidationError, match="unknown field 'bonus'") as raised:
        REGISTRY.build(Source, {"use": "toy-comments", "gold": {"use": "role", "bonus": 1}})
    assert raised.value.errors()[0]["loc"] == ("gold",)


def test_a_nested_spec_without_use_is_told_to_name_one() -> None:
    with pytest.raises(ValidationError, match="names no judge: add 'use: NAME'"):
        REGISTRY.build(Source, {"use": "toy-comments", "gold": {"bonus": 1}})


@pytest.mark.parametrize("use", [3, None, {"name": "role"}, ["role"]])
def test_a_use_that_is_no_text_is_refused(use: object) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"'use' needs a name, got {tuples(use)!r}")):
        REGISTRY.build(Judge, {"use": use})


def test_a_spec_without_a_registry_is_refused() -> None:
    with pytest.raises(ValidationError, match="a spec needs a registry"):
        Judge.model_validate({"use": "role"})


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"gold\n.*instance of Judge.*input_value='toy-truth'"):
        REGISTRY.build(Source, {"use": "toy-comments", "gold": "toy-truth"})


def test_a_head_keeps_use_as_a_value_of_its_own() -> None:
    assert Head.model_validate({"use": "linear"}).plain() == {"use": "linear", "width": 64}


class Reads(Settings):
    path: DataFile


def test_a_path_of_a_suite_starts_from_the_suites_folder() -> None:
    text = PathText("data/a.jsonl")
    text.folder = Path("/suites")
    assert Reads.model_validate({"path": text}).path == "/suites/data/a.jsonl"


def test_an_absolute_path_of_a_suite_stays() -> None:
    text = PathText("/data/a.jsonl")
    text.folder = Path("/suites")
    assert Reads.model_validate({"path": text}).path == "/data/a.jsonl"


def test_an_empty_path_is_refused() -> None:
    text = PathText("")
    text.folder = Path("/suites")
    with pytest.raises(ValidationError, match=r"at least 1 .*input_value=''"):
        Reads.model_validate({"path": text})


def test_bounds_are_checked_when_a_part_is_built() -> None:
    class Bounded(Fair):
        share: float = Field(0.5, ge=0, le=1)

    with pytest.raises(ValidationError, match=r"less than or equal to 1.*input_value=1.5"):
        Bounded(share=1.5)
