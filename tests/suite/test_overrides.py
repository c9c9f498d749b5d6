"""Values set from outside a suite's own lines, and whose line a mistake in one is explained at."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.errors import SuiteError
from fairl_bench.suite.overrides import at_point, points, set_option, with_defaults
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import Document, load

Write = Callable[..., Path]

SUITE = """\
name: tiny
head: {use: mlp, width: 64}
training:
  lr: 1.0e-3
methods:
  - {name: max-entropy, use: max-entropy, temperature: 1.0}
  - {name: v1.5, use: max-entropy}
  - {name: v1, use: max-margin}
testsets:
  a.b: {n: 1}
evaluate:
  - {use: classification, data: [pairs/test], label: gold}
"""


@pytest.fixture
def document(write_suite: Write) -> Document:
    return load(write_suite(SUITE))


# --- --set


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("name=x", ("name",)),
        ("head.width=x", ("head", "width")),
        ("training.lr=x", ("training", "lr")),
        ("methods.max-entropy.temperature=x", ("methods", 0, "temperature")),
        ("methods.0.temperature=x", ("methods", 0, "temperature")),
        ("methods.max-entropy.new=x", ("methods", 0, "new")),
        ("evaluate.0.label=x", ("evaluate", 0, "label")),
        ("evaluate.0.data.0=x", ("evaluate", 0, "data", 0)),
        ("methods.1=x", ("methods", 1)),
        # a name may hold dots, and the longest that fits is meant
        ("methods.v1.5.temperature=x", ("methods", 1, "temperature")),
        ("methods.v1.margin=x", ("methods", 2, "margin")),
        ("testsets.a.b.n=x", ("testsets", "a.b", "n")),
        # what the suite does not say so far
        ("split.by=x", ("split", "by")),
        ("training.stop.patience=x", ("training", "stop", "patience")),
        ("report.table1.truth=x", ("report", "table1", "truth")),
    ],
)
def test_a_path_names_one_value_and_leaves_the_others(
    option: str, place: tuple[str | int, ...], document: Document
) -> None:
    expected: Any = deepcopy(document.content)
    target = expected
    for step in place[:-1]:
        if isinstance(target, dict) and step not in target:
            target[step] = {}
        target = target[step]
    target[place[-1]] = "x"
    changed = set_option(document, option)
    assert changed.content == expected
    assert changed.where(place) == (Path(f"--set {option}"), None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("3", 3),
        ("3.0", 3.0),
        ("true", True),
        ("no", "no"),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ("{use: tanh}", {"use": "tanh"}),
        ("'1'", "1"),
        ("a=b", "a=b"),
        ("", None),
    ],
)
def test_the_value_has_the_type_that_yaml_gives_it(text: str, value: object, document: Document) -> None:
    found = set_option(document, f"head.width={text}").content["head"]["width"]
    assert found == value
    assert isinstance(found, type(value))
    assert isinstance(found, bool) == isinstance(value, bool)


def test_setting_changes_a_copy(document: Document) -> None:
    before = deepcopy(document.content)
    set_option(document, "methods.0.temperature=2.0")
    set_option(document, "split.by=text")
    assert document.content == before
    assert document.where(("methods", 0, "temperature")) == (document.path, 6)


def test_what_lay_inside_a_replaced_value_has_no_line_any_more(document: Document) -> None:
    changed = set_option(document, "evaluate.0={use: fidelity, data: [x]}")
    assert changed.where(("evaluate", 0, "data", 0)) == (Path("--set evaluate.0={use: fidelity, data: [x]}"), None)
    assert changed.where(("evaluate",)) == (document.path, 11)


def test_a_later_option_wins(document: Document) -> None:
    changed = set_option(set_option(document, "head.width=1"), "head.width=2")
    assert changed.content["head"]["width"] == 2
    assert changed.where(("head", "width"))[0] == Path("--set head.width=2")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("head.width", "--set head.width: needs path.to.field=value"),
        ("=3", "--set =3: needs path.to.field=value"),
        ("head.width={", "--set head.width={: '{' is not YAML"),
        ("methods.max-entrpy.t=1", "leads nowhere at 'max-entrpy'; did you mean 'max-entropy'?"),
        ("methods.9.t=1", "leads nowhere at '9'; known: '0', '1', '2', 'max-entropy', 'v1', 'v1.5'"),
        ("methods.extra=1", "leads nowhere at 'extra'; known: "),
        ("head.width.deep=1", "leads nowhere at 'deep'; nothing is known here"),
        ("name.x=1", "leads nowhere at 'x'; nothing is known here"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_what_is_there(option: str, said: str, document: Document) -> None:
    with pytest.raises(SuiteError, match=re.escape(said)):
        set_option(document, option)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("head.width=0", "--set head.width=0: head.width: must be at least 1, got 0"),
        ("head.widht=8", "--set head.widht=8: head: unknown field 'widht'; did you mean 'width'"),
        ("haed.width=8", "--set haed.width=8: unknown field 'haed'; did you mean 'head'?"),
        ("methods.max-margin.margin=x", "--set methods.max-margin.margin=x: methods.0.margin: "),
        ("training.lr=true", "--set training.lr=true: training.lr: "),
    ],
)
def test_a_mistake_is_explained_at_its_option(option: str, said: str, tiny: dict[str, Any], write_suite: Write) -> None:
    with pytest.raises(SuiteError, match=re.escape(said)):
        read_study(write_suite(tiny), [option])


def test_options_are_set_before_defaults_and_product(tiny: dict[str, Any], write_suite: Write) -> None:
    tiny["defaults"] = {"max-margin": {"margin": 0.3}}
    tiny["product"] = {"head.width": [4, 8]}
    study = read_study(
        write_suite(tiny), ["product={head.width: [2], training.epochs: [1, 2]}", "defaults.max-margin.margin=0.7"]
    )
    assert len(study.variants) == 2
    assert {suite.head.width for suite in study.variants.values()} == {2}
    assert {suite.methods[0].part.plain()["margin"] for suite in study.variants.values()} == {0.7}


# --- defaults


def test_defaults_are_merged_by_use_and_own_fields_win(tiny: dict[str, Any], write_suite: Write) -> None:
    tiny["methods"][1:1] = [
        {"name": "own", "use": "max-margin", "margin": 0.9},
        {"name": "third", "use": "max-margin"},
    ]
    tiny["defaults"] = {"max-margin": {"margin": 0.3}, "max-entropy": {"temperature": 2.0}}
    suite = read_study(write_suite(tiny)).suite
    found = {method.name: method.part.plain() for method in suite.methods}
    assert {name: found[name]["margin"] for name in ("max-margin", "own", "third")} == {
        "max-margin": 0.3,
        "own": 0.9,
        "third": 0.3,
    }
    assert found["max-entropy"]["temperature"] == 2.0


def test_a_default_is_taken_whole_and_a_change_in_one_method_leaves_the_others(write_suite: Write) -> None:
    document = load(
        write_suite(
            "defaults:\n  m: {a: {x: 1, y: 2}}\nmethods:\n"
            "  - {name: one, use: m}\n  - {name: two, use: m}\n  - {name: three, use: m, a: {x: 5}}\n"
        )
    )
    merged = with_defaults(document)
    one, two, three = merged.content["methods"]
    assert one["a"] == two["a"] == {"x": 1, "y": 2}
    changed = set_option(merged, "methods.one.a.x=7").content["methods"]
    assert [method["a"]["x"] for method in changed] == [7, 1, 5]
    assert three["a"] == {"x": 5}
    assert "a" not in document.content["methods"][0]


def test_a_mistake_in_a_default_is_explained_at_its_line(tiny: dict[str, Any], write_suite: Write) -> None:
    from fairl_bench.suite.yaml import dump

    text = f"defaults:\n  max-entropy: {{}}\n  max-margin:\n    margin: -1.0\n{dump(tiny)}"
    path = write_suite(text)
    with pytest.raises(SuiteError, match=rf"{path}:4: methods\.0\.margin: .*greater than 0, got -1\.0"):
        read_study(path)
    with pytest.raises(SuiteError, match=rf"{path}:4: methods\.0: unknown field 'margni'; did you mean 'margin'"):
        read_study(write_suite(text.replace("margin: -1.0", "margni: 1.0")))


def test_a_mistake_inside_a_nested_default_is_explained_at_its_own_line(write_suite: Write) -> None:
    document = with_defaults(
        load(write_suite("defaults:\n  m:\n    a:\n      x: 1\n      y: 2\nmethods:\n  - {name: one, use: m}\n"))
    )
    assert document.where(("methods", 0, "a", "y")) == (document.path, 5)


def test_defaults_of_an_unknown_method_are_refused(tiny: dict[str, Any], write_suite: Write) -> None:
    tiny["defaults"] = {"max-margn": {"margin": 0.3}}
    with pytest.raises(SuiteError, match="defaults: method 'max-margn' is unknown; did you mean 'max-margin'"):
        read_study(write_suite(tiny))


# --- product


def with_product(document: Document, product: object, exclude: object = None) -> Document:
    content = document.content.copy()
    content |= {"product": product, **({} if exclude is None else {"exclude": exclude})}
    return Document(content, document.path)


def test_points_come_in_the_order_of_the_lists(document: Document) -> None:
    found = points(with_product(document, {"b": [2, 1], "a": ["x", "y"]}), most=100)
    assert found == [{"b": 2, "a": "x"}, {"b": 2, "a": "y"}, {"b": 1, "a": "x"}, {"b": 1, "a": "y"}]
    assert [list(point) for point in found] == [["b", "a"]] * 4


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ([{"a": 1}], [(2, 3), (2, 4)]),
        ([{"a": 1, "b": 3}], [(1, 4), (2, 3), (2, 4)]),
        ([{"a": 1, "b": 3}, {"b": 4}], [(2, 3)]),
        ([], [(1, 3), (1, 4), (2, 3), (2, 4)]),
    ],
)
def test_exclude_leaves_out_every_point_that_has_its_values(
    exclude: list[dict[str, int]], left: list[tuple[int, int]], document: Document
) -> None:
    found = points(with_product(document, {"a": [1, 2], "b": [3, 4]}, exclude), most=100)
    assert [(point["a"], point["b"]) for point in found] == left


@pytest.mark.parametrize("product", [None, {}])
def test_without_a_product_there_is_one_empty_point(product: object, document: Document) -> None:
    assert points(with_product(document, product), most=100) == [{}]
    assert at_point(document, {}) == document


@pytest.mark.parametrize(
    ("product", "exclude", "said"),
    [
        ({"head.width": 4}, None, "'product' needs lists of values by path"),
        ({"head.width": []}, None, "'product' needs lists of values by path"),
        ([1], None, "'product' needs lists of values by path"),
        ({"a": [1]}, {"a": 1}, "'exclude' needs a list of points of the product"),
        ({"a": [1]}, [{}], "'exclude' needs a list of points of the product"),
        ({"head.width": [1]}, [{"head.widht": 1}], "'exclude' names 'head.widht'; did you mean 'head.width'"),
        ({"a": [1]}, [{"a": 9}], "'exclude' names no point of the product"),
        ({"defaults.max-margin.margin": [1.0]}, None, "'product' cannot vary 'defaults'"),
        ({"a": [1, 2]}, [{"a": 1}, {"a": 2}], "'exclude' leaves no point of the product"),
    ],
)
def test_a_product_that_says_nothing_is_refused(
    product: object, exclude: object, said: str, document: Document
) -> None:
    with pytest.raises(SuiteError, match=re.escape(said)):
        points(with_product(document, product, exclude), most=100)


def test_a_point_changes_a_copy(document: Document) -> None:
    before = deepcopy(document.content)
    point = {"head.width": 4, "methods.max-entropy.temperature": 2.0, "split.by": "text"}
    changed = at_point(document, point)
    assert document.content == before
    assert changed.content["head"] == {"use": "mlp", "width": 4}
    assert changed.content["methods"][0]["temperature"] == 2.0
    assert changed.content["split"] == {"by": "text"}


def test_a_path_into_the_value_of_another_changes_neither_point(document: Document) -> None:
    point = {"training.stop": {"patience": 1}, "training.stop.patience": 2}
    assert at_point(document, point).content["training"]["stop"] == {"patience": 2}
    assert point == {"training.stop": {"patience": 1}, "training.stop.patience": 2}


def test_a_mistake_at_a_point_is_explained_at_the_line_of_the_product(tiny: dict[str, Any], write_suite: Write) -> None:
    from fairl_bench.suite.yaml import dump

    path = write_suite(f"product:\n  training.lr: [0.1]\n  head.width: [4, 0]\n{dump(tiny)}")
    with pytest.raises(SuiteError, match=rf"{path}:3: head\.width: .* got 0"):
        read_study(path)
    path = write_suite(f"product:\n  head.width: [4]\n  methods.max-entrpy.temperature: [1.0]\n{dump(tiny)}")
    with pytest.raises(SuiteError, match=rf"{path}:3: .* leads nowhere at 'max-entrpy'; did you mean 'max-entropy'"):
        read_study(path)
