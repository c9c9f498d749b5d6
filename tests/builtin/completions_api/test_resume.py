"""What is kept of an interrupted run, and not asked again."""

from __future__ import annotations

import threading
import time

import pytest
from completions_server import Fake, Reply, Request, asked, completion, lm

from fairl_bench.errors import DataError
from fairl_bench.progress import listening
from fairl_bench.values.language_models import Site


def test_after_a_failure_only_the_missing_completions_are_asked_again(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: completion(request) if number < 4 else Reply({}, 500)
    question = asked(7)
    with pytest.raises(DataError, match=r"\(4 of 7 completions are kept: run again to go on\)$"):
        lm(fake, retries=0).complete(question, site)
    fake.seen, fake.reply = [], lambda number, request: completion(request)
    heard: list[str] = []
    with listening(lambda share, note: heard.append(note)):
        texts = lm(fake).complete(question, site)
    assert fake.asked() == list(question.prompt[4:])
    assert heard == [f"{n} of 7 completions" for n in (5, 6, 7)]
    assert texts == [f"{p} / {int(question.rng(i).integers(2**31))}" for i, p in enumerate(question.prompt)]
    lm(fake).complete(question, site)
    assert len(fake.seen) == 3  # all are kept now


def test_a_failure_among_many_keeps_what_was_under_way_and_starts_no_more(fake: Fake, site: Site) -> None:
    met = threading.Barrier(4)

    def reply(number: int, request: Request) -> Reply:
        if number < 4:
            met.wait(10)  # all four are under way
        if request.body["prompt"] == "the film was":
            return Reply({}, 400)
        time.sleep(0.1)  # the refusal comes first
        return completion(request)

    fake.reply = reply
    with pytest.raises(DataError, match=r"\(3 of 40 completions are kept: run again to go on\)$"):
        lm(fake, concurrency=4).complete(asked(40), site)
    assert len(fake.seen) < 10
    assert len((site.scratch / "completions.jsonl").read_text().splitlines()) == 3


def test_what_is_told_as_done_is_on_the_disk_already(fake: Fake, site: Site) -> None:
    path = site.scratch / "completions.jsonl"
    lines: list[int] = []
    with listening(lambda share, note: lines.append(len(path.read_text().splitlines()))):
        lm(fake).complete(asked(4), site)
    assert lines == [1, 2, 3, 4]


def test_a_line_that_was_cut_short_is_asked_again(fake: Fake, site: Site) -> None:
    question = asked(3)
    first = lm(fake).complete(question, site)
    path = site.scratch / "completions.jsonl"
    whole = path.read_bytes()
    for cut in (1, 12):
        path.write_bytes(whole[:-cut])
        fake.seen = []
        assert lm(fake).complete(question, site) == first
        assert len(fake.seen) == 1
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage", [b"\xff\n", b"[1, 2]\n", b"{}\n", b'["a", 1, "b"]\n', b"[" * 9999 + b"\n", b"null\n"]
)
def test_a_damaged_line_is_asked_again_and_the_others_are_kept(damage: bytes, fake: Fake, site: Site) -> None:
    question = asked(3)
    first = lm(fake).complete(question, site)
    path = site.scratch / "completions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage + lines[2])
    fake.seen = []
    assert lm(fake).complete(question, site) == first
    assert fake.asked() == [question.prompt[1]]
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)
