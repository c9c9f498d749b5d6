"""Too few pairs to divide, told in the words of an audit: it has no suite whose split could be changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fairl_bench.audits.request import AuditRequest
from fairl_bench.errors import EmptyPart, FairlError

LEAST_PROMPTS: Final = 60
"""Different prompts, of which 30 and more are held out: bounds by resampling want so many."""


@contextmanager
def few_told(request: AuditRequest) -> Iterator[None]:
    """What is done within is for this audit.  Raises `FairlError` with what to do where its pairs are too few."""
    try:
        yield
    except FairlError as error:
        if (empty := _empty_part(error)) is None:
            raise
        raise FairlError(_too_few(request, empty)) from error


def too_few_drawn() -> str:
    """The sentence for two models of whose completions too few pairs are left."""
    return (
        "of the completions of both models too few pairs are left to hold some out and learn from the rest; draw more "
        f"with --n, 100 or more, from at least {LEAST_PROMPTS} different prompts"
    )


def _empty_part(error: BaseException | None) -> EmptyPart | None:
    """The empty part of a split that an error comes from; None where it comes from something else."""
    seen = set[int]()  # an error that is raised again from itself is its own cause
    while error is not None and id(error) not in seen:
        if isinstance(error, EmptyPart):
            return error
        seen.add(id(error))
        error = error.__cause__
    return None


def _too_few(request: AuditRequest, empty: EmptyPart) -> str:
    """The sentence on pairs that cannot be divided: how many there are, how many are needed, and what to do."""
    if request.pairs is None:
        return too_few_drawn()
    shared = f", and {empty.dropped} of them share a text with held-out pairs" if empty.dropped else ""
    return (
        f"--pairs: {request.pairs} holds {empty.pairs} pairs of {empty.groups} different prompts (of rejected texts, "
        f"where a pair has no prompt){shared}; an audit holds half of the prompts out and needs at least "
        f"{LEAST_PROMPTS}; add pairs with other prompts and texts"
    )
