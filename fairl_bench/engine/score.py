"""Texts in, rewards out, a chunk at a time: as long as the input is, as little is held of it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from fairl_bench.errors import DataError
from fairl_bench.reading import Readings, readings
from fairl_bench.recovered import RecoveredReward
from fairl_bench.tables.unread import said

CHUNK = 1024  # texts scored at once
_QUIET = 10.0  # seconds between two words on how far it is
Form = Literal["plain", "csv", "jsonl"]


class Line(NamedTuple):
    """One text to be scored, with all that its line said of it."""

    prompt: str
    text: str
    told: dict[str, Any]


def score(
    reward: RecoveredReward,
    lines: Iterable[bytes],
    *,
    read: Literal["text", "jsonl"] = "text",
    form: Form = "plain",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """The reward of each line as a line of its own, in their order; a CSV table has a head.

    A line is a text, an empty one too; or, read as ``jsonl``, an object with ``text`` and where the reward reads it
    ``prompt``, whose other fields are handed through as JSON.  ``say`` hears how far it is.  Raises `DataError`.
    """
    if read == "text" and reward.embed == "prompt+completion":
        raise DataError(f"reward {reward.name!r} reads prompts too; give it JSON lines with 'prompt' and 'text'")
    parse = _text if read == "text" else _row
    if form == "csv":
        yield _csv(["reward", "prompt", "text"])
    done, spoke, waiting, every = 0, time.monotonic(), _decoded(lines), Readings()
    while chunk := list(islice(waiting, CHUNK)):
        found = [parse(number, line, reward) for number, line in chunk]
        with readings() as heard:
            values = reward([one.text for one in found], [one.prompt for one in found])
        for reading in heard.found.values():
            every.add(reading)
        for one, value in zip(found, values, strict=True):
            yield _printed(one, value, form)
        done += len(found)
        if time.monotonic() - spoke > _QUIET:
            spoke = time.monotonic()
            say(f"{done:,} texts scored")
    for reading in every.found.values():
        for sentence in said("the input", **reading._asdict()):
            say(sentence)
    if not done:
        say("the input holds no line, so that there is nothing to score")


def _decoded(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1, without its end and the mark that some editors put first."""
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            wrong = f"byte {error.start + 1} is 0x{line[error.start]:02x}"
            raise DataError(f"line {number} of the input is not UTF-8: {wrong}; convert it, say with iconv") from error
        yield number, text.removesuffix("\n").removesuffix("\r")


def _text(number: int, line: str, reward: RecoveredReward) -> Line:
    return Line("", line, {"text": line})


def _row(number: int, line: str, reward: RecoveredReward) -> Line:
    """The prompt and the text of a line of JSON."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"line {number} of the input is no JSON: {error}") from error
    wanted = ("prompt", "text") if reward.embed == "prompt+completion" else ("text",)
    missing = [name for name in wanted if not isinstance(row, dict) or not isinstance(row.get(name), str)]
    if missing:
        raise DataError(f"line {number} of the input needs {missing[0]!r} with a text, got {line[:60]}")
    prompt = row.get("prompt")
    return Line(prompt if isinstance(prompt, str) else "", row["text"], row)


def _printed(line: Line, value: float, form: Form) -> str:
    if form == "plain":
        return repr(value)
    if form == "csv":
        return _csv([repr(value), line.prompt, line.text])
    return json.dumps({**line.told, "reward": value}, ensure_ascii=False)


def _csv(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()
