"""Dialogues, as lists of messages and as transcripts, parted into the prompt that two share and a completion each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief

TURN = "\n\nAssistant:"
_KEYS = (("role", "content"), ("from", "value"))
_SPEAKERS = {
    **dict.fromkeys(("user", "human", "prompter"), "Human"),
    **dict.fromkeys(("assistant", "gpt", "chatbot", "model", "bot"), "Assistant"),
    "system": "System",
}


class Parted(NamedTuple):
    """The prompt that two dialogues share, and what each one answers."""

    prompt: str
    one: str
    other: str


def is_messages(value: object) -> bool:
    """Return whether a value is a list of messages, of ``role`` and ``content`` or of ``from`` and ``value``.

    >>> is_messages([{"role": "user", "content": "Hi"}]), is_messages([]), is_messages([{"text": "Hi"}])
    (True, False, False)
    """
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(one, Mapping) and _keys(one) is not None for one in value)
    )


def _keys(message: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((keys for keys in _KEYS if all(key in message for key in keys)), None)


def parted_messages(one: Sequence[Any], other: Sequence[Any], row: Row, prompt: object = None) -> Parted:
    """Return two dialogues as the messages that they share, and the last turn of the assistant of each.

    Where they share none, their prompt is ``prompt``.  Raises `DataError` for a dialogue whose own part has no turn of
    the assistant.

    >>> user, kind, rude = ({"role": "user", "content": "Hi"}, *({"role": "assistant", "content": c} for c in "kr"))
    >>> parted_messages([user, kind], [user, rude], Row("", {}))
    Parted(prompt='Hi', one='k', other='r')
    """
    both = [[_message(message, row) for message in dialogue] for dialogue in (one, other)]
    most = min(map(len, both)) - 1  # an equal pair has an equal last turn each
    same = next((i for i in range(most) if both[0][i] != both[1][i]), most)
    shared = written(both[0][:same]) if same else prompt_text(prompt, row)
    return Parted(shared, *(_last_turn(dialogue[same:], row) for dialogue in both))


def _message(message: Mapping[str, Any], row: Row) -> tuple[str, str]:
    """Return who speaks, and what."""
    role, content = _keys(message) or _KEYS[0]
    who, what = message.get(role), message.get(content)
    if not isinstance(who, str) or not isinstance(what, str):
        wrong = role if not isinstance(who, str) else content
        raise DataError(f"{row.place}: a message needs a text as {wrong!r}, got {brief(message.get(wrong))}")
    return _SPEAKERS.get(who.casefold(), who), Row(row.place, {content: what}).text(content, empty=True)


def _last_turn(turns: Sequence[tuple[str, str]], row: Row) -> str:
    said = [what for who, what in turns if who == "Assistant"]
    if not said:
        raise DataError(f"{row.place}: a dialogue has no turn of the assistant that is its own; mend the row")
    return said[-1].strip()


def written(turns: Sequence[tuple[str, str]]) -> str:
    r"""Return messages as one prompt: that of a user alone as it is, several as a transcript that asks for an answer.

    >>> written([("Human", "Hi")])
    'Hi'
    >>> written([("System", "Be kind."), ("Human", "Hi")])
    'System: Be kind.\n\nHuman: Hi\n\nAssistant:'
    """
    if len(turns) == 1 and turns[0][0] == "Human":
        return turns[0][1].strip()
    return "\n\n".join(f"{who}: {what.strip()}" for who, what in turns) + TURN


def is_prompt(value: object) -> bool:
    """Return whether a value is a prompt: a text, or messages."""
    return isinstance(value, str) or is_messages(value)


def prompt_text(value: object, row: Row) -> str:
    """Return a prompt that is a text, messages or nothing as text.  Raises `DataError` for anything else."""
    if is_messages(value) and isinstance(value, list | tuple):
        return written([_message(message, row) for message in value])
    if value is not None and not isinstance(value, str):
        raise DataError(f"{row.place}: a prompt needs to be a text or a list of messages, got {brief(value)}")
    return Row(row.place, {"prompt": value}).text("prompt", empty=True)


def is_dialogue(one: object, other: object) -> bool:
    """Return whether two texts are transcripts of one dialogue that share a turn of the assistant."""
    if not (isinstance(one, str) and isinstance(other, str) and one.lstrip().startswith("Human:")):
        return False
    return one.rfind(TURN, 0, _same(one, other)) >= 0


def parted_transcripts(one: str, other: str, row: Row) -> Parted:
    r"""Return two dialogues split after the last turn of the assistant that both share.

    That is the last turn of all, except in dialogues that differ earlier.  Raises `DataError` where they share none.

    >>> parted_transcripts("\n\nHuman: Hi\n\nAssistant: Hello", "\n\nHuman: Hi\n\nAssistant: What", Row("", {}))
    Parted(prompt='Human: Hi\n\nAssistant:', one='Hello', other='What')
    """
    start = one.rfind(TURN, 0, _same(one, other))
    if start < 0:
        raise DataError(
            f"{row.place}: its dialogues share no turn of 'Assistant:'; set 'layout: texts' for plain texts"
        )
    end = start + len(TURN)
    return Parted(one[:end].strip(), one[end:].strip(), other[end:].strip())


def _same(one: str, other: str) -> int:
    """Return how many characters two texts share at their start."""
    both = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in both if a != b), min(len(one), len(other)))
