"""The statistics that compare methods: records of two runs, intervals and paired differences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.digests import canonical
from fairl_bench.errors import ResultsError
from fairl_bench.metrics import Metrics
from fairl_bench.results import interval_file
from fairl_bench.results.folder import EVIDENCE, EXAMPLES, INTERVALS, SCORES, TRUTHS, ResultsFolder
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.records import Record
from fairl_bench.values.references import references_of
from fairl_bench.values.run_facts import RunFacts
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


def signature_of(files: ResultsFolder, report: Report, records: Iterable[Record], run: RunFacts) -> str:
    """The digest of what statistics are made from: the questions, the scores and truths, the records of single runs.

    Of the ``run`` it has which methods are references, and which bound what.
    """
    whole = hashlib.sha256(f"{MEANING} {canonical(_asked(report))}".encode())
    for kind in (SCORES, EXAMPLES, TRUTHS, EVIDENCE):
        for name in files.names(kind):
            whole.update(f"{name.removeprefix(f'{kind}/')} {files.made_from(name)}\n".encode())
    for line in sorted(map(repr, records)):
        whole.update(line.encode())
    for name in sorted(references_of(run.methods)):
        whole.update(f"reference {name!r}\n".encode())
    for model, method in sorted(run.ceilings.items()):
        whole.update(f"ceiling {model!r} {method!r}\n".encode())
    return whole.hexdigest()


def statistics(
    sheets: Sequence[Sheet],
    report: Report,
    records: Sequence[Record],
    metrics: Metrics,
    run: RunFacts,
) -> Statistics:
    """The statistics that the tables of a report need, from scores and the records of single runs.

    The ``run`` says which methods are references, which no other is compared with, and which bound what.
    """
    from fairl_bench.results import paired
    from fairl_bench.results.two_runs import ambiguities
    from fairl_bench.values.sheets import Values, with_slices

    values = Values.read(records)
    rows = list(disagreements(sheets, report, values))
    rows += ambiguities([sheet for sheet in sheets if sheet.data in seed_distances(report)])
    asked = questions(report)
    every = with_slices(sheets, {question.data for question in asked})
    compared = paired.compared(
        every, values, asked, metrics, references=references_of(run.methods), ceilings=run.ceilings
    )
    return Statistics(list({row.key: row for row in rows}.values()), compared)


def disagreements(sheets: Sequence[Sheet], report: Report, values: Values) -> Iterator[Record]:
    """The counts of texts that both methods of a table have right, only one, or neither, run by run."""
    from fairl_bench.results import two_runs

    for part in report.values():
        asked = list(dict.fromkeys(part.disagreements()))
        for sheet in sheets:
            for two_methods in asked:
                if two_methods.data == sheet.data:
                    yield from two_runs.disagreements(sheet, values, two_methods)


def _asked(report: Report) -> list[object]:
    """The statistics that a report needs, as plain data."""
    two = [dict.fromkeys(part.disagreements()) for part in report.values()]
    return [questions(report), [list(of_table) for of_table in two], seed_distances(report)]
