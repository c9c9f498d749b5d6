from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fairl_bench.tables.formats import as_csv, as_json, as_latex, as_markdown
from fairl_bench.values.table import Table

HOSTILE = Table(
    "Table 1",
    (("", "method"), ("a|b", "x_y ↑"), ("50%", "$n$")),
    (("=cmd()", "0.5 ± 0.1", "-0.250 ± 0.010"), ("a|b", "n/a", "-0.250")),
    ("One | note.\nTwo lines.",),
)


def test_the_terminal_shows_title_heads_rows_and_notes() -> None:
    text = str(HOSTILE)
    for part in ("Table 1", "method", "a|b", "0.5 ± 0.1", "n/a", "One | note."):
        assert part in text


def test_data_stands_once_above_its_metrics() -> None:
    table = Table("T", (("", "m"), ("x", "a"), ("x", "b"), ("y", "a")), (("1", "2", "3", "4"),), ())
    top = str(table).splitlines()[2]
    assert top.split() == ["x", "y"]


def test_a_pipe_ends_no_cell_in_markdown() -> None:
    lines = as_markdown(HOSTILE).splitlines()
    grid = [line for line in lines if line.startswith("|")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in grid] == [4, 4, 4, 4]


def test_no_cell_starts_a_formula_in_csv() -> None:
    table = Table("T", (("", "m"),), tuple((cell,) for cell in ("=1+1", "+1+1", "-1+1", "@a", "\tx")), ())
    rows = list(csv.reader(io.StringIO(as_csv(table), newline="")))
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+1+1", "'-1+1", "'@a", "'\tx"]


def test_a_negative_number_is_a_number_in_csv() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(HOSTILE))))
    assert rows[0] == ["method", "a|b x_y ↑", "50% $n$"]
    assert rows[2] == ["a|b", "n/a", "-0.250"]
    assert rows[1][2] == "-0.250 ± 0.010"
    assert rows[1][0] == "'=cmd()"


def test_latex_escapes_what_means_something_to_it() -> None:
    table = Table("T", (("", "m_1"), ("a&b", "50% ↑")), (("x#y", "1 ± 2"), ("$a$ {b} ~^\\", "")), ())
    text = as_latex(table)
    assert r"m\_1" in text
    assert r"a\&b 50\% $\uparrow$" in text
    assert r"x\#y" in text
    assert r"1 $\pm$ 2" in text
    assert r"\$a\$ \{b\} \textasciitilde{}\textasciicircum{}\textbackslash{}" in text


def test_latex_is_a_booktabs_tabular() -> None:
    text = as_latex(HOSTILE)
    rules = [line for line in text.splitlines() if "rule" in line or "tabular" in line]
    assert [rule.split("{")[0] for rule in rules] == ["\\begin", "\\toprule", "\\midrule", "\\bottomrule", "\\end"]
    assert text.count("\\\\") == 3


def test_a_note_of_two_lines_stays_a_comment_in_latex() -> None:
    head = as_latex(HOSTILE).partition("\\begin")[0].splitlines()
    assert head == ["% One | note.", "% Two lines."]


# --- bold, tidy rows

TIDY = Table(
    "Table 1",
    (("", "method"), ("x", "AUC ↑")),
    (("mm", "0.900 ¹"), ("=me", "n/a")),
    ("A note.",),
    ({"method": "mm", "mean": 0.9, "rank": 1}, {"method": "=me", "mean": math.nan, "rank": None}),
    frozenset({(0, 1)}),
)


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "</td><script>", "<!-- gone -->", "&lt;b&gt;", "a\nb", "`code`"]
)
def test_no_name_is_markup_in_markdown(name: str) -> None:
    table = Table(name, (("", "method"), (name, name)), ((name, "p < 0.001"), ("b", "[0.1, 0.2]")), (name,))
    text = as_markdown(table)
    assert not re.search(r"<[A-Za-z/!]|&lt;b|`", text.replace("&lt;img", "").replace("&amp;", ""))
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 4
    assert "p < 0.001" in text
    assert "[0.1, 0.2]" in text


def test_no_name_is_a_link_or_an_image_in_markdown() -> None:
    text = as_markdown(Table("t", (("", "m"),), (("![x](http://a/b.png)",), ("[x](javascript:1)",)), ()))
    assert "](" not in text
    assert "![" not in text


def test_bold_is_bold_in_markdown_and_latex_alone() -> None:
    assert "| **0.900 ¹** |" in as_markdown(TIDY)
    assert r"\textbf{0.900 $^{1}$}" in as_latex(TIDY)
    assert "*" not in str(TIDY)


def test_csv_has_one_number_a_line_where_the_table_has_tidy_rows() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(TIDY))))
    assert rows == [["method", "mean", "rank"], ["mm", "0.9", "1"], ["'=me", "", ""]]


def test_json_has_no_nan() -> None:
    found = json.loads(as_json(TIDY), parse_constant=lambda name: pytest.fail(name))
    assert found["rows"][1] == {"method": "=me", "mean": None, "rank": None}
    assert (found["title"], found["notes"]) == ("Table 1", ["A note."])


def test_json_of_a_table_without_tidy_rows_has_its_cells() -> None:
    table = Table("T", (("", "m"), ("x", "a")), (("1", "2"),), ())
    assert json.loads(as_json(table))["rows"] == [{"m": "1", "x a": "2"}]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, of TeX Live")
def test_latex_compiles(tmp_path: Path) -> None:
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "t.tex").write_text(document % "\n\n".join(map(as_latex, (HOSTILE, TIDY))))
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert ran.returncode == 0, ran.stdout[-2000:]


@pytest.mark.parametrize("table", [HOSTILE, TIDY], ids=["hostile", "tidy"])
def test_latex_has_nothing_that_it_cannot_set(table: Table) -> None:
    body = as_latex(table).partition("\\begin")[2]
    assert body.isascii()  # classes of plain LaTeX know no arrow, no ± and no ¹
    assert body.count("{") == body.count("}")
    assert re.sub(r"\\\$", "", body).count("$") % 2 == 0
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.heads) - 1}
