"""Tables as pure functions of records, and the texts they are printed and saved as.  Nothing here imports torch."""

from fairl_bench.rows import Runs
from fairl_bench.table import Table
from fairl_bench.tables.formats import FORMATS, as_csv, as_json, as_latex, as_markdown, as_text
from fairl_bench.tables.leaderboard import table1

__all__ = [
    "FORMATS",
    "Runs",
    "Table",
    "as_csv",
    "as_json",
    "as_latex",
    "as_markdown",
    "as_text",
    "table1",
]
