"""How a server is asked how likely texts are, and what of its answers is taken and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from completions_server import Fake, Reply, Request, echo, lm

from fairl_bench.builtin.sources.completions_api import CompletionsApi as Pairs
from fairl_bench.errors import DataError
from fairl_bench.progress import listening
from fairl_bench.suite.registry import Registry
from fairl_bench.values.language_models import Site
from fairl_bench.values.likelihoods import Continuations

ONE = Continuations(("you are",), ("very kind",))
MANY = Continuations(
    ("you are", "you are", "he was", "he was", "it is"), ("kind", "a fool", "good", "so bad", "what it is")
)
EXPECTED = [[-5], [-2, -5], [-5], [-3, -4], [-5, -3, -3]]  # words with their spaces


def prefill(request: Request) -> Reply:
    """What TGI says of a text's words."""
    words = request.body["inputs"].split(" ")
    said = [{"id": hash(word), "text": word, "logprob": -float(len(word) + 1)} for word in words]
    said[0]["logprob"] = None
    return Reply({"generated_text": " drawn", "details": {"prefill": said, "tokens": [{"id": 0}]}})


# --- the requests


@pytest.mark.parametrize(
    ("server", "more"),
    [
        ("openai", {}),
        (
            "vllm",
            {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, "return_tokens_as_token_ids": True},
        ),
    ],
)
def test_a_server_is_asked_to_repeat_the_prompt_and_the_text(
    server: str, more: dict[str, Any], fake: Fake, site: Site
) -> None:
    fake.reply = lambda number, request: echo(request)
    lm(fake, server=server).likelihoods(ONE, site)
    request = fake.seen[-1]
    plain = {"model": "m", "max_tokens": 1, "temperature": 1.0, "top_p": 1.0, "seed": 0, "echo": True, "logprobs": 1}
    assert (request.path, request.body) == ("/v1/completions", {**plain, "prompt": "you are very kind", **more})


def test_tgi_is_asked_in_its_own_way_outside_of_openais_protocol(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: prefill(request)
    found = lm(fake, server="tgi").likelihoods(ONE, site)
    asked = {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
    assert [request.path for request in fake.seen] == ["/generate", "/generate"]
    assert [request.body for request in fake.seen] == [
        {"inputs": text, "parameters": asked} for text in ("you are", "you are very kind")
    ]
    assert found.token.tolist() == [-5, -5]


@pytest.mark.parametrize(("server", "n"), [("openai", 5), ("vllm", 8)])
def test_the_words_behind_each_prompt_are_counted(server: str, n: int, fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: echo(request)
    heard: list[tuple[float, str]] = []
    with listening(lambda share, note: heard.append((share, note))):
        found = lm(fake, server=server, concurrency=3).likelihoods(MANY, site)
    assert [found.take([i]).token.tolist() for i in range(5)] == EXPECTED
    assert found.total.tolist() == [sum(one) for one in EXPECTED]
    assert len(fake.seen) == n
    assert [share for share, _ in heard] == [(i + 1) / n for i in range(n)]
    assert heard[0][1] == ("1 of 3 prompts" if server == "vllm" else "1 of 5 texts")


# --- what real servers do to the tokens


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"text_offset": [-1] * 5}, [-5, -5]),  # SGLang
        ({"text_offset": None}, [-5, -5]),
        (  # a start token that is counted, as by vLLM, and one that is not
            {
                "tokens": ["<s>", "you", " are", " very", " kind", "</s>"],
                "token_logprobs": [None, -1, -2, -3, -4, -5],
                "text_offset": [0, 3, 6, 10, 15, 20],
            },
            [-3, -4],
        ),
        (
            {
                "tokens": ["<s>", "you", " are", " very", " kind", "</s>"],
                "token_logprobs": [None, -1, -2, -3, -4, -5],
                "text_offset": [0, 0, 3, 7, 12, 17],
            },
            [-3, -4],
        ),
        (  # a character of two tokens
            {
                "tokens": ["you are", " ", "bytes:\\xf0", "bytes:\\x9f", " kind"],
                "token_logprobs": [None, -1, -2, -3, -4],
                "text_offset": [0, 7, 8, 8, 9],
            },
            [-1, -2, -3, -4],
        ),
    ],
    ids=["no offsets", "offsets of null", "start counted", "start not counted", "bytes"],
)
def test_the_tokens_of_the_text_are_found(changes: dict[str, Any], found: list[float], fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: echo(request, **changes)
    text = "🙂 kind" if len(found) == 4 else "very kind"
    assert lm(fake).likelihoods(Continuations(("you are",), (text,)), site).token.tolist() == found


@pytest.mark.parametrize(
    ("tokens", "found"), [(["you", " are very", " kind"], [-2, -3]), (["you are very", " kind"], None)]
)
def test_a_token_across_the_seam_is_the_texts_unless_nothing_stands_before_it(
    tokens: list[str], found: list[float] | None, fake: Fake, site: Site
) -> None:
    values = [None, -2, -3][: len(tokens)]
    begins = [sum(map(len, tokens[:i])) for i in range(len(tokens))]
    fake.reply = lambda number, request: echo(request, tokens=tokens, token_logprobs=values, text_offset=begins)
    if found:
        assert lm(fake).likelihoods(ONE, site).token.tolist() == found
    else:
        with pytest.raises(DataError, match=r"the first token of a text has no log-probability"):
            lm(fake).likelihoods(ONE, site)


def test_a_character_of_several_tokens_behind_the_seam_is_the_texts(fake: Fake, site: Site) -> None:
    said = {"tokens": ["you are ", "bytes:\\xf0", "bytes:\\x9f", "!"], "token_logprobs": [None, -1, -2, -3]}
    fake.reply = lambda number, request: echo(request, **said, text_offset=[0, 8, 8, 9])
    assert lm(fake).likelihoods(Continuations(("you are ",), ("🙂",)), site).token.tolist() == [-1, -2]


def test_a_hair_above_nothing_is_nothing(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: echo(request, token_logprobs=[None, -1, 1e-7, 0, -1])
    assert lm(fake).likelihoods(ONE, site).token.tolist() == [0, 0]


# --- what is refused

HELP = (
    "serve the model with vLLM ('server: vllm'), TGI ('server: tgi') or another server that answers 'echo' with "
    "'logprobs', or leave out the method that asks"
)
SPELL = "the tokens of the answer do not spell the text that was asked for"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token_logprobs": [None, -1, float("nan"), -3, -4]}, "the answer holds the log-probability nan"),
        ({"token_logprobs": [None, -1, float("-inf"), -3, -4]}, "the answer holds the log-probability -inf"),
        ({"token_logprobs": [None, -1, 0.5, -3, -4]}, "the answer holds the log-probability 0.5"),
        ({"token_logprobs": [None, -1, None, -3, -4]}, "1 tokens of a text have no log-probability"),
        ({"token_logprobs": [None, -1]}, "the answer has 5 tokens, 2 log-probabilities and 5 offsets"),
        ({"text_offset": [0, 1]}, "the answer has 5 tokens, 5 log-probabilities and 2 offsets"),
        ({"tokens": ["You", " are", " very", " kind", "!"]}, SPELL),
        ({"tokens": [" drawn"], "token_logprobs": [-1], "text_offset": [0]}, SPELL),  # no echo
        ({"tokens": ["▁you", "are", "very", "kind", "!"]}, SPELL),  # spaces are lost
        ({"tokens": []}, "the answer holds no log-probabilities of the text"),
        ({"tokens": ["you", " are", " very"], "token_logprobs": [None, -1, -2], "text_offset": [0, 3, 7]}, SPELL),
        ({"tokens": ["you", " are", " kind", "!", ""], "text_offset": [0, 3, 12, 17, 18]}, SPELL),  # a gap
        ({"tokens": ["you", "bytes:a", "bytes:b", " kind", "!"], "text_offset": [0, 3, 2, 12, 17]}, SPELL),  # back
    ],
)
def test_an_answer_that_makes_no_likelihood_is_refused_at_once(
    changes: dict[str, Any], said: str, fake: Fake, site: Site
) -> None:
    fake.reply = lambda number, request: echo(request, **changes)
    with pytest.raises(DataError) as caught:
        lm(fake).likelihoods(ONE, site)
    assert f"{said}: '{{" in str(caught.value)
    assert str(caught.value).endswith("(0 of 1 texts are kept: run again to go on)")
    assert len(fake.seen) == 1


def test_a_server_without_log_probabilities_is_told_what_it_lacks(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: Reply({"choices": [{"text": "you are very kind", "logprobs": None}]})
    with pytest.raises(DataError) as caught:
        lm(fake).likelihoods(ONE, site)
    whole = '{"choices": [{"text": "you are very kind", "logprobs": null}]}'
    assert str(caught.value) == (
        f"language model 'm' at {fake.url}: the answer holds no log-probabilities of the text: '{whole}'; {HELP} "
        "(0 of 1 texts are kept: run again to go on)"
    )


def test_a_server_that_refuses_to_echo_is_quoted_with_what_to_do(fake: Fake, site: Site) -> None:
    reason = "Setting 'echo' and 'logprobs' at the same time is not supported for this model."
    fake.reply = lambda number, request: Reply({"error": {"message": reason}}, 400)
    with pytest.raises(DataError) as caught:
        lm(fake).likelihoods(ONE, site)
    assert f"the server refuses the request (400): {reason!r}; if it repeats no text with them, {HELP}" in str(
        caught.value
    )


def test_a_tgi_that_computes_none_is_told_the_flag(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: Reply({"generated_text": "", "details": {"prefill": [], "tokens": []}})
    with pytest.raises(DataError, match=r"no log-probabilities of the text: .*start the server with --enable-prefill"):
        lm(fake, server="tgi").likelihoods(ONE, site)
    assert len(fake.seen) == 1


def test_a_vllm_that_has_cut_the_text_is_not_believed(fake: Fake, site: Site) -> None:
    def reply(number: int, request: Request) -> Reply:
        whole = echo(request).body
        return Reply({**whole, "usage": {"prompt_tokens": 9}})

    fake.reply = reply
    with pytest.raises(DataError, match=r"the answer has 3 tokens for a text of 9: "):
        lm(fake, server="vllm").likelihoods(ONE, site)


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": ["text"]}, {"choices": [{"logprobs": [1]}]}, {"choices": [{"logprobs": {"tokens": [1]}}]}, [], 3],
    ids=str,
)
def test_an_answer_of_another_shape_is_asked_for_again(body: Any, fake: Fake, site: Site, pauses: list[float]) -> None:
    fake.reply = lambda number, request: echo(request) if number else Reply(body)
    assert lm(fake).likelihoods(ONE, site).token.tolist() == [-5, -5]
    assert len(pauses) == 1


# --- what is refused before anything is asked

REFUSED = [
    ({"server": "llama.cpp"}, 1.0, f"server 'llama.cpp' tells nothing of a text that it has not drawn; {HELP}"),
    ({"server": "transformers"}, 1.0, f"server 'transformers' tells nothing of a text that it has not drawn; {HELP}"),
    (
        {"api": "chat", "server": "vllm"},
        1.0,
        "a chat ('api: chat') tells nothing of an answer that the server has not drawn; write the chat's template into "
        "the prompts and use 'api: completions', or leave out the method that asks",
    ),
    ({}, 0.7, "a server tells log-probabilities at temperature 1 alone, and 0.7 is asked for; ask for 1"),
]
LOGITS = (
    "a server tells probabilities, and not the logits that the values of its states are made of; name a model that is "
    "read on this machine, or leave out the method that asks"
)


@pytest.mark.parametrize(("fields", "temperature", "said"), REFUSED)
def test_a_server_that_cannot_tell_is_not_asked(
    fields: dict[str, Any], temperature: float, said: str, fake: Fake, site: Site
) -> None:
    model = lm(fake, **fields)
    assert model.refuses_likelihoods(temperature) == said
    with pytest.raises(DataError) as caught:
        model.likelihoods(Continuations(("you are",), ("kind",), temperature=temperature), site)
    assert str(caught.value) == f"language model 'm': {said}"
    assert not fake.seen


@pytest.mark.parametrize("server", ["openai", "vllm", "tgi"])
def test_a_server_that_may_tell_is_not_refused(server: str, fake: Fake) -> None:
    assert lm(fake, server=server).refuses_likelihoods() == ""
    assert lm(fake, server=server).refuses_likelihoods(values=True) == LOGITS


SUITE = """\
name: served
seeds: [0]
models:
  - name: api
    use: completions-api
    base: {{url: "http://nowhere/v1", model: m, {fields}}}
    expert: {{url: "http://nowhere/v1", model: n}}
    prompts: {{use: toy-prompts}}
    n: 40
encoders: [{{name: tfidf, use: tfidf, dimensions: 8}}]
methods:
  - {{name: length, use: length}}
  - {{name: log-ratio, use: {method}}}
evaluate: [{{use: fidelity, data: [pairs/test], truth: preferred}}]
"""


@pytest.mark.parametrize(
    ("fields", "method", "said"),
    [
        ("api: chat", "log-ratio", "'base' cannot tell how likely a text is: a chat ('api: chat')"),
        ("server: llama.cpp", "log-ratio", "'base' cannot tell how likely a text is: server 'llama.cpp' tells"),
        ("server: vllm", "endogenous", f"'lm' cannot tell how likely a text is: {LOGITS}"),
    ],
)
def test_check_says_which_methods_model_cannot_tell(
    fields: str, method: str, said: str, cli: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.format(fields=fields, method=method))
    result = cli("check", "suite.yaml")
    assert result.exit_code == 2
    assert f"suite.yaml:13: methods: 'log-ratio' on model 'api': its language model {said}" in result.stderr
    assert result.stderr.count("cannot tell") == 1


def test_no_log_ratio_bounds_pairs_whose_end_nobody_weighs(fake: Fake) -> None:
    served = {"url": fake.url, "model": "m"}
    spec = {"use": "completions-api", "base": served, "expert": served, "prompts": {"use": "toy-prompts"}}
    registry = Registry(installed=False)
    whole = registry.build(Pairs, spec)
    assert whole.unbounded() == "a server does not tell how likely it is that a text ends"
    cut = registry.build(Pairs, {**spec, "sampling": {"top_p": 0.9}})
    assert cut.unbounded() == "its sampling does not draw from the models' whole distributions"


# --- what an interrupted run has kept


@pytest.mark.parametrize(("server", "asked"), [("openai", 5), ("vllm", 8)])
def test_after_a_failure_only_what_is_missing_is_asked_again(server: str, asked: int, fake: Fake, site: Site) -> None:
    for kept in range(asked):
        (site.scratch / "prompts.jsonl").unlink(missing_ok=True)
        (site.scratch / "likelihoods.jsonl").unlink(missing_ok=True)
        fake.seen = []
        fake.reply = lambda number, request, kept=kept: echo(request) if number < kept else Reply({}, 500)
        with pytest.raises(DataError, match=r"\(\d of \d (texts|prompts) are kept: run again to go on\)$"):
            lm(fake, server=server, retries=0).likelihoods(MANY, site)
        fake.seen, fake.reply = [], lambda number, request: echo(request)
        found = lm(fake, server=server).likelihoods(MANY, site)
        assert [found.take([i]).token.tolist() for i in range(5)] == EXPECTED
        assert len(fake.seen) == asked - kept


@pytest.mark.parametrize(
    "damage",
    [b'[1, [-2.0, "x"]]\n', b"[1, [0.5]]\n", b"[1, [-2]]\n", b"[1, [NaN]]\n", b"[1, -2.0]\n", b"[]\n", b"[1, [-2.0"],
)
def test_a_damaged_line_is_asked_again_and_the_others_are_kept(damage: bytes, fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: echo(request)
    lm(fake).likelihoods(MANY, site)
    path = site.scratch / "likelihoods.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"".join(lines[2:]) + damage)
    fake.seen = []
    found = lm(fake).likelihoods(MANY, site)
    assert [found.take([i]).token.tolist() for i in range(5)] == EXPECTED
    assert [request.body["prompt"] for request in fake.seen] == ["you are a fool"]
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_what_is_kept_are_the_numbers_themselves(fake: Fake, site: Site) -> None:
    fake.reply = lambda number, request: echo(request)
    lm(fake).likelihoods(ONE, site)
    assert json.loads((site.scratch / "likelihoods.jsonl").read_text()) == [0, [-5.0, -5.0]]
