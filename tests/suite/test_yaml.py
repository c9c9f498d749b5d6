from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.errors import SuiteError
from fairl_bench.suite.yaml import dump, load

Write = Callable[..., Path]


def content(path: Path) -> dict[str, Any]:
    return load(path).content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("null", None),
        ("", None),
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("1E3", 1000.0),
        ("5", 5),
        ("-2", -2),
        ("0o17", 15),
        ("010", 10),
        ("0x1f", 31),
        ("1.50", 1.5),
        ("12:30:45", "12:30:45"),
        ('"3"', "3"),
        ("'${literal'", "${literal"),
        # what only YAML 1.1 takes for numbers is text, and a number field says what it got
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("-0x1f", "-0x1f"),
        ("+nan", "+nan"),
        ("-.nan", "-.nan"),
        ("nan", "nan"),
        ("inf", "inf"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("+.Inf", math.inf),
        ("1e999", math.inf),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1.5E+2", 150.0),
        ("-0", 0),
        ("00012", 12),
        ("NULL", None),
        ("~", None),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("2001-12-14-run", "2001-12-14-run"),
        ("'2001-12-14'", "2001-12-14"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1.0),
        ("!!int '1'", 1),
        ("|\n  a\n  b", "a\nb\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object, write_suite: Write) -> None:
    found = content(write_suite(f"a: {text}\n"))["a"]
    assert found == value
    assert isinstance(found, type(value))


def test_numbers_are_of_pythons_own_types(write_suite: Write) -> None:
    found = content(write_suite("a: 0x1f\nb: 1e-3\nc: [1]\nd: {e: 2}\n"))
    assert [type(value) for value in (found["a"], found["b"], found["c"][0], found["d"]["e"])] == [int, float, int, int]


def test_lines_are_those_of_keys_and_items(write_suite: Write) -> None:
    path = write_suite("# first\nname: x\nmethods:\n  - {name: a,\n     use: b}\n  - name: c\n    use: d\n")
    document = load(path)
    places = [("name",), ("methods",), ("methods", 0), ("methods", 0, "use"), ("methods", 1), ("methods", 1, "use")]
    assert [document.where(place)[1] for place in places] == [2, 3, 4, 5, 6, 7]


def test_the_line_of_something_missing_is_that_of_what_is_around_it(write_suite: Write) -> None:
    path = write_suite("name: x\nmethods:\n  - name: a\n")
    assert load(path).where(("methods", 0, "use", "deep")) == (path, 3)
    assert load(path).where(("nothing",)) == (path, 1)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "key 'a' is given twice"),
        ("a:\n  b: 1\n  b: 2\n", 3, "key 'b' is given twice"),
        ("a: [{c: 1, c: 2}]\n", 1, "key 'c' is given twice"),
        ("a: [1, 2\nb: 3\n", 2, "is not YAML: "),
        ("a: 1\n b: 2\n", 2, "is not YAML: "),
        ("a: *gone\n", 1, "is not YAML: found undefined alias 'gone'"),
        ("a: 1\n---\nb: 2\n", 2, "is not YAML: "),
        ("", 1, "is empty or no mapping; a suite starts with 'name: ...'"),
        ("# nothing\n", 1, "is empty or no mapping"),
        ("- a\n- b\n", 1, "is empty or no mapping"),
        ("name\n", 1, "is empty or no mapping"),
        ("a: 1\nb: 2001-12-14\n", 2, "2001-12-14 is a date, which nothing here needs; quote it to make it a text"),
        ("a: 1\nb: !secret x\n", 2, "is no text, number, list or mapping"),
        ("a: 1\nb: !x [1]\n", 2, "a value tagged '!x' is no text, number, list or mapping"),
        ("a: 1\nb: !x {c: 1}\n", 2, "a value tagged '!x' is no text, number, list or mapping"),
        ("a: 1\n!x b: 1\n", 2, "a value tagged '!x' is no text, number, list or mapping"),
        (
            "a: 1\nb: !!python/object/apply:os.system [echo]\n",
            2,
            "a value tagged '!!python/object/apply:os",
        ),
        ("a: 1\nb: !!set {c}\n", 2, "a value tagged '!!set' is no text, number, list or mapping"),
        ("a: 1\nb: !!omap [c: 1]\n", 2, "a value tagged '!!omap' is no text, number, list or mapping"),
        ("a: 1\nb: !!float x\n", 2, "'x' is tagged '!!float', which it is not"),
        ("a: 1\nb: !!int 1.5\n", 2, "'1.5' is tagged '!!int', which it is not"),
        ("a: 1\nb: !!map [1]\n", 2, "a list is tagged as another type"),
        ("a: 1\nb: 2020-13-45\n", 2, "2020-13-45 is a date"),
        ("a: 1\nb: 2020-1-2 3:04:05\n", 2, "is a date"),
        ("a: 1\nb: 2001-12-14t21:59:43.10-05:00\n", 2, "is a date"),
        ("a: 1\nb: {null: 1}\n", 2, "a key must be a text, got 'null'; quote it"),
        ("a: 1\nb: {true: 1}\n", 2, "a key must be a text, got 'true'; quote it"),
        ("a: 1\n1.5: 1\n", 2, "a key must be a text, got '1.5'; quote it"),
        ("a: 1\n: 1\n", 2, "a key must be a text, got ''; quote it"),
        ("a: 1\n? [b]\n: 1\n", 2, "a key must be a text, got a list or mapping"),
        ("a: 1\n? {b: 1}\n: 1\n", 2, "a key must be a text, got a list or mapping"),
        ("a: 1\n'a': 2\n", 2, "key 'a' is given twice"),
        ("b: {1: a, 0x1: b}\n", 1, "key 1 is given twice"),
        ("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n", 4, "key '<<' is given twice; give it a list of what to merge"),
        ("a: 1\nc: {<<: 3}\n", 2, "'<<' needs a mapping or a list of mappings to merge"),
        ("a: 1\nc: {<<: [{d: 1}, 3]}\n", 2, "'<<' needs a mapping or a list of mappings to merge"),
        ("a: 1\nb: &b [*b]\n", 2, "the alias 'b' stands within what it names, which would hold itself"),
        ("a: 1\nb: &b {c: {d: *b}}\n", 2, "the alias 'b' stands within what it names"),
        ("%YAML 1.1\n---\na: 1\n", 1, "asks for another YAML than 1.2"),
        ("a: 1\n\tb: 2\n", 2, "is not YAML: "),
        ("a: 1\nb: \x00\n", 2, "is not YAML: special characters are not allowed, '\\x00' is one"),
        ("a: 1\n\ufeffb: 2\n", 2, "is not YAML: special characters are not allowed"),
        ('a: 1\nb: "${}"\n', 2, "'${}' names no variable; write ${NAME} or ${NAME:-default}"),
        ('a: 1\nb: "${1}"\n', 2, "'${1}' names no variable"),
        ('a: 1\nb: "${A B}"\n', 2, "'${A B}' names no variable"),
        ('a: 1\nb: "${FAIRL_UNSET:-${B}}"\n', 2, "a ${...} within another is not replaced"),
        ("a: 1\nb: !!binary aGVsbG8=\n", 2, "'!!binary' is no text, number, list or mapping"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int, message: str, write_suite: Write) -> None:
    path = write_suite(text)
    with pytest.raises(SuiteError, match="^" + re.escape(f"{path}:{line}: ") + ".*" + re.escape(message)):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="^" + re.escape(f"{tmp_path / 'no.yaml'}: cannot be read: No such file")):
        load(tmp_path / "no.yaml")


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="^" + re.escape(f"{tmp_path}: cannot be read: Is a directory")):
        load(tmp_path)


def test_bytes_that_are_not_utf_8_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: café\n".encode("latin-1"))
    with pytest.raises(SuiteError, match=re.escape(f"{path}:1: is not UTF-8; convert the file")):
        load(path)


def test_a_control_character_is_refused(write_suite: Write) -> None:
    with pytest.raises(SuiteError, match=r"is not YAML: .*special characters are not allowed"):
        load(write_suite("name: a\x07b\n"))


# --- anchors


def test_an_alias_is_a_copy(write_suite: Write) -> None:
    assert content(write_suite("a: &x {p: 1}\nb: *x\n")) == {"a": {"p": 1}, "b": {"p": 1}}


def test_a_key_that_a_merge_brings_has_the_line_of_the_mapping_it_is_brought_to(write_suite: Write) -> None:
    document = load(write_suite("a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n"))
    assert document.content["b"] == {"p": 1, "q": 3}
    assert document.where(("b", "q"))[1] == 4
    assert document.where(("b", "p"))[1] == 2


def test_what_is_given_beside_a_merge_wins_and_then_the_first_of_several(write_suite: Write) -> None:
    text = "a: &a {p: 1, q: 1, r: 1}\nb: &b {q: 2, r: 2, s: 2}\nc: {r: 3, <<: [*a, *b]}\nd: {'<<': 4}\n"
    found = content(write_suite(text))
    assert found["c"] == {"r": 3, "p": 1, "q": 1, "s": 2}
    assert found["d"] == {"<<": 4}


def test_a_merge_at_the_top_is_as_any_other(write_suite: Write) -> None:
    assert content(write_suite("a: &a {p: 1}\n<<: *a\n")) == {"a": {"p": 1}, "p": 1}


def test_a_byte_order_mark_and_lines_of_windows_are_no_part_of_it(write_suite: Write) -> None:
    assert content(write_suite("\ufeff# x\r\nname: x\r\nb:\r\n  - 1\r\n")) == {"name": "x", "b": [1]}


def test_a_tag_directive_and_yaml_1_2_are_taken(write_suite: Write) -> None:
    assert content(write_suite("%YAML 1.2\n%TAG !e! tag:example.org,2000:\n---\na: 1\n")) == {"a": 1}


def test_words_of_a_directive_in_a_text_are_text(write_suite: Write) -> None:
    assert content(write_suite("a: |\n  %YAML 1.1\n")) == {"a": "%YAML 1.1\n"}


# --- extends


def test_a_key_given_here_replaces_the_whole_key_there(write_suite: Write) -> None:
    write_suite("name: base\nhead: {use: mlp, width: 8}\nseeds: [0, 1]\n", "base.yaml")
    path = write_suite("extends: base.yaml\nname: here\nhead: {use: linear}\n")
    assert content(path) == {"name": "here", "head": {"use": "linear"}, "seeds": [0, 1]}


def test_lines_of_what_is_extended_point_into_its_file(write_suite: Write) -> None:
    base = write_suite("name: base\nhead:\n  use: mlp\nseeds: [0]\n", "base.yaml")
    path = write_suite("extends: base.yaml\nhead: {}\n")
    document = load(path)
    assert document.where(("seeds",)) == (base, 4)
    assert document.where(("head", "use")) == (path, 2)


def test_extends_goes_through_several_files_and_folders(write_suite: Write) -> None:
    write_suite("a: 1\nb: 1\nc: 1\n", "one/far.yaml")
    write_suite("extends: ../one/far.yaml\nb: 2\nc: 2\n", "two/near.yaml")
    assert content(write_suite("extends: two/near.yaml\nc: 3\n")) == {"a": 1, "b": 2, "c": 3}


def test_a_circle_of_extends_is_refused(write_suite: Write) -> None:
    write_suite("extends: b.yaml\n", "a.yaml")
    path = write_suite("extends: a.yaml\n", "b.yaml")
    with pytest.raises(
        SuiteError, match=r"a.yaml:1: 'extends' goes round in a circle: 'b.yaml' leads back to this file"
    ):
        load(path)


def test_a_suite_that_extends_itself_is_refused(write_suite: Write) -> None:
    with pytest.raises(SuiteError, match=r"suite.yaml:1: 'extends' goes round in a circle: 'suite.yaml' leads"):
        load(write_suite("extends: suite.yaml\n"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("gone.yaml", "'extends' names 'gone.yaml', which does not exist beside this file"),
        ("[a.yaml]", "'extends' needs a file name, got ['a.yaml']"),
        ("3", "'extends' needs a file name, got 3"),
    ],
)
def test_a_wrong_extends_is_told_with_its_line(value: str, message: str, write_suite: Write) -> None:
    path = write_suite(f"name: x\nextends: {value}\n")
    with pytest.raises(SuiteError, match=re.escape(f"{path}:2: {message}")):
        load(path)


# --- variables


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x/${FAIRL_TEST}/y", "x/set/y"),
        ("a${FAIRL_TEST:-default}", "aset"),
        ("a${FAIRL_UNSET:-default}", "adefault"),
        ("a${FAIRL_UNSET:-}", "a"),
        ("a${FAIRL_EMPTY:-default}", "adefault"),
        ("${FAIRL_UNSET:-default}/y", "default/y"),
        ("a${FAIRL_TEST}${FAIRL_TEST}", "asetset"),
        ("a$FAIRL_TEST", "a$FAIRL_TEST"),
        ("${FAIRL_TEST}", "set"),
        ("org/${FAIRL_TEST}", "org/set"),
    ],
)
def test_variables_are_replaced(text: str, value: str, write_suite: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRL_TEST", "set")
    monkeypatch.setenv("FAIRL_EMPTY", "")
    monkeypatch.delenv("FAIRL_UNSET", raising=False)
    assert content(write_suite(f'a: "{text}"\n'))["a"] == value


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_told_with_its_line(
    value: str | None, write_suite: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAIRL_TEST", raising=False)
    if value is not None:
        monkeypatch.setenv("FAIRL_TEST", value)
    path = write_suite('a: 1\nb:\n  - x\n  - "${FAIRL_TEST}/y"\n')
    with pytest.raises(SuiteError, match=re.escape(f"{path}:4: ${{FAIRL_TEST}} is not set; set it: FAIRL_TEST=... ")):
        load(path)


def test_a_path_starts_from_the_suite_and_one_in_a_variable_from_the_working_directory(
    write_suite: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRL_TEST", "data")
    monkeypatch.chdir("/")
    found = content(write_suite('a: x.jsonl\nb: "${FAIRL_TEST}/x.jsonl"\nc: "${FAIRL_NO:-data}/x"\n', "deep/s.yaml"))
    assert [str(text.folder / text) for text in found.values()] == [
        f"{tmp_path}/deep/x.jsonl",
        "/data/x.jsonl",
        f"{tmp_path}/deep/data/x",
    ]


def test_what_a_suite_extends_keeps_its_own_folder(write_suite: Write, tmp_path: Path) -> None:
    write_suite("path: x.jsonl\n", "base/base.yaml")
    found = content(write_suite("extends: base/base.yaml\n"))["path"]
    assert found.folder == tmp_path / "base"


# --- dump


def test_what_is_dumped_is_read_back(write_suite: Write) -> None:
    plain = {
        "name": "x",
        "words": ["on", "no", "null", "1e-3", "", "a: b", "é", "# c", "2001-01-01", "~"],
        "numbers": [1, 1.0, 1e-05, 1e22, -0.5, True, None],
        "nested": {"b": {"a": [{"c": 1}]}, "a": []},
    }
    assert content(write_suite(dump(plain))) == plain
    assert list(content(write_suite(dump(plain)))["nested"]) == ["b", "a"]


@pytest.mark.parametrize("text", ["2024-05-01 preprint Table 2", "2024-1-5", "2024-05-01T", "2024-05-01 12:30", "1e3x"])
def test_a_text_that_begins_like_a_date_or_a_number_is_read_back_from_what_we_write(text: str, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(dump({"source": text}))
    assert load(path).content["source"] == text
