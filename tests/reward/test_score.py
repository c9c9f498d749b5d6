from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fairl_bench.builtin.methods.length import Length
from fairl_bench.cli.main import main
from fairl_bench.errors import DataError
from fairl_bench.pipeline import Finished
from fairl_bench.reward import lines as flow
from fairl_bench.reward import score as module
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.score import score
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Inputs, Reward

MARGIN = "toy-tfidf-max-margin-r0-s0"


def longer(embed: Literal["completion", "prompt+completion"] = "completion") -> RecoveredReward:
    """The reward that is a text's length."""
    return RecoveredReward(Length.named("length"), None, Reward({"sign": np.array(1, np.float32)}), embed)


def scored(content: bytes, reward: RecoveredReward | None = None, **options: Any) -> list[str]:
    return list(score(reward or longer(), io.BytesIO(content), **options))


def test_each_line_has_its_reward_on_a_line_of_its_own() -> None:
    assert scored(b"one\nthree\n\r\nfour") == ["3.0", "5.0", "0.0", "4.0"]


def test_a_reward_is_printed_so_that_it_is_read_again_to_the_bit() -> None:
    reward = longer()
    (printed,) = scored("ä\n".encode(), RecoveredReward(reward.method, None, Reward({"sign": np.array(0.1)})))
    assert float(printed) == 0.1
    assert printed == "0.1"


def test_the_mark_that_some_editors_put_first_is_no_letter() -> None:
    assert scored(b"\xef\xbb\xbfone\n") == ["3.0"]


def test_csv_has_a_head_and_quotes_what_needs_it() -> None:
    lines = scored(b'say "so", he said\n', form="csv")
    assert list(csv.reader(lines)) == [["reward", "prompt", "text"], ["17.0", "", 'say "so", he said']]
    assert scored(b"four\r\n", form="csv")[1:] == ["4.0,,four"]
    assert scored(b"", form="csv") == ["reward,prompt,text"]


def test_json_lines_keep_their_other_fields() -> None:
    (line,) = scored('{"id": 7, "prompt": "p", "text": "zwölf"}\n'.encode(), read="jsonl", form="jsonl")
    assert json.loads(line) == {"id": 7, "prompt": "p", "text": "zwölf", "reward": 5.0}
    assert "zwölf" in line


def test_a_reward_of_prompts_needs_them() -> None:
    reward = longer("prompt+completion")
    assert scored(b'{"prompt": "p", "text": "four"}', reward, read="jsonl") == ["4.0"]
    with pytest.raises(DataError, match="'recovered' reads prompts too; give it JSON lines with 'prompt' and 'text'"):
        scored(b"four", reward)
    with pytest.raises(DataError, match="line 1 of the input needs 'prompt' with a text, got "):
        scored(b'{"text": "four"}', reward, read="jsonl")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"text": "a"}\n{"text": 7}\n', "line 2 of the input needs 'text' with a text, got {\"text\": 7}"),
        (b"[1]\n", r"line 1 of the input needs 'text' with a text, got \[1\]"),
        (b"{\n", "line 1 of the input is no JSON: expecting property name"),
        (b"\n", "line 1 of the input is no JSON: expecting value"),
        (b'{"text": "a"}\n\xe4\n', "line 2 of the input is not UTF-8: byte 1 is 0xe4; convert it, say with iconv"),
        (b"[" * 100_000, "line 1 of the input is no JSON: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(content: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        scored(content, read="jsonl")


def test_no_line_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert scored(b"", say=print) == []
    assert capsys.readouterr().out == "the input holds no line, so that there is nothing to score\n"


def test_a_long_input_is_scored_while_it_comes_and_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 3)
    monkeypatch.setattr(module, "_QUIET", -1.0)
    read, said = [], []

    def lines() -> Iterator[bytes]:
        for i in range(8):
            read.append(i)
            yield b"x" * i + b"\n"

    rewards = score(longer(), lines(), say=said.append)
    assert next(rewards) == "0.0"
    assert read == [0, 1, 2]
    assert list(rewards) == [f"{i}.0" for i in range(1, 8)]
    assert said == ["3 texts scored", "6 texts scored", "8 texts scored"]


@pytest.mark.parametrize("name", ["text", "prompt"])
def test_half_a_surrogate_pair_is_refused_by_its_line(name: str) -> None:
    content = b'{"text": "a", "prompt": "p"}\n' + json.dumps({"text": "a", "prompt": "p", name: "x\ud83d"}).encode()
    with pytest.raises(DataError, match=f"line 2 of the input: '{name}' holds half a surrogate pair, which is no text"):
        scored(content, read="jsonl")


def test_half_a_surrogate_pair_in_another_field_is_handed_through() -> None:
    (line,) = scored(rb'{"text": "a", "id": "\ud83d", "\udc00": 1}', read="jsonl", form="jsonl")
    written = line.encode("utf-8", "backslashreplace")  # as the command writes it
    assert json.loads(written) == {"text": "a", "id": "\ud83d", "\udc00": 1, "reward": 1.0}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (b'{"text": "a", "text": "b"}', 'the name "text" stands twice'),
        (b'{"text": "a", "more": {"x": 1, "y": 2, "x": 3}}', 'the name "x" stands twice'),
        (b'{"text": "a", "x": NaN}', "NaN is not a number"),
        (b'{"text": "a", "x": -Infinity}', "-Infinity is not a number"),
        (b'{"text": "a", "x": 1e999}', "1e999 is too large for a number"),
        (b'{"text": "a", "x": ' + b"7" * 5000 + b"}", "a number in it has over 4300 digits"),
        (b'{"text": "a", "x": ' + b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_json_that_says_two_things_or_none_is_refused_by_its_line(row: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=f"line 2 of the input is no JSON: {sentence}"):
        scored(b'{"text": "a"}\n' + row, read="jsonl", form="jsonl")


def test_nesting_of_any_depth_is_a_line_or_a_sentence() -> None:
    for depth in range(880, 1010, 3):
        row = b'{"text": "a", "x": ' + b"[" * depth + b"]" * depth + b"}"
        said = ""
        try:
            (line,) = scored(row, read="jsonl", form="jsonl")
        except DataError as error:
            said = str(error)
        assert said == "line 1 of the input is no JSON: it is nested too deeply" or line.count("[") == depth


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠a"])
def test_no_cell_of_csv_starts_a_formula(start: str) -> None:
    content = json.dumps({"text": start, "prompt": start}).encode()
    (row,) = csv.reader(io.StringIO(scored(content, read="jsonl", form="csv")[1], newline=""))
    assert len(row) == 3
    assert row[0] == repr(float(len(start.strip())))  # the reward is of the text itself
    assert all(cell == "'" + start.replace("\r", "\ufffd") or cell == start.replace("\r", "\ufffd") for cell in row[1:])
    assert not any(cell.startswith(module._FORMULA) for cell in row[1:])


def test_what_starts_no_formula_is_kept() -> None:
    texts = ["a=1", "it's", "'quoted'", "1-2", "family: 👨\u200d👩\u200d👧", "two\r\nlines\tand a tab"]
    content = "\n".join(json.dumps({"text": text}) for text in texts).encode()
    table = "\n".join(scored(content, read="jsonl", form="csv"))
    assert [row[2] for row in csv.reader(io.StringIO(table, newline=""))][1:] == texts


def test_no_form_moves_the_cursor_of_a_terminal() -> None:
    hostile = "a\x1b[2Jb\x9b31mc\x07d\x00e\x7ff\rg\x85h"
    content = json.dumps({"text": hostile, "prompt": hostile, "id": hostile}).encode()
    for form in ("plain", "csv", "jsonl"):
        lines = scored(content, read="jsonl", form=form)
        assert all(one.isprintable() or one == "\ufffd" for line in lines for one in line)
    assert json.loads(lines[0])["id"] == hostile


class Broken(Length):
    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        raise ZeroDivisionError("broken")


def test_a_reward_that_breaks_is_told_with_the_lines() -> None:
    broken = RecoveredReward(Broken.named("broken"), None, Reward({}))
    with pytest.raises(DataError, match=r"'recovered' fails on lines 1 to 2 of the input: ZeroDivisionError: broken"):
        scored(b"a\nb\n", broken)


# --- as the lines come


@contextmanager
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Both ends."""
    out, into = os.pipe()
    with os.fdopen(out, "rb") as reading, os.fdopen(into, "wb", buffering=0) as writing:
        yield reading, writing


def test_a_pipe_is_answered_while_its_writer_thinks() -> None:
    with pipe() as (reading, writing):
        rewards = score(longer(), reading)
        for text, reward in ((b"one\n", "3.0"), (b"three\n", "5.0")):
            writing.write(text)
            assert next(rewards) == reward
        writing.write(b"with")
        writing.write(b"out an end")
        writing.close()
        assert list(rewards) == ["14.0"]


def test_a_pipe_that_flows_is_scored_as_a_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # in the same company, on which the last bits of a vector depend
    content = "".join(f"{i} {'ä' * (i % 70)}\r\n" for i in range(3000)).encode() + b"\nlast"
    with pipe() as (reading, writing):
        thread = threading.Thread(target=lambda: (writing.write(content), writing.close()))
        thread.start()
        flowing = [list(chunk) for chunk in flow.chunks(reading, 1024)]
        thread.join()
    assert flowing == [list(chunk) for chunk in flow.chunks(io.BytesIO(content), 1024)]
    assert [len(chunk) for chunk in flowing] == [1024, 1024, 954]


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MOST_BYTES", 100_000)
    sentence = "line 2 of the input has over 100000 bytes; end each text with a line break"
    with pytest.raises(DataError, match=sentence):
        scored(b"a\n" + b"x" * 1_000_000)
    with pipe() as (reading, writing):
        thread = threading.Thread(target=_fill, args=(writing,))
        thread.start()
        with pytest.raises(DataError, match=sentence):
            list(score(longer(), reading))
        reading.close()
        thread.join()


def _fill(writing: BinaryIO) -> None:
    with suppress(OSError):
        writing.write(b"a\n")
        while True:
            writing.write(b"x" * 4096)


def test_long_lines_are_scored_fewer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MOST_BYTES", 1000)
    assert [len(chunk) for chunk in flow.chunks(io.BytesIO((b"x" * 299 + b"\n") * 9), 1024)] == [4, 4, 1]


def test_an_input_that_is_a_folder_is_told(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(DataError, match="the input cannot be read: Is a directory"):
        scored_from(descriptor)


def scored_from(descriptor: int) -> list[str]:
    class Opened:
        def fileno(self) -> int:
            return descriptor

        def __iter__(self) -> Iterator[bytes]:
            raise AssertionError

    try:
        return list(score(longer(), Opened()))
    finally:
        os.close(descriptor)


# --- the standard streams


SCORE = """\
import sys
import numpy as np
from fairl_bench.cli import main as cli
from fairl_bench.cli import reward as cli_reward
from fairl_bench.builtin.methods.length import Length
from fairl_bench.values.training import Reward
from fairl_bench.reward.function import RecoveredReward

reward = RecoveredReward(Length.named("length"), None, Reward({"sign": np.array(1, np.float32)}))
cli_reward._saved = lambda *_: reward
cli.main(["score", "anything", *sys.argv[1:]])
"""


def redirected(ends: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command with its streams as the shell is told: ``{}`` in ``ends`` is the command."""
    command = shlex.join([sys.executable, "-c", SCORE, *arguments])
    line = ends.replace("{}", command)
    return subprocess.run(["bash", "-c", line], capture_output=True, env={**os.environ, **environment}, timeout=60)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_what_is_printed_is_utf8_whatever_the_locale(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes('{"text": "zwölf, 十二", "id": "\\ud83d"}\n'.encode())
    settings = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    ran = redirected(f"{{}} <{tmp_path / 'rows.jsonl'}", "--read", "jsonl", "--format", "jsonl", **settings)
    said = '{"text": "zwölf, 十二", "id": "\\ud83d", "reward": 9.0}\n'.encode()
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, b"", said)


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ("echo a | {} >/dev/full", b"error: the standard output cannot be written: No space left on device"),
        ("echo a | {} >&-", b"error: the standard output is closed; send it to a file or a pipe: ... > rewards.txt"),
        ("{} <&-", b"error: the standard input is closed; feed the texts to it: ... < texts.txt"),
    ],
)
def test_an_end_that_cannot_be_used_is_told_in_one_sentence(ends: str, sentence: bytes) -> None:
    ran = redirected(ends)
    assert (ran.returncode, ran.stderr.count(b"\n"), ran.stdout) == (2, 1, b"")
    assert ran.stderr.startswith(sentence)


def test_a_reader_that_has_seen_enough_is_left_without_a_word() -> None:
    ran = redirected("yes | {} | head -n 1")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"1.0\n", b"")


# --- the command


def command(*arguments: object, content: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["score", *map(str, arguments)], input=content)


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # the command sets them; so that they are put back


def test_the_command_scores_what_it_is_fed(ran_once: tuple[Path, Finished]) -> None:
    from fairl_bench import load_reward

    place = ran_once[1].folder / "rewards" / MARGIN
    ran = command(place, content=b"you are a numbskull\nthank you\n")
    assert ran.exit_code == 0
    assert ran.stderr == ""
    assert [float(line) for line in ran.stdout.splitlines()] == load_reward(place)(["you are a numbskull", "thank you"])


def test_what_the_user_must_change_is_exit_code_2(ran_once: tuple[Path, Finished], tmp_path: Path) -> None:
    place = ran_once[1].folder / "rewards" / MARGIN
    for arguments, content, sentence in (
        ([place], b"\xff\n", "error: line 1 of the input is not UTF-8: byte 1 is 0xff"),
        ([tmp_path], b"", f"error: {tmp_path} holds no saved reward"),
        ([place, "--encoder", "dimensions=8"], b"", "of fields.dimensions 16, and here it is 8"),
        ([place, "--encoder", "dimensions"], b"", "error: --encoder dimensions: needs NAME=VALUE"),
        ([place, "--plugin", "gone.py"], b"", "gone.py does not exist"),
    ):
        ran = command(*arguments, content=content)
        assert ran.exit_code == 2
        assert sentence in ran.stderr
        assert ran.stdout == ""
