"""What a results folder says in the end: paired statistics from its scores, and its tables, from itself alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench import records
from fairl_bench.engine.keys import canonical
from fairl_bench.engine.suite import Claim, Report, Table2
from fairl_bench.engine.yaml import load
from fairl_bench.errors import ResultsError, UnknownName
from fairl_bench.records import Record
from fairl_bench.tables import comparisons
from fairl_bench.tables.ambiguity import ambiguity
from fairl_bench.tables.comparisons import Comparison
from fairl_bench.tables.disagreement import table2, table3
from fairl_bench.tables.leaderboard import slices, table1
from fairl_bench.tables.realigned import DATA
from fairl_bench.tables.realignment import TABLES as REALIGNED
from fairl_bench.tables.realignment import realignment
from fairl_bench.tables.rows import Row, Runs
from fairl_bench.tables.table import Table
from fairl_bench.tables.unread import unread

if TYPE_CHECKING:
    from fairl_bench.tables.scores import Sheet, Values

MEANING = 1  # raise it when equal inputs give other statistics
TABLES = ("1", "2", "3", "slices", "ambiguity", *REALIGNED, "claims")


class Paired(NamedTuple):
    """What tells methods apart: numbers of single runs, statistics over all runs, and what they were made from."""

    records: list[Record]
    comparisons: list[Comparison]
    signature: str


def kept(folder: Path, report: Report, found: Sequence[Record], before: Sequence[Record]) -> Paired | None:
    """The paired statistics that the folder has, ``before`` their records, if nothing that they rest on has changed."""
    signature = _signature(folder, report, found)
    if comparisons.signature(folder / comparisons.FILE) != signature:
        return None
    return Paired(list(before), comparisons.read(folder / comparisons.FILE), signature)


def paired(folder: Path, report: Report, found: Sequence[Record]) -> Paired:
    """The paired statistics that a report needs, from the folder's scores and ``found``, its records of single runs."""
    from fairl_bench.tables import realigned
    from fairl_bench.tables.scores import read_folder

    asked = [table for table in (report.table1, report.table2, report.table3) if table]
    sheets = read_folder(folder, found[0].suite if found else "", {data for table in asked for data in table.data})
    rows, compared = judged(sheets, report, found)
    compared += realigned.compared(realigned.read_realigned(folder), found)
    return Paired(rows, compared, _signature(folder, report, found))


def judged(sheets: Sequence[Sheet], report: Report, found: Sequence[Record]) -> tuple[list[Record], list[Comparison]]:
    """The numbers of two runs, and the statistics over all runs, that the tables of a report need."""
    from fairl_bench.tables import paired as statistics
    from fairl_bench.tables.scores import Values
    from fairl_bench.tables.two_runs import ambiguities

    values = Values.read(found)
    compared: list[Comparison] = []
    rows = list(_disagreements(sheets, report, values))
    if (first := report.table1) is not None:
        questions = [statistics.Question(data, first.truth_of(data), first.metrics) for data in first.data]
        compared = statistics.compared(sheets, values, questions)
        rows += ambiguities([sheet for sheet in sheets if sheet.data in first.data])
    return list({tuple(vars(row).values())[:14]: row for row in rows}.values()), compared


def _disagreements(sheets: Sequence[Sheet], report: Report, values: Values) -> Iterator[Record]:
    from fairl_bench.tables.two_runs import disagreements

    if (second := report.table2) is not None:
        mine = [sheet for sheet in sheets if sheet.data in second.data]
        texts = {} if second.train_texts is None else {"pairs/train": second.train_texts}
        yield from disagreements(mine, values, second.methods, second.truth_of, texts=texts)
    if (third := report.table3) is not None:
        mine = [sheet for sheet in sheets if sheet.data in third.data]
        yield from disagreements(mine, values, third.methods, third.truth_of, subtypes=True)


def tables(
    report: Report,
    found: Sequence[Record],
    compared: Sequence[Comparison],
    runs: Mapping[Row, Runs],
    *,
    intervals: bool = False,
    notes: Sequence[str] = (),
) -> dict[str, Table]:
    """Every table that a report asks for and that has a row, by the name that ``--table`` takes.

    ``notes`` are of the whole run, and stand below Table 1.
    """
    made = realignment(found, runs, compared)
    compared = [one for one in compared if one.data.partition("/")[0] != DATA]
    if (first := report.table1) is not None:
        board = table1(found, first, runs, compared, intervals=intervals)
        made["1"] = board._replace(notes=(*board.notes, *notes))
        made["slices"] = slices(found, first, runs)
        made["ambiguity"] = ambiguity(found, first.data, runs)
    if (second := report.table2) is not None:
        made["2"] = table2(found, second.methods, second.data)
    if (third := report.table3) is not None:
        made["3"] = table3(found, third.methods, third.data)
    return {name: made[name] for name in TABLES if name in made and made[name].rows}


class Folder(NamedTuple):
    """A results folder as it was read."""

    path: Path
    name: str
    report: Report
    records: list[Record]  # of single runs
    paired: Paired
    runs: dict[Row, Runs]
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()  # of the whole run: what it did not read


def read_results(path: Path) -> Folder:
    """A results folder.  Raises `ResultsError` where it is none, or one of an unfinished run."""
    suite, rows = path / "suite.yaml", path / "records.parquet"
    if not suite.exists() or not rows.exists():
        lacking = next(name for name in (suite, rows) if not name.exists())
        raise ResultsError(f"{path} is no results folder: it has no {lacking.name}; name one that 'run' has written")
    content = load(suite).content
    report = Report.model_validate(content.get("report") or {})
    found = records.read(rows)
    own, before = [row for row in found if not row.other], [row for row in found if row.other]
    said = kept(path, report, own, before) or paired(path, report, own)
    claims = tuple(Claim.model_validate(claim) for claim in content.get("claims") or ())
    name, runs = str(content.get("name")), read_runs(path, own)
    return Folder(path, name, report, own, said, runs, claims, tuple(read_notes(path)))


def between(folder: Folder, methods: tuple[str, str]) -> Folder:
    """The same folder with Tables 2 and 3 between two other methods.  Raises `FairlError` for one that it has not."""
    from fairl_bench.tables.scores import Values, read_folder

    known = {row.method for row in folder.records}
    for method in methods:
        if method not in known:
            raise UnknownName(f"{folder.path}: method", method, known)
    report = folder.report
    first, second, third = report.table1, report.table2, report.table3
    if second is None and first is not None:
        second = Table2(methods=methods, data=first.data, truth=first.truth)
    second = second and second.model_copy(update={"methods": methods})
    third = third and third.model_copy(update={"methods": methods})
    asked = Report(table1=first, table2=second, table3=third)
    sheets = read_folder(folder.path, folder.name, {data for table in (second, third) if table for data in table.data})
    rows = [row for row in folder.paired.records if row.other.startswith("seed:")]
    rows += _disagreements(sheets, asked, Values.read(folder.records))
    return folder._replace(report=asked, paired=folder.paired._replace(records=rows))


def read_runs(path: Path, found: Iterable[Record]) -> dict[Row, Runs]:
    """What each row of a table should rest on, as ``run.json`` says; where it does not, what was found."""
    try:
        rows = json.loads((path / "run.json").read_text(encoding="utf-8"))["rows"]
        return {tuple(row["row"]): Runs(row["all"], row["failed"], row["unit"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {row: Runs(0) for row in dict.fromkeys((r.model, r.encoder, r.method, r.variant) for r in found)}


def read_notes(path: Path) -> list[str]:
    """What is to be known of a whole run beside its numbers, as ``run.json`` tells it."""
    try:
        told = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return unread(told) if isinstance(told, dict) else []


def plain_runs(runs: Mapping[Row, Runs]) -> list[dict[str, object]]:
    """The same as ``run.json`` keeps it."""
    return [{"row": list(row), **found._asdict()} for row, found in runs.items()]


def _signature(folder: Path, report: Report, found: Iterable[Record]) -> str:
    """What paired statistics rest on: what is asked, the scores and truths, and the records of single runs."""
    whole = hashlib.sha256(f"{MEANING} {canonical(report.plain())}".encode())
    for kind in ("scores", "examples", "truths", "realigned"):
        for path in sorted((folder / kind).glob("*.parquet")):
            whole.update(f"{path.name} {comparisons.signature(path)}\n".encode())
    for line in sorted(map(repr, found)):
        whole.update(line.encode())
    return whole.hexdigest()
