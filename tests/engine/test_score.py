from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fairl_bench.builtin.methods.length import Length
from fairl_bench.cli import main
from fairl_bench.data import Reward
from fairl_bench.engine import score as module
from fairl_bench.engine.run import Finished
from fairl_bench.engine.score import score
from fairl_bench.errors import DataError
from fairl_bench.recovered import RecoveredReward

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
        (b"{\n", "line 1 of the input is no JSON: Expecting property name"),
        (b"\n", "line 1 of the input is no JSON: Expecting value"),
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
