"""The rewards of a stream of lines, a chunk at a time, so that an input of any length fits into memory."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from fairl_bench import textfiles
from fairl_bench.errors import DataError, FairlError
from fairl_bench.guards.truncation import ReadLog, log_of_reads
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.lines import chunks

CHUNK = 1024  # texts scored at once
_QUIET = 10.0  # seconds between two messages on how far it is
_HALF = re.compile("[\ud800-\udfff]")
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "\r", "＝", "＋", "－", "＠")  # the wide ones too, where they are typed
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")  # control characters but ends of lines and tabs
Form = Literal["plain", "csv", "jsonl"]


class Line(NamedTuple):
    """One text to be scored, with all fields of its line."""

    number: int
    prompt: str
    text: str
    fields: dict[str, Any]


def score(
    reward: RecoveredReward,
    lines: Iterable[bytes],
    *,
    read: Literal["text", "jsonl"] = "text",
    form: Form = "plain",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """The reward of each line as a line of its own, in their order; a CSV table begins with its column names.

    A line is a text, an empty one too.  Read as ``jsonl``, it is an object with ``text`` and, where the reward reads
    it, ``prompt``; its other fields are written again.  ``say`` is called with how far it is.  Raises `DataError`.
    """
    if read == "text" and reward.reads_prompts:
        raise DataError(f"reward {reward.name!r} reads prompts too; give it JSON lines with 'prompt' and 'text'")
    parse = _text if read == "text" else _row
    if form == "csv":
        yield _csv(["reward", "prompt", "text"])
    done, last_message, readings = 0, time.monotonic(), ReadLog()
    for chunk in chunks(lines, CHUNK):
        parsed = [parse(number, _decoded(number, line), reward) for number, line in enumerate(chunk, done + 1)]
        for line, value in zip(parsed, _logged_rewards(reward, parsed, readings), strict=True):
            yield _printed(line, value, form)
        done += len(parsed)
        if time.monotonic() - last_message > _QUIET:
            last_message = time.monotonic()
            say(f"{done:,} texts scored")
    for reading in readings.sums.values():
        for sentence in reading.sentences("the input"):
            say(sentence)
    if not done:
        say("the input holds no line, so that there is nothing to score")


def _logged_rewards(reward: RecoveredReward, lines: Sequence[Line], readings: ReadLog) -> list[float]:
    """The reward of each line; what the reward has read of the lines is added to the log."""
    with log_of_reads() as log:
        values = _rewards(reward, lines)
    for reading in log.sums.values():
        readings.add(reading)
    return values


def _rewards(reward: RecoveredReward, lines: Sequence[Line]) -> list[float]:
    """The reward of each line.  Raises `DataError` with the numbers of the lines where a plugin fails."""
    try:
        values = reward([line.text for line in lines], [line.prompt for line in lines])
    except FairlError as error:
        cause = error.__cause__
        if cause is None or isinstance(cause, FairlError):
            raise
        place = f"lines {lines[0].number} to {lines[-1].number} of the input"  # where a plugin broke
        raise DataError(f"reward {reward.name!r} fails on {place}: {type(cause).__name__}: {cause!s:.300}") from error
    return values


def _decoded(number: int, line: bytes) -> str:
    """The text of a line, without its end and without the byte-order mark of the first line.  Numbers start at 1."""
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start + 1} is 0x{line[error.start]:02x}"
        raise DataError(f"line {number} of the input is not UTF-8: {wrong}; convert it, say with iconv") from error
    return text.removesuffix("\n").removesuffix("\r")


def _text(number: int, line: str, reward: RecoveredReward) -> Line:
    return Line(number, "", line, {"text": line})


def _row(number: int, line: str, reward: RecoveredReward) -> Line:
    """The prompt and the text of a line of JSON."""
    try:
        row = textfiles.parsed(line)
    except ValueError as error:
        raise DataError(f"line {number} of the input is no JSON: {error}") from error
    wanted = ("prompt", "text") if reward.reads_prompts else ("text",)
    missing = [name for name in wanted if not isinstance(row, dict) or not isinstance(row.get(name), str)]
    if missing:
        raise DataError(f"line {number} of the input needs {missing[0]!r} with a text, got {line[:60]}")
    prompt = row.get("prompt")
    parsed = Line(number, prompt if isinstance(prompt, str) else "", row["text"], row)
    for name, text in (("prompt", parsed.prompt), ("text", parsed.text)):
        if _HALF.search(text):
            raise DataError(
                f"line {number} of the input: {name!r} holds half a surrogate pair, which is no text; mend it"
            )
    return parsed


def _printed(line: Line, value: float, form: Form) -> str:
    if form == "plain":
        return repr(value)
    if form == "csv":
        return _csv([repr(value), _cell(line.prompt), _cell(line.text)])
    try:
        written = json.dumps({**line.fields, "reward": value}, ensure_ascii=False)
    except RecursionError as error:
        raise DataError(f"line {line.number} of the input is no JSON: it is nested too deeply") from error
    return _UNSEEN.sub(lambda hidden: f"\\u{ord(hidden.group()):04x}", written)


def _cell(text: str) -> str:
    """A text as a cell of CSV that starts no formula and holds no control character: other programs may open it."""
    visible = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
    return f"'{visible}" if visible.startswith(_FORMULA) else visible


def _csv(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)  # what ends a line is quoted within a cell
    return out.getvalue().removesuffix("\r\n")
