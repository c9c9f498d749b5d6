"""The key of a server: where it comes from, and that no file or message holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from completions_server import Fake, Reply, asked, completion, lm

from fairl_bench.errors import DataError
from fairl_bench.pipeline import Finished
from fairl_bench.store.store import Store
from fairl_bench.values.language_models import Site

KEY = "Sk-Very-Secret-0123456789"


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    monkeypatch.setenv("MY_KEY", KEY)
    return {"api_key_env": "MY_KEY"}


def test_the_key_is_sent_and_only_where_one_is_named(fake: Fake, site: Site, keyed: Mapping[str, str]) -> None:
    lm(fake, **keyed).complete(asked(1), site)
    assert fake.seen[0].headers["Authorization"] == f"Bearer {KEY}"
    (site.scratch / "completions.jsonl").unlink()
    lm(fake).complete(asked(1), site)
    assert "Authorization" not in fake.seen[1].headers


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_a_server_that_repeats_the_key_does_not_make_us_say_it(
    status: int, fake: Fake, site: Site, keyed: Mapping[str, str]
) -> None:
    # so long that cutting the message first would leave half of the key
    fake.reply = lambda number, request: Reply({"error": "x" * 170 + f" bad key {KEY}"}, status)
    with pytest.raises(DataError) as caught:
        lm(fake, retries=0, **keyed).complete(asked(1), site)
    assert KEY[:6] not in str(caught.value)


def test_a_key_is_hidden_as_json_writes_it_too(fake: Fake, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", 'quoted"secret')
    fake.reply = lambda number, request: Reply({"other": 'quoted"secret'})
    with pytest.raises(DataError, match=r"the answer holds no completion") as caught:
        lm(fake, retries=0, api_key_env="MY_KEY").complete(asked(1), site)
    assert "secret" not in str(caught.value)


def test_a_key_that_is_not_set_is_told_before_anything_is_asked(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(DataError, match=r"the key of language model 'm' is not set; set it: MY_KEY=... fairl-bench"):
        lm(fake, api_key_env="MY_KEY").check()
    assert not fake.seen


@pytest.mark.parametrize("spoilt", [f"{KEY} {KEY}", f"{KEY}\nX-More: 1", f"{KEY}é"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(
    spoilt: str, fake: Fake, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", spoilt)
    with pytest.raises(DataError) as caught:
        lm(fake, api_key_env="MY_KEY").complete(asked(1), site)
    assert str(caught.value) == "MY_KEY holds no key: a key is of printable ASCII characters without space"


SUITE = """\
name: served
seeds: [0]
models:
  - name: api
    use: completions-api
    base: {url: "${URL}", model: m, api_key_env: MY_KEY, retries: 0}
    expert: {url: "${URL}", model: m, revision: aligned, api_key_env: MY_KEY, retries: 0}
    prompts: {use: toy-prompts}
    n: 40
encoders: [{name: tfidf, use: tfidf, dimensions: 8}]
methods: [{name: length, use: length}]
evaluate: [{use: fidelity, data: [pairs/test], truth: preferred}]
"""


def files_that_hold(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_key_is_in_no_file_of_a_run_that_failed_and_of_one_that_did_not(
    fake: Fake,
    keyed: Mapping[str, str],
    store: Store,
    run_suite: Callable[..., Finished],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("URL", fake.url)
    # the probes of both models are answered, and then a server that fails says the key
    fake.reply = lambda number, request: (
        completion(request) if number < 12 else Reply({"error": f"{KEY} {request.headers}"}, 500)
    )
    failed = run_suite(SUITE)
    assert any("the server fails (500): \"*** {'Host'" in reason for reason in failed.outcome.failed.values())
    assert list((tmp_path / "results").rglob("*.log")) or list((tmp_path / "results" / "logs").iterdir())
    assert files_that_hold(tmp_path, KEY) == []
    before = len(fake.seen)
    fake.reply = lambda number, request: completion(request)
    again = run_suite(SUITE)
    assert not again.outcome.failed
    assert len(fake.seen) - before < 80  # both models' 40, less what was kept
    assert files_that_hold(tmp_path, KEY) == []
    assert files_that_hold(tmp_path / "results", "MY_KEY")  # the search finds what is there
    assert {request.headers["Authorization"] for request in fake.seen} == {f"Bearer {KEY}"}
