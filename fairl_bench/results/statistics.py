"""The statistics that compare methods: records of two runs, intervals and paired differences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.digests import canonical
from fairl_bench.errors import ResultsError
from fairl_bench.metrics import Metrics
from fairl_bench.results import interval_file
from fairl_bench.results.folder import EXAMPLES, INTERVALS, REALIGNED, SCORES, TRUTHS, ResultsFolder
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.records import Record
from fairl_bench.views import Report, questions, seed_distances

if TYPE_CHECKING:
    from fairl_bench.values.sheets import Sheet, Values

MEANING = 1  # raise it when equal inputs give other statistics


class Statistics(NamedTuple):
    """The records of two runs, the comparisons over all runs, and the signature of what both were made from."""

    records: Sequence[Record]
    comparisons: Sequence[Comparison]
    signature: str = ""


def kept_statistics(files: ResultsFolder, signature: str, records: Sequence[Record] | None) -> Statistics | None:
    """The statistics that a folder holds, if they are whole and were made from what the signature says.

    ``records`` are the folder's records of two runs; None where these cannot be trusted.
    """
    if records is None or files.made_from(INTERVALS) != signature:
        return None
    try:
        compared = interval_file.rows(files.table(INTERVALS), files.path / INTERVALS)
    except ResultsError:  # they can be made again
        return None
    return Statistics(records, compared, signature)


def signature_of(
    files: ResultsFolder, report: Report, records: Iterable[Record], references: Iterable[str] = ()
) -> str:
    """The digest of what statistics are made from: questions, scores, truths, records of single runs, references."""
    whole = hashlib.sha256(f"{MEANING} {canonical(_asked(report))}".encode())
    for kind in (SCORES, EXAMPLES, TRUTHS, REALIGNED):
        for name in files.names(kind):
            whole.update(f"{name.rpartition('/')[2]} {files.made_from(name)}\n".encode())
    for line in sorted(map(repr, records)):
        whole.update(line.encode())
    for name in sorted(references):
        whole.update(f"reference {name!r}\n".encode())
    return whole.hexdigest()


def statistics(
    sheets: Sequence[Sheet],
    report: Report,
    records: Sequence[Record],
    metrics: Metrics,
    references: Sequence[str] = (),
) -> Statistics:
    """The statistics that the tables of a report need, from scores and the records of single runs.

    ``references`` are methods that no other is compared with.
    """
    from fairl_bench.results import paired
    from fairl_bench.results.two_runs import ambiguities
    from fairl_bench.values.sheets import Values

    values = Values.read(records)
    rows = list(disagreements(sheets, report, values))
    rows += ambiguities([sheet for sheet in sheets if sheet.data in seed_distances(report)])
    compared = paired.compared(sheets, values, questions(report), metrics, references=references)
    return Statistics(list({row.key: row for row in rows}.values()), compared)


def disagreements(sheets: Sequence[Sheet], report: Report, values: Values) -> Iterator[Record]:
    """The counts of texts that both methods of a table have right, only one, or neither, run by run."""
    from fairl_bench.results import two_runs

    for part in report.values():
        by_data = {two_methods.data: two_methods for two_methods in part.disagreements()}
        for sheet in sheets:
            if (two_methods := by_data.get(sheet.data)) is not None:
                yield from two_runs.disagreements(sheet, values, two_methods)


def _asked(report: Report) -> list[object]:
    """The statistics that a report needs, as plain data."""
    two = [dict.fromkeys(part.disagreements()) for part in report.values()]
    return [questions(report), [list(of_table) for of_table in two], seed_distances(report)]
