from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from fairl_bench.engine.plan import Cell
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import (
    AXES,
    CELL_AXES,
    MATRIX,
    CellName,
    Coordinates,
    Group,
    Row,
    Run,
    Setting,
    World,
)
from fairl_bench.values.records import COLUMNS, KEY, Record

WORLD, RUN = World("toy", 1), Run("minilm", "mlp", "max-margin", '{"lr":0.1}', 3)
CELL = Coordinates.of(WORLD, RUN)


@pytest.mark.parametrize(("data", "dataset", "split"), [("pairs/test", "pairs", "test"), ("shifted", "shifted", "")])
def test_the_name_of_data_is_a_data_set_and_maybe_a_split(data: str, dataset: str, split: str) -> None:
    place = CELL.on(data, "gold", "subtype:threat")
    assert (place.dataset, place.split, place.data) == (dataset, split, data)
    assert (place.truth, place.slice) == ("gold", "subtype:threat")


def test_a_world_and_a_run_are_all_of_a_cell() -> None:
    assert (CELL.world, CELL.run) == (WORLD, RUN)
    assert Coordinates.of(CELL.world, CELL.run) == CELL
    assert CELL.on("pairs/test").on("") == CELL


def test_a_row_is_a_setting_and_a_method() -> None:
    assert CELL.row == Row("toy", "minilm", "max-margin", '{"lr":0.1}')
    assert CELL.setting == CELL.row.setting == Setting("toy", "minilm", '{"lr":0.1}')
    assert CELL.setting.row("max-margin") == CELL.row


def test_a_cell_goes_by_the_same_name_whatever_its_data_and_its_head() -> None:
    other = dataclasses.replace(CELL.on("pairs/test", "gold"), head="linear")
    assert other.cell == CELL.cell == CellName("toy", "minilm", "max-margin", '{"lr":0.1}', 1, 3)


@pytest.mark.parametrize("seed", [None, 0, 3])
def test_the_text_of_a_file_gives_the_cell_back(seed: int | None) -> None:
    place = dataclasses.replace(CELL, seed=seed)
    text = place.to_text()
    assert all(isinstance(value, str) for value in text.values())
    assert Coordinates.from_text({**text, "stage": "k"}) == place


@pytest.mark.parametrize("broken", [{"seed": "three"}, {"replicate": ""}, {"model": None}])
def test_a_text_that_names_no_cell_is_refused(broken: Mapping[str, Any]) -> None:
    text = {name: value for name, value in {**CELL.to_text(), **broken}.items() if value is not None}
    with pytest.raises((KeyError, ValueError)):
        Coordinates.from_text(text)


def test_the_stem_of_a_file_names_what_differs_in_a_plain_suite() -> None:
    assert CELL.stem == "toy-minilm-max-margin-r1-s3"
    assert dataclasses.replace(CELL, seed=None).stem == "toy-minilm-max-margin-r1-sall"
    assert CELL.world.stem == "toy-r1"


def test_axes_are_declared_once() -> None:
    own = {"reward", "scores", "measures", "inputs", "slices"}
    assert {field.name for field in dataclasses.fields(Cell)} == {*AXES, *own}
    assert {field.name for field in dataclasses.fields(Record)} == set(COLUMNS)
    assert set(AXES) < set(KEY)
    for part in (Row, Setting, World, Run, CellName):
        assert set(part._fields) <= set(CELL_AXES)
    assert set(MATRIX) < set(CELL_AXES)
    assert {field.name for field in dataclasses.fields(Group)} <= {
        field.name for field in dataclasses.fields(Comparison)
    }


def test_a_record_stands_where_its_number_does() -> None:
    place = CELL.on("pairs/test", "gold")
    record = Record.at(place, "detox", "auc", 0.9, 100, stage="k")
    assert {name: getattr(record, name) for name in AXES} == place.axes()
    assert (record.suite, record.metric, record.value, record.n, record.stage) == ("detox", "auc", 0.9, 100, "k")
    assert record.row == place.row
    assert record.cell == place.cell


def test_records_that_differ_by_no_coordinate_share_a_key() -> None:
    record = Record.at(CELL.on("pairs/test", "gold"), "detox", "auc", 0.9, 100)
    assert dataclasses.replace(record, value=0.1, n=1, note="other", stage="k").key == record.key
    for name in KEY:
        assert dataclasses.replace(record, **{name: "another"}).key != record.key


def test_the_columns_of_records_stay_as_they_are_documented() -> None:
    assert (
        *("suite", "model", "encoder", "head", "method", "variant", "replicate", "seed", "dataset", "split", "slice"),
        *("truth", "metric", "other", "value", "n", "note", "stage"),
    ) == COLUMNS
