"""Texts as they may be printed: data may be hostile, and a message may hold a secret."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text without control characters, which could rewrite the terminal.

    >>> printable("a\\x1b[2Jb")
    'a\\ufffd[2Jb'
    """
    return "".join(letter if letter == "\n" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def safe(text: str) -> str:
    """A text of ours or of a part's without control characters and without secrets."""
    from fairl_bench.guards.secrets import hidden  # not at once: pydantic takes a moment, and `--help` prints no secret

    return printable(hidden(text))
