from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.sources.files import Csv, Jsonl
from fairl_bench.builtin.sources.pair_columns import Columns
from fairl_bench.builtin.sources.toy import ToyComments
from fairl_bench.errors import DataError
from fairl_bench.toy.grammar import Hard
from fairl_bench.toy.pairs import preference_pairs
from fairl_bench.values.data import Pairs

ROWS = [
    {"chosen": "kind", "rejected": "rude", "prompt": "hello", "thread": 7},
    {"chosen": "calm", "rejected": "loud", "prompt": None, "thread": None},
    {"chosen": "naïve ☕", "rejected": "a\u2028b", "prompt": "", "thread": "x"},
]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


@pytest.fixture
def jsonl(tmp_path: Path) -> Path:
    return tmp_path / "pairs.jsonl"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "pairs.csv"


def pairs_of(path: Path, **fields: Any) -> Pairs:
    return (Jsonl if path.suffix == ".jsonl" else Csv)(path=str(path), **fields).pairs(rng())


def refuses(path: Path, content: bytes, complaint: str, **fields: Any) -> None:
    """The whole message, word for word."""
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        pairs_of(path, **fields)
    assert str(caught.value) == f"{path}{complaint}"


# --- JSON lines


def test_jsonl_gives_one_pair_a_row_in_order(jsonl: Path) -> None:
    jsonl.write_bytes(lines(*ROWS))
    pairs = pairs_of(jsonl)
    assert pairs.preferred == ("kind", "calm", "naïve ☕")
    assert pairs.rejected == ("rude", "loud", "a\u2028b")  # a line separator inside a text is no end of line
    assert pairs.prompt == pairs.group == ("", "", "")


def test_prompt_and_group_come_from_their_columns_and_null_is_none(jsonl: Path) -> None:
    jsonl.write_bytes(lines(*ROWS))
    pairs = pairs_of(jsonl, columns=Columns(prompt="prompt", group="thread"))
    assert pairs.prompt == ("hello", "", "")
    assert pairs.group == ("7", "", "x")


def test_columns_can_be_named(jsonl: Path) -> None:
    jsonl.write_bytes(lines({"win": "a", "lose": "b"}))
    pairs = pairs_of(jsonl, columns=Columns(preferred="win", rejected="lose"))
    assert (pairs.preferred, pairs.rejected) == (("a",), ("b",))


def test_limit_reads_the_first_rows_and_no_further(jsonl: Path) -> None:
    jsonl.write_bytes(lines(*ROWS) + b"not JSON\n")
    assert pairs_of(jsonl, limit=2).preferred == ("kind", "calm")


def test_blank_lines_windows_line_ends_and_a_missing_last_one_are_fine(jsonl: Path) -> None:
    jsonl.write_bytes(b"\n" + lines(ROWS[0]).replace(b"\n", b"\r\n") + b"  \r\n" + lines(ROWS[1]).rstrip())
    assert pairs_of(jsonl).preferred == ("kind", "calm")


@pytest.mark.parametrize("content", [lines(*ROWS), b"chosen,rejected\nkind,rude\ncalm,loud\n"])
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, content: bytes) -> None:
    """Excel and Notepad write one."""
    path = tmp_path / ("pairs.jsonl" if content.startswith(b"{") else "pairs.csv")
    path.write_bytes(content)
    plain = pairs_of(path)
    path.write_bytes(b"\xef\xbb\xbf" + content)
    assert pairs_of(path) == plain


def test_a_file_that_is_not_there(jsonl: Path) -> None:
    with pytest.raises(DataError) as caught:
        pairs_of(jsonl)
    assert str(caught.value) == f"{jsonl} cannot be read: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        Jsonl(path=str(tmp_path)).pairs(rng())


@pytest.mark.parametrize("content", [b"", b"\n  \n"])
def test_jsonl_without_a_row(jsonl: Path, content: bytes) -> None:
    refuses(jsonl, content, " holds no row")


def test_broken_json_names_its_line(jsonl: Path) -> None:
    content = lines(*ROWS) + b"\n" + b'{"chosen": "a", \n'  # line 5: blank lines count
    complaint = ":5: is not JSON: expecting property name enclosed in double quotes, at character 16"
    refuses(jsonl, content, complaint)


def test_a_row_that_is_no_object(jsonl: Path) -> None:
    refuses(jsonl, lines(ROWS[0], ["a", "b"]), """:2: needs a JSON object, got '["a", "b"]'""")


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_json_does_not_have(jsonl: Path, constant: str) -> None:
    content = lines(ROWS[0]) + f'{{"chosen": {constant}, "rejected": "b"}}\n'.encode()
    refuses(jsonl, content, f":2: is not JSON: {constant} is not a number")


def test_a_missing_column_suggests_the_near_one(jsonl: Path) -> None:
    refuses(jsonl, lines({"chosne": "a", "rejected": "b"}), ":1: no column 'chosen'; did you mean 'chosne'?")
    rows = lines(ROWS[0], {"chosen": "a", "zzz": "b"})
    refuses(jsonl, rows, ":2: no column 'rejected'; known: 'chosen', 'zzz'")


def test_a_missing_group_column_is_refused(jsonl: Path) -> None:
    content = lines({"chosen": "a", "rejected": "b", "groups": 1})
    refuses(jsonl, content, ":1: no column 'group'; did you mean 'groups'?", columns=Columns(group="group"))


@pytest.mark.parametrize("text", ["", " \t"])
def test_an_empty_text_names_its_line_and_column(jsonl: Path, text: str) -> None:
    content = lines(ROWS[0], {"chosen": "a", "rejected": text})
    refuses(jsonl, content, ":2: column 'rejected' is empty; remove the row or fill it, or set 'empty: drop'")


@pytest.mark.parametrize(("value", "shown"), [(3, "3"), (None, "None"), (["a"], "['a']"), (True, "True")])
def test_a_text_that_is_none(jsonl: Path, value: Any, shown: str) -> None:
    refuses(jsonl, lines({"chosen": value, "rejected": "b"}), f":1: column 'chosen' needs a text, got {shown}")


def test_half_a_surrogate_pair_is_no_text(jsonl: Path) -> None:
    content = b'{"chosen": "a", "rejected": "b \\ud800"}\n'
    refuses(jsonl, content, ":1: column 'rejected' holds half a surrogate pair, which is no text; mend it")


@pytest.mark.parametrize("before", [0, 1, 50, 5000])  # 5,000 lines: more than one block of a buffered reader
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_bytes_that_are_not_utf_8_name_their_line(tmp_path: Path, kind: str, before: int) -> None:
    path = tmp_path / f"pairs.{kind}"
    good = lines(ROWS[1]) if kind == "jsonl" else b"kind,rude\n"
    bad = lines(ROWS[1]).replace(b"calm", b"caf\xe9") if kind == "jsonl" else b"caf\xe9,rude\n"
    head = b"" if kind == "jsonl" else b"chosen,rejected\n"
    line = before + (1 if kind == "jsonl" else 2)
    refuses(path, head + good * before + bad + good * 3, f":{line}: is not UTF-8; convert the file")


def test_utf_16_is_refused(jsonl: Path) -> None:
    refuses(jsonl, lines(*ROWS).decode().encode("utf-16"), ":1: is not UTF-8; convert the file")


# --- CSV


def test_csv_gives_one_pair_a_row_with_quotes_commas_and_lines_inside(table: Path) -> None:
    table.write_bytes('chosen,rejected,p\r\n"a, ""b""","c\r\nd",x\r\nnaïve,e,\r\n'.encode())
    pairs = pairs_of(table, columns=Columns(prompt="p", group="p"))
    assert pairs.preferred == ('a, "b"', "naïve")
    assert pairs.rejected == ("c\r\nd", "e")
    assert pairs.prompt == pairs.group == ("x", "")


def test_csv_limit(table: Path) -> None:
    table.write_bytes(b"chosen,rejected\na,b\nc,d\ne\n")
    assert pairs_of(table, limit=2).preferred == ("a", "c")


@pytest.mark.parametrize("row", [b"a\n", b"a,b,c\n"])
def test_a_ragged_csv_names_its_line(table: Path, row: bytes) -> None:
    refuses(table, b"chosen,rejected\na,b\n" + row, ":3: has not as many cells as the header has names")


def test_a_ragged_row_after_a_text_of_two_lines_is_still_counted_by_the_line(table: Path) -> None:
    refuses(table, b'chosen,rejected\n"a\nb",c\nd\n', ":4: has not as many cells as the header has names")


def test_an_open_quote_is_no_csv(table: Path) -> None:
    table.write_bytes(b'chosen,rejected\n"a,b\nc,d\n')
    with pytest.raises(DataError, match=r"pairs\.csv:\d: is not CSV: unexpected end of data"):
        pairs_of(table)


@pytest.mark.parametrize("content", [b"", b"chosen,rejected\n"])
def test_csv_without_a_row(table: Path, content: bytes) -> None:
    refuses(table, content, " holds no row")


def test_a_missing_csv_column(table: Path) -> None:
    refuses(table, b"choosen,rejected\na,b\n", ":2: no column 'chosen'; did you mean 'choosen'?")


def test_an_empty_csv_text(table: Path) -> None:
    refuses(
        table, b"chosen,rejected\n,b\n", ":2: column 'chosen' is empty; remove the row or fill it, or set 'empty: drop'"
    )


def test_a_csv_file_that_is_not_there(table: Path) -> None:
    with pytest.raises(DataError) as caught:
        pairs_of(table)
    assert str(caught.value) == f"{table} cannot be read: No such file or directory"


# --- the synthetic world


def test_toy_comments_are_the_pairs_of_the_world() -> None:
    source = ToyComments(n=30, base_toxic=0.9, expert_toxic=0.1, shift=0.3, hard=0.7, cases=("negation",))
    pairs = source.pairs(np.random.default_rng(5))
    hard = Hard(0.7, ("negation",))
    drawn = preference_pairs(30, np.random.default_rng(5), base_toxic=0.9, expert_toxic=0.1, shift=0.3, hard=hard)
    assert pairs.preferred == tuple(one.preferred for one in drawn)
    assert pairs.rejected == tuple(one.rejected for one in drawn)
    assert pairs.prompt == tuple(one.prompt.text for one in drawn)
    assert not any(a == b for a, b in zip(pairs.preferred, pairs.rejected, strict=True))


def test_another_replicate_draws_another_world() -> None:
    source = ToyComments(n=30)
    first, again, other = (source.pairs(np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again
    assert len(set(first.preferred) & set(other.preferred)) < 5


@pytest.mark.parametrize(
    ("field", "value"), [("n", 1), ("base_toxic", 1.1), ("expert_toxic", -0.1), ("shift", 2.0), ("hard", 1.5)]
)
def test_a_value_out_of_bounds_is_refused_at_once(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"(?s){field}.*input_value={value}"):
        ToyComments(**{field: value})


def test_a_hard_case_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)cases\.0.*'negation'.*input_value='irony'"):
        ToyComments(cases=("irony",))
    with pytest.raises(ValueError, match=r"(?s)cases.*at least 1 item.*input_value=\(\)"):
        ToyComments(cases=())


@pytest.mark.parametrize(
    ("group", "said"),
    [('["a"]', "needs the name of a group, got ['a']"), (r'"\ud800"', "holds half a surrogate pair, which is no text")],
)
def test_a_group_is_a_name_or_a_number(jsonl: Path, group: str, said: str) -> None:
    jsonl.write_text(f'{{"chosen": "a", "rejected": "b", "g": {group}}}\n')
    with pytest.raises(DataError, match=re.escape(f"{jsonl}:1: column 'g' {said}")):
        pairs_of(jsonl, columns=Columns(group="g"))
    jsonl.write_text('{"chosen": "a", "rejected": "b", "g": 7}\n{"chosen": "c", "rejected": "d", "g": null}\n')
    assert pairs_of(jsonl, columns=Columns(group="g")).group == ("7", "")
