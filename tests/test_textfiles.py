"""One reading of a file, whoever reads it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.digests import file_digest
from fairl_bench.errors import DataError
from fairl_bench.textfiles import csv_rows, json_objects, lines, opened, parsed, shown, twice

names = st.text("abß ", min_size=1, max_size=3)


@pytest.mark.parametrize(
    "read", [opened, lambda path: list(lines(path)), file_digest], ids=["opened", "lines", "digest"]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "nothing", "null"])
def test_what_is_no_file_is_refused_at_once(read: Any, kind: str, tmp_path: Path) -> None:
    path = {"device": Path("/dev/zero"), "folder": tmp_path, "null": tmp_path / "a\0b"}.get(kind, tmp_path / "x")
    if kind == "pipe":
        os.mkfifo(path)
    said = {"pipe": "it is a pipe; write its content to a file", "device": "it is a device", "folder": "Is a directory"}
    expected = said.get(kind, {"nothing": "No such file or directory", "null": "embedded null byte"}.get(kind, ""))
    with pytest.raises(DataError, match=f"cannot be read: {expected}"):
        read(path)


# --- JSON


@given(st.dictionaries(names, st.integers() | names | st.none() | st.booleans(), max_size=5))
def test_what_is_json_is_read_as_it_is(values: dict[str, Any]) -> None:
    assert parsed(json.dumps(values)) == values


@given(st.lists(names, min_size=2, max_size=6), st.integers(0, 2))
def test_a_name_that_stands_twice_is_refused_however_deep(keys: list[str], deep: int) -> None:
    text = "{" + ", ".join(f"{json.dumps(key)}: {i}" for i, key in enumerate(keys)) + "}"
    for _ in range(deep):
        text = f'{{"in": [{text}]}}'
    if len(set(keys)) == len(keys):
        parsed(text)
    else:
        with pytest.raises(ValueError, match=r'the name ".*" stands twice'):
            parsed(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a":' * 100_000, "it is nested too deeply"),
        ("9" * 5000, "a number in it has over 4300 digits"),
        ("-" + "9" * 5000, "a number in it has over 4300 digits"),
        ("1e999", "1e999 is too large for a number"),
        ("-1e999", "-1e999 is too large for a number"),
        ("NaN", "NaN is not a number"),
        ("[Infinity]", "Infinity is not a number"),
        ("{'a': 1}", "expecting property name enclosed in double quotes, at character 2"),
        ("1 2", "extra data, at character 3"),
    ],
)
def test_what_is_no_json_is_refused_in_few_words(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parsed(text)
    assert str(caught.value) == said


def test_a_number_of_a_thousand_digits_is_a_number() -> None:
    assert parsed("9" * 1000) == 10**1000 - 1


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["a" * 100, 10**5000, deep(10_000), {1, 2}], ids=["long", "huge", "deep", "set"])
def test_what_is_shown_is_short_whatever_it_is(value: object) -> None:
    assert len(shown(value)) <= 60
    assert len(shown(value, write=repr)) <= 60


def test_many_names_are_looked_at_once_each() -> None:
    many = [f"n{i}" for i in range(200_000)]
    before = time.process_time()
    assert twice(many) is None
    assert twice([*many, "n199999"]) == "n199999"
    assert time.process_time() - before < 1


# --- CSV


def table(path: Path, content: str | bytes) -> tuple[list[str], list[dict[str, str]]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found, rows = csv_rows(path)
    return found, [values for _, values in rows]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_cells_are_the_texts_that_stand_there(tmp_path: Path, end: str, mark: str) -> None:
    words = ["NA", "null", "None", "nan", "", "007", "1e5", " a ", "true", "a" * 200_000]
    content = mark + end.join(["a,b", *(f"{word},{word}" for word in words)]) + end
    assert table(tmp_path / "a.csv", content) == (["a", "b"], [{"a": word, "b": word} for word in words])


@given(columns=st.lists(st.text("ab", max_size=2), min_size=1, max_size=4))
def test_a_column_of_a_name_that_stands_twice_is_refused(
    tmp_path_factory: pytest.TempPathFactory, columns: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "twice.csv"
    content = ",".join(json.dumps(name) for name in columns) + "\n" + ",".join("x" for _ in columns) + "\n"
    if len(set(columns)) == len(columns):
        assert table(path, content)[0] == columns
    else:
        with pytest.raises(DataError, match=r':1: two columns are named ".*"; rename one, or remove it'):
            table(path, content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1\n", ":2: has not as many cells as the header has names"),
        (b"a,b\n1,2,3\n", ":2: has not as many cells as the header has names"),
        (b'a,b\n"1,2\n', ":2: is not CSV: unexpected end of data"),
        (b"a,b\n1,\x002\n", ":2: holds a null character; convert the file to UTF-8, or mend it"),
        ("a,b\n1,2\n".encode("utf-16"), ":1: is not UTF-8; convert the file"),
        ("a,b\n1,2\n".encode("utf-16-le"), ":1: holds a null character; convert the file to UTF-8, or mend it"),
        (b"a,b\n1,caf\xe9\n", ":2: is not UTF-8; convert the file"),
        (b"a\n1\n\n2\n", ":3: is blank, which may be an empty cell; remove the line, or fill it"),
    ],
)
def test_what_is_no_table_is_refused_at_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        table(tmp_path / "a.csv", content)
    assert str(caught.value) == f"{tmp_path / 'a.csv'}{said}"


def test_blank_lines_are_no_rows_where_they_can_be_no_cell(tmp_path: Path) -> None:
    assert table(tmp_path / "a.csv", "\na,b\n\n1,2\n\n") == (["a", "b"], [{"a": "1", "b": "2"}])
    assert table(tmp_path / "b.csv", 'a\n1\n"x\n\ny"\n\n')[1] == [{"a": "1"}, {"a": "x\n\ny"}]
    assert table(tmp_path / "c.csv", "") == ([], [])


def test_a_line_without_an_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.textfiles.LONGEST", 100)
    (tmp_path / "a").write_text("x\n" + "y" * 101 + "\n")
    with pytest.raises(DataError, match="a:2: is a line of more than 100 bytes; mend the file"):
        list(lines(tmp_path / "a"))


def test_an_object_a_line_is_read_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('\ufeff{"a": "x\u2028y"}\r\n\r\n{"a": null}'.encode())
    assert list(json_objects(path)) == [(1, {"a": "x\u2028y"}), (3, {"a": None})]
