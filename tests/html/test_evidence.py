"""What the section of evidence is made of: which texts, which are hidden, and words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fairl_bench.html.evidence import Evidence
from fairl_bench.html.page import page
from fairl_bench.html.token_texts import PAIRS, RANKED, TEXTS, token_texts
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from tests.support.planted_evidence import DATA, planted, words_of

WORD = {"word_z": 5.0, "word_log_odds": 1.0, "word_q": 0.01, "word_preferred": 9.0, "word_rejected": 2.0}
TOKEN = {"token_log_ratio": 0.5, "token_log_ratio_error": 0.1, "token_places": 30.0}


def view(texts: Sequence[str], **more: Any) -> dict[str, Any]:
    (found,) = token_texts(planted(texts, **more), [DATA])
    return found


def some(n: int = 20) -> list[str]:
    return [f"text number {i}" for i in range(n)]


def written(material: GivenMaterial) -> str:
    return page(material, panels_of(Registry(installed=False)), {}, "ab")


def in_script(text: str) -> dict[str, Any]:
    """What the script of a page reads."""
    found: dict[str, Any] = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    return found


def test_texts_are_ranked_by_each_reward_and_stand_on_the_page_once() -> None:
    found = view(some())
    assert [one["name"] for one in found["ranked"]] == ["log-ratio (both models)", "mm"]
    by_name = {one["method"]: one for one in found["ranked"]}
    named = {end: [found["text"][at] for at, _ in by_name["log-ratio"][end]] for end in ("highest", "lowest")}
    assert named["highest"][:2] == ["text number 19", "text number 18"]
    assert named["lowest"][:2] == ["text number 0", "text number 1"]
    assert [at for at, _ in by_name["mm"]["highest"]] == [at for at, _ in by_name["log-ratio"]["lowest"]]
    assert by_name["log-ratio"]["highest"][0][1] == pytest.approx(1.65, abs=0.01)  # of 20 evenly spaced ones
    assert len(set(found["text"])) == len(found["text"]) == 20


def test_the_tokens_of_a_text_are_where_they_end_and_sum_to_its_log_ratio() -> None:
    found = view(["one two", "three  four\n"])
    assert found["tokens"][0][0] == [3, 7]
    assert found["tokens"][1][0] == [5, len("three  four\n")]
    assert sum(found["tokens"][0][1]) == pytest.approx(found["ratio"][0], abs=0.02)


def test_ends_are_counted_as_a_script_counts() -> None:
    assert view(["🙂🙂 b", "c"])["tokens"][0][0] == [4, 6]


def test_pairs_come_in_the_order_in_which_they_were_kept() -> None:
    found = view(some())
    assert [pair["why"] for pair in found["pairs"]] == ["parts most"] * 10 + ["middle"] * 10
    assert [found["text"][at] for at in found["pairs"][1]["texts"]] == ["text number 2", "text number 3"]


def test_only_what_is_judged_good_is_not_hidden() -> None:
    assert view(some(4))["bad"] == [0, 1, 0, 1]
    assert view(some(4), judged=False)["bad"] == [1, 1, 1, 1]
    assert view(some(4), good=[True] * 4)["bad"] == [0, 0, 0, 0]


def test_a_few_hundred_texts_are_on_the_page_and_the_rest_is_counted() -> None:
    found = view(some(1_000))
    assert len(found["text"]) <= min(TEXTS, 4 * PAIRS + 4 * RANKED)
    assert found["left"] == 0
    long = token_texts(planted([f"{text} {'long ' * 300}" for text in some(300)]), [DATA])
    assert len(json.dumps(long)) < 1_000_000


def test_where_there_is_no_room_nothing_is_shown_by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairl_bench.html.token_texts.TEXTS", 5)
    found = view(some())
    assert found["text"] == ["text number 0", "text number 1", "text number 2", "text number 3", "text number 19"]
    assert found["left"] > 0
    assert all(len(pair["texts"]) == 2 for pair in found["pairs"])


def test_a_long_text_is_cut_with_its_tokens() -> None:
    found = view(["word " * 400, "short"])
    assert found["text"][0] == ("word " * 400)[:1000] + "…"
    assert found["tokens"][0][0][-1] <= 1000
    assert len(found["tokens"][0][0]) == len(found["tokens"][0][1])


def test_without_tokens_texts_are_ranked_all_the_same() -> None:
    found = view(some(4), evidence={})
    assert found["tokens"] == [None] * 4
    assert found["pairs"] == []
    assert found["ranked"][0]["highest"]


def test_a_suite_that_asks_nothing_of_texts_has_no_such_section() -> None:
    assert Evidence().section(planted(some(), evidence={}), {}) is None
    assert 'id="evidence"' not in written(planted(some(), evidence={}))


def test_words_alone_are_shown_hidden_until_opened() -> None:
    records = [*words_of("word:kind", **WORD), *words_of("token:␣rude", **{**TOKEN, "token_log_ratio": -1.25})]
    text = written(planted([], evidence={}, records=records, sheets=[]))
    section = text.partition('<section id="evidence"')[2].partition("</section>")[0]
    before, _, inside = section.partition("<details>")
    assert "kind" not in before
    assert "<bdi>kind</bdi>" in inside
    assert "−1.25 ± 0.10" in inside
    assert "<details open" not in section
    assert "evidence" not in in_script(text)


def test_a_word_that_is_not_told_apart_is_not_shown() -> None:
    records = words_of("word:so", **{**WORD, "word_q": 0.2})
    assert Evidence().section(planted([], evidence={}, records=records, sheets=[]), {}) is None


def test_hostile_words_and_texts_are_escaped() -> None:
    bad = "<script>alert(1)</script>"
    records = [*words_of(f"word:{bad}", **WORD), *words_of(f"token:{bad}", **TOKEN)]
    text = written(planted([f"{bad} <b>", f"</script>{bad}"], prompts=[bad, bad], records=records))
    assert bad not in text
    assert "&lt;script&gt;alert(1)" in text
    assert in_script(text)["evidence"]["views"][0]["text"][0].startswith("<script>alert")  # as JSON, for textContent


def test_the_reward_that_the_findings_rest_on_is_shown_first() -> None:
    section = Evidence().section(planted(some()), {})
    assert section is not None
    assert section.data["evidence"]["method"] == "log-ratio"
