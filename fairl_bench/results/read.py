"""What a results folder says in the end: paired statistics from its scores, and its tables, from itself alone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import ValidationError

from fairl_bench.comparison import Comparison
from fairl_bench.coordinates import Row
from fairl_bench.digests import canonical
from fairl_bench.errors import ResultsError, UnknownName
from fairl_bench.known import Known
from fairl_bench.records import Record
from fairl_bench.results import comparisons, record_file
from fairl_bench.results.folder import ResultsFolder, read_manifest, readable
from fairl_bench.results.known_labels import read_known, with_known
from fairl_bench.results.realigned import DATA
from fairl_bench.results.unread import unread
from fairl_bench.rows import Runs
from fairl_bench.suite.suite import Report, Table2
from fairl_bench.suite.yaml import load
from fairl_bench.table import Table
from fairl_bench.tables.ambiguity import ambiguity
from fairl_bench.tables.disagreement import table2, table3
from fairl_bench.tables.leaderboard import slices, table1
from fairl_bench.tables.realignment import TABLES as REALIGNED
from fairl_bench.tables.realignment import realignment
from fairl_bench.tables.selected import selected_differently
from fairl_bench.verdicts import Claim

if TYPE_CHECKING:
    from fairl_bench.sheets import Sheet, Values

SUITE: Final = "suite.yaml"
RECORDS: Final = "records.parquet"
RUN: Final = "run.json"
_TRIES, _WAIT = 20, 0.05  # so often may a run write into a folder while it is being read; seconds
MEANING = 1  # raise it when equal inputs give other statistics
TABLES = ("1", "2", "3", "slices", "ambiguity", *REALIGNED, "claims")


class Paired(NamedTuple):
    """What tells methods apart: numbers of single runs, statistics over all runs, and what they were made from."""

    records: list[Record]
    comparisons: list[Comparison]
    signature: str


def kept(folder: Path, report: Report, found: Sequence[Record], before: Sequence[Record] | None) -> Paired | None:
    """The paired statistics that the folder has, if they are whole and nothing that they rest on has changed.

    ``before`` are their records; None where these cannot be trusted.
    """
    files = ResultsFolder(folder)
    signature = _signature(files, report, found)
    if before is None or files.made_from(comparisons.FILE) != signature:
        return None
    try:
        rows = comparisons.rows(files.table(comparisons.FILE), folder / comparisons.FILE)
    except ResultsError:  # they can be made again
        return None
    return Paired(list(before), rows, signature)


def paired(folder: Path, report: Report, found: Sequence[Record]) -> Paired:
    """The paired statistics that a report needs, from the folder's scores and ``found``, its records of single runs."""
    from fairl_bench.results import realigned
    from fairl_bench.results.scores import read_folder

    asked = [table for table in (report.table1, report.table2, report.table3) if table]
    sheets = read_folder(folder, found[0].suite if found else "", {data for table in asked for data in table.data})
    rows, compared = judged(sheets, report, found)
    compared += realigned.compared(realigned.read_realigned(folder), found)
    return Paired(rows, compared, _signature(ResultsFolder(folder), report, found))


def judged(sheets: Sequence[Sheet], report: Report, found: Sequence[Record]) -> tuple[list[Record], list[Comparison]]:
    """The numbers of two runs, and the statistics over all runs, that the tables of a report need."""
    from fairl_bench.results import paired as statistics
    from fairl_bench.results.two_runs import ambiguities

    values = Values.read(found)
    compared: list[Comparison] = []
    rows = list(_disagreements(sheets, report, values))
    if (first := report.table1) is not None:
        questions = [statistics.Question(data, first.truth_of(data), first.metrics) for data in first.data]
        compared = statistics.compared(sheets, values, questions)
        rows += ambiguities([sheet for sheet in sheets if sheet.data in first.data])
    return list({row.key: row for row in rows}.values()), compared


def _disagreements(sheets: Sequence[Sheet], report: Report, values: Values) -> Iterator[Record]:
    from fairl_bench.results.two_runs import disagreements

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
    known: Known = MappingProxyType({}),
    notes: Sequence[str] = (),
) -> dict[str, Table]:
    """Every table that a report asks for and that has a row, by the name that ``--table`` takes.

    ``known`` says of how many examples the label is known, which is shown where it is not of all.  ``notes`` are of the
    whole run, and stand below Table 1.
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
    for name, layout in (("1", first), ("slices", first), ("2", second), ("3", third)):
        if layout is not None and name in made:
            made[name] = with_known(made[name], known, layout.truth_of, layout.data)
    apart = selected_differently(found, runs)
    for name in {"1", "2", "3", "slices", "ambiguity"} & set(made):
        made[name] = made[name]._replace(notes=(*apart, *made[name].notes))
    return {name: made[name] for name in TABLES if name in made and made[name].rows}


def asked(report: Report) -> set[str]:
    """The tables that a report asks for by name."""
    given = {"1": report.table1, "2": report.table2, "3": report.table3}
    return {name for name, table in given.items() if table is not None}


class Folder(NamedTuple):
    """A results folder as it was read."""

    path: Path
    name: str
    report: Report
    records: list[Record]  # of single runs
    paired: Paired
    runs: dict[Row, Runs]
    claims: tuple[Claim, ...] = ()
    known: Known = MappingProxyType({})
    notes: tuple[str, ...] = ()  # of the whole run: what it did not read


def read_results(path: Path) -> Folder:
    """A results folder.  Raises `ResultsError` where it is none, one of an unfinished run, or damaged."""
    for name in (SUITE, RECORDS):
        if not (path / name).exists():
            raise ResultsError(f"{path} is no results folder: it has no {name}; name one that 'run' has written")
    for left in reversed(range(_TRIES)):
        files = ResultsFolder(path)
        before = files.manifest
        if left and before is not None and not before.settled:  # a run puts files into place, or was ended while it did
            time.sleep(_WAIT)
            continue
        try:
            found = _read(files)
        except ResultsError:  # some files of before and some of after, maybe
            if not left or read_manifest(path) == before:
                raise
        else:
            if not left or read_manifest(path) == before:
                return found
    raise AssertionError("the last try returns or raises")


def _read(files: ResultsFolder) -> Folder:
    path = files.path
    files.read(SUITE)
    content = load(path / SUITE, variables=False).content
    try:
        report = Report.model_validate(content.get("report") or {})
        claims = tuple(Claim.model_validate(claim) for claim in content.get("claims") or ())
    except (ValidationError, TypeError) as error:
        raise ResultsError(f"{path / SUITE} cannot be read; run the suite again, and it is written anew") from error
    found = record_file.rows(files.table(RECORDS), path / RECORDS)
    own, before = [row for row in found if not row.other], [row for row in found if row.other]
    said = kept(path, report, own, before) or paired(path, report, own)
    known, notes = read_known(path), tuple(read_notes(files))
    return Folder(path, str(content.get("name")), report, own, said, read_runs(files, own), claims, known, notes)


def between(folder: Folder, methods: tuple[str, str]) -> Folder:
    """The same folder with Tables 2 and 3 between two other methods.  Raises `FairlError` for one that it has not."""
    from fairl_bench.results.scores import read_folder

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


def read_runs(files: ResultsFolder, found: Iterable[Record]) -> dict[Row, Runs]:
    """What each row of a table should rest on, as ``run.json`` says; where there is none, what was found."""
    if not files.has(RUN):
        return {row: Runs(0) for row in dict.fromkeys(record.row for record in found)}
    with readable(files.path / RUN):
        rows = files.json(RUN)["rows"]
        return {Row(*row["row"]): Runs(row["all"], row["failed"], row["unit"]) for row in rows}


def read_notes(files: ResultsFolder) -> list[str]:
    """What is to be known of a whole run beside its numbers, as ``run.json`` tells it."""
    if not files.has(RUN):
        return []
    with readable(files.path / RUN):
        return unread(files.json(RUN))


def plain_runs(runs: Mapping[Row, Runs]) -> list[dict[str, object]]:
    """The same as ``run.json`` keeps it."""
    return [{"row": list(row), **found._asdict()} for row, found in runs.items()]


def _signature(files: ResultsFolder, report: Report, found: Iterable[Record]) -> str:
    """What paired statistics rest on: what is asked, the scores and truths, and the records of single runs."""
    whole = hashlib.sha256(f"{MEANING} {canonical(report.plain())}".encode())
    for kind in ("scores", "examples", "truths", "realigned"):
        for place in files.names(kind):
            whole.update(f"{place.rpartition('/')[2]} {files.made_from(place)}\n".encode())
    for line in sorted(map(repr, found)):
        whole.update(line.encode())
    return whole.hexdigest()
