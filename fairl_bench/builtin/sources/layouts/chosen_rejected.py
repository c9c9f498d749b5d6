"""Rows of a better and a worse text: plain texts, messages, or transcripts as in Anthropic's HH-RLHF."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.sources.layouts.layout import LaidOut, Layout, Reading, Sample, at, two_a_row
from fairl_bench.builtin.sources.layouts.messages import (
    Parted,
    is_dialogue,
    is_messages,
    parted_messages,
    parted_transcripts,
    prompt_text,
)
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief
from fairl_bench.values.data import Pairs

_NAMES = (("chosen", "rejected"), ("preferred", "rejected"), ("chosen_response", "rejected_response"))


class _ChosenRejected(Layout):
    """Rows of one pair each, with a column for its better text and one for the worse."""

    roles = frozenset({"preferred", "rejected", "prompt"})
    one_pair_a_row = True

    def find(self, sample: Sample, named: Mapping[str, str]) -> dict[str, str]:
        """Return ``chosen`` and ``rejected``, or what else they are called."""
        known = set(sample.names())
        both = next((both for both in _NAMES if set(both) <= known), _NAMES[0])
        return {role: name for role, name in zip(("preferred", "rejected"), both, strict=True) if name in known}

    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return what is missing of the two columns."""
        words = {"preferred": "the better text, such as 'chosen'", "rejected": "the worse text, such as 'rejected'"}
        return [what for role, what in words.items() if role not in roles]

    def pairs(self, rows: Sequence[Row], how: Reading) -> LaidOut:
        """Return one pair a row."""
        parted = [self.parted(row, how) for row in rows]
        pairs = Pairs(
            preferred=tuple(one.one for one in parted),
            rejected=tuple(one.other for one in parted),
            prompt=tuple(one.prompt for one in parted),
            group=tuple(how.group(row) for row in rows),
        )
        return two_a_row(pairs, rows, [subtype for row in rows for subtype in [how.subtype(row)] * 2])

    @abstractmethod
    def parted(self, row: Row, how: Reading) -> Parted:
        """Return the prompt of a row, and its better and its worse text."""


class Texts(_ChosenRejected):
    """A better and a worse text."""

    name = "texts"

    def parted(self, row: Row, how: Reading) -> Parted:
        """Return the texts as they are."""
        texts = (row.text(how.roles[role], empty=True) for role in ("preferred", "rejected"))
        return Parted(prompt_text(how.prompt(row), row), *texts)


class Messages(_ChosenRejected):
    """A better and a worse dialogue, as lists of messages."""

    name = "messages"

    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return what is missing of the two columns."""
        return [what.replace("text", "dialogue") for what in super().lacks(roles)]

    def parted(self, row: Row, how: Reading) -> Parted:
        """Return the messages that both share, and the last turn of the assistant of each."""
        one, other = (row.value(how.roles[role]) for role in ("preferred", "rejected"))
        for role, value in (("preferred", one), ("rejected", other)):
            if not is_messages(value):
                raise DataError(
                    f"{row.place}: column {how.roles[role]!r} needs a list of messages with a role and a content, got "
                    f"{brief(value)}"
                )
        return parted_messages(one, other, row, how.prompt(row))


class Transcripts(_ChosenRejected):
    """A better and a worse dialogue, as texts whose turns begin with ``Human:`` and ``Assistant:``."""

    name = "transcripts"
    roles = frozenset({"preferred", "rejected"})

    def parted(self, row: Row, how: Reading) -> Parted:
        """Return the turns that both share, and the completion of each."""
        one, other = (row.text(how.roles[role], empty=True) for role in ("preferred", "rejected"))
        return parted_transcripts(one, other, row)


def kind_of(sample: Sample, roles: Mapping[str, str]) -> str:
    """Return which of the three layouts the values of the two columns have."""
    both = [[at(row.values, roles[role]) for row in sample.rows] for role in ("preferred", "rejected")]
    if all(any(map(is_messages, column)) for column in both):
        return Messages.name
    return Transcripts.name if all(map(is_dialogue, *both)) else Texts.name
