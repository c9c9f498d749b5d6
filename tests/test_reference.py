"""The project's own reference: its numbers come again, and any change of a method's fields is noticed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.pipeline import run
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.results.published import Published, read_published
from fairl_bench.results.regress import Line, Measured, regress
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import dump, load
from fairl_bench.values.records import Record

FOLDER = Path(__file__).parent.parent / "results" / "reference"
REFERENCE = FOLDER / "reference.yaml"

# field of a method -> why another value of it leaves every number as it is
SILENT = {
    "fa-mm-margin--strictness": "below M the slope of the hinge is one, and the lowest margins are all below it",
    "fa-line-six--rounds": "its weight falls by round, whatever their number, and the epoch kept is an earlier one",
    "weight-only--penalty": "there is no second path to be penalised",
    "no-mining--strictness": "'failure_loss: same' asks for no stricter one",
    "no-mining--rounds": "its weight falls by round, whatever their number, and the epoch kept is an earlier one",
}


@pytest.fixture(scope="module")
def published() -> Published:
    return read_published(REFERENCE)


def numbers(suite: Path, folder: Path, jobs: int = 1) -> list[Record]:
    ran = run(read_study(suite), FolderStore(folder / "store"), folder / "results", jobs=jobs)
    assert not ran.outcome.failed
    return ran.records


def changed(folder: Path, **keys: Any) -> Path:
    """The reference's suite with other top-level keys, in another folder."""
    content = load(FOLDER / "suite.yaml").content
    content["plugins"] = [str(FOLDER / "frozen.py")]
    content["models"][0]["path"] = str(FOLDER / "pairs.jsonl")
    content["encoders"][0]["path"] = str(FOLDER / "embeddings.npz")
    content["testsets"]["shifted"]["path"] = str(FOLDER / "texts.jsonl")
    content["models"][0] |= keys.pop("model", {})
    folder.mkdir(exist_ok=True)
    path = folder / "suite.yaml"
    path.write_text(dump(content | keys))
    return path


def held(records: list[Record], published: Published) -> list[Line]:
    return regress(Measured(records, [], lambda _: [], built_in_metrics()), published)


def different(records: list[Record], published: Published) -> set[str]:
    """The methods of which a number differs."""
    return {line.id.partition("/")[0] for line in held(records, published) if line.verdict == "differs"}


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The reference's suite, its methods in another order than on record."""
    folder = tmp_path_factory.mktemp("reference")
    methods = load(FOLDER / "suite.yaml").content["methods"]
    return numbers(changed(folder, methods=methods[::-1]), folder)


def test_every_number_of_the_reference_comes_again_in_any_order_of_methods(
    mine: list[Record], published: Published
) -> None:
    lines = held(mine, published)
    assert {line.verdict for line in lines} == {"reproduced"}, [line for line in lines if line.verdict != "reproduced"]
    assert {row.method for row in mine} == {number.method for number in published.numbers}


def test_every_tolerance_states_its_cause(published: Published) -> None:
    metrics = {number.metric for number in published.numbers}
    assert metrics == set(published.margins)
    assert all(margin.kind == "exact" and margin.why for margin in published.margins.values())


def test_the_change_log_of_the_reference_names_it_by_its_hash() -> None:
    digest = sha256(REFERENCE.read_bytes()).hexdigest()[:12]
    entries = re.findall(r"^- `(\w{12})`: \S.*$", (FOLDER / "CHANGELOG.md").read_text(), re.M)
    assert entries[0] == digest, f"results/reference/CHANGELOG.md needs a first line '- `{digest}`: WHAT CHANGED'"


def test_the_fixture_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 300_000


def test_the_number_of_processes_changes_no_number(tmp_path: Path, mine: list[Record]) -> None:
    few = [
        entry for entry in load(FOLDER / "suite.yaml").content["methods"] if entry["name"] in ("max-margin", "length")
    ]
    found = numbers(changed(tmp_path, methods=few), tmp_path, jobs=2)
    names = {row.method for row in found}
    assert names == {"max-margin", "length"}
    # stacked with others or alone, a run agrees to the rounding of float32
    expected = {_coordinates(row): row.value for row in mine if row.method in names}
    assert {_coordinates(row): row.value for row in found} == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True)


def _coordinates(row: Record) -> tuple[str, ...]:
    return row.method, row.data, row.slice, row.truth, row.metric


# --- mutations: what the reference notices


def test_flipped_labels_are_noticed_by_every_method(tmp_path: Path, published: Published) -> None:
    flipped = different(numbers(changed(tmp_path, model={"flip": 0.01}), tmp_path), published)
    assert flipped == {number.method for number in published.numbers}


def test_another_norm_of_starc_is_noticed_by_every_method(
    tmp_path: Path, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairl_bench.science import starc

    l1 = starc.starc
    monkeypatch.setattr(starc, "starc", lambda reward, truth, norm=2: l1(reward, truth, norm))
    found = held(numbers(changed(tmp_path), tmp_path), published)
    wrong = {line.id for line in found if line.verdict == "differs"}
    assert wrong == {number.id for number in published.numbers if number.metric == "starc"}


def numeric(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of all numbers in a spec."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from numeric(entry, (*path, name))
    elif isinstance(value, list):
        for at, entry in enumerate(value):
            yield from numeric(entry, (*path, at))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def mutated(spec: Any, path: tuple[str | int, ...]) -> Any:
    """The spec with one number larger by a twentieth, a whole one by at least 1."""
    if not path:
        return max(spec + 1, round(spec * 1.05)) if isinstance(spec, int) else spec * 1.05
    found = dict(spec) if isinstance(spec, dict) else list(spec)
    found[path[0]] = mutated(spec[path[0]], path[1:])
    return found


@cache
def mutants() -> dict[str, tuple[str, dict[str, Any]]]:
    """By name: the method that it is made of, and its spec."""
    found = {}
    for method in read_study(FOLDER / "suite.yaml").suite.methods:
        spec = method.part.plain()
        for path in numeric(spec):
            found[f"{method.name}--{'.'.join(map(str, path))}"] = (method.name, mutated(spec, path))
    return found


@pytest.fixture(scope="module")
def noticed(tmp_path_factory: pytest.TempPathFactory, published: Published) -> set[str]:
    """The mutants of which a number differs; all are trained together."""
    folder = tmp_path_factory.mktemp("mutants")
    methods = [{"name": name, **spec} for name, (_, spec) in mutants().items()]
    records = numbers(changed(folder, methods=methods), folder)
    by_name: dict[str, list[Record]] = {}
    for row in records:
        by_name.setdefault(row.method, []).append(row)
    return {
        name
        for name, (method, _) in mutants().items()
        if different([replace(row, method=method) for row in by_name[name]], published)
    }


def test_there_is_a_mutant_of_every_numeric_field() -> None:
    assert len(mutants()) > 80
    assert {"max-margin--margin", "fa-me-margin--failure_weight.factor", "fa-threshold--detector.start"} <= set(
        mutants()
    )


def test_every_numeric_field_is_noticed_or_is_listed_with_its_reason(noticed: set[str]) -> None:
    silent = set(mutants()) - noticed
    assert silent == set(SILENT), {"unlisted": sorted(silent - set(SILENT)), "noticed": sorted(set(SILENT) - silent)}
