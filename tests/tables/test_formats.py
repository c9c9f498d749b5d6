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

from fairl_bench.errors import PluginError
from fairl_bench.guards.views import checked_table
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


# --- reference rows

REFERRED = Table(
    "Table 1",
    (("", "method"), ("x", "AUC ↑")),
    (("oracle (truth)", "1.000"), ("mm", "0.900 ¹"), ("me", "0.800")),
    (),
    references=1,
)


def test_a_line_stands_between_reference_rows_and_methods_on_the_terminal() -> None:
    head, *lines = str(REFERRED).splitlines()[3:]
    assert head.startswith("method")
    rule = lines[0]
    assert set(rule) == {"-", " "}
    assert [line == rule for line in lines if line] == [True, False, True, False, False]
    assert str(REFERRED._replace(references=0)).count(rule) == 1
    assert str(REFERRED._replace(references=3)).count(rule) == 1  # there is nothing to set them apart from


def test_reference_rows_are_in_italics_in_markdown() -> None:
    lines = [re.sub(" +", " ", line) for line in as_markdown(REFERRED).splitlines() if line.startswith("|")]
    assert lines[2:] == ["| *oracle (truth)* | *1.000* |", "| mm | 0.900 ¹ |", "| me | 0.800 |"]


def test_a_rule_stands_between_reference_rows_and_methods_in_latex() -> None:
    lines = [line.split(" ")[0] or line.split(" ")[1] for line in as_latex(REFERRED).splitlines()]
    assert lines[1:] == [
        *("\\toprule", "method", "\\midrule", "oracle", "\\midrule", "mm", "me", "\\bottomrule", "\\end{tabular}"),
    ]


def test_reference_rows_have_a_block_of_their_own_in_a_notebook() -> None:
    blocks = re.findall(r"<tbody[^>]*>(.*?)</tbody>", REFERRED._repr_html_())
    assert [re.findall(r"<tr><td>(.*?)</td>", block) for block in blocks] == [["oracle (truth)"], ["mm", "me"]]
    assert len(re.findall("<tbody", REFERRED._replace(references=0)._repr_html_())) == 1


def test_a_table_without_rows_can_be_shown() -> None:
    empty = REFERRED._replace(rows=(), references=0)
    assert "method" in str(empty)
    assert "method" in as_latex(empty)
    assert "method" in as_markdown(empty)
    assert "method" in empty._repr_html_()


@pytest.mark.parametrize("references", [-1, 4, "1"])
def test_a_number_of_references_that_no_table_has_is_refused(references: int) -> None:
    with pytest.raises(PluginError, match=f"references is {references!r}; it is the number of the first rows"):
        checked_table(REFERRED._replace(references=references), "t")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, of TeX Live")
def test_latex_compiles(tmp_path: Path) -> None:
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "t.tex").write_text(document % "\n\n".join(map(as_latex, (HOSTILE, TIDY, REFERRED))))
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert ran.returncode == 0, ran.stdout[-2000:]


@pytest.mark.parametrize("table", [HOSTILE, TIDY, REFERRED], ids=["hostile", "tidy", "referred"])
def test_latex_has_nothing_that_it_cannot_set(table: Table) -> None:
    body = as_latex(table).partition("\\begin")[2]
    assert body.isascii()  # classes of plain LaTeX know no arrow, no ± and no ¹
    assert body.count("{") == body.count("}")
    assert re.sub(r"\\\$", "", body).count("$") % 2 == 0
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.heads) - 1}
