"""How likely texts are by a real server, beside what the same model says here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from echo_server import EchoServer, Kind

from fairl_bench import load_reward
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.errors import DataError
from fairl_bench.pipeline import Finished
from fairl_bench.values.data import Floats
from fairl_bench.values.language_models import Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods

PROMPTS = ("you are", "the film was ", "", "you are", "naïve 🙂", "he said:\n")
TEXTS = ("a kind person", "long", "on its own", "such a \U0001f600 fool", "as ever", "no")
CLOSE = {"rtol": 0, "atol": 1e-4}  # sums of float32 log-probabilities, one by one and in batches


@pytest.fixture(scope="module")
def expert(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another language model of the same tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("expert") / "lm"
    shutil.copytree(tiny_lm, folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., EchoServer]]:
    """Starts servers of language models, which end with the module."""
    started: list[EchoServer] = []

    def start(kind: Kind, **models: Path) -> EchoServer:
        started.append(EchoServer(models, kind))
        return started[-1]

    yield start
    for server in started:
        server.close()


def here(folder: Path, asked: Continuations, scratch: Path) -> Likelihoods:
    scratch.mkdir()
    lm = Pretrained.named("pretrained", model=str(folder))
    return lm.likelihoods(asked, Site(scratch, scratch, {"lm": folder}))


def there(server: EchoServer, asked: Continuations, scratch: Path, **fields: Any) -> Likelihoods:
    scratch.mkdir()
    lm = CompletionsApi(url=server.url, model="m", server=server.kind, retries=0, **fields)
    return lm.likelihoods(asked, Site(scratch, scratch))


def without(*prompts: str) -> Continuations:
    """The texts whose prompt is none of these."""
    rows = [i for i, prompt in enumerate(PROMPTS) if prompt not in prompts]
    return Continuations(PROMPTS, TEXTS).take(rows)


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_a_server_says_of_texts_with_prompts_what_the_model_says_here(
    kind: Kind, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    asked = without("", "the film was ")
    served = there(serve(kind, m=tiny_lm), asked, tmp_path / "there")
    local = here(tiny_lm, asked, tmp_path / "here")
    np.testing.assert_array_equal(served.offsets, local.offsets)
    np.testing.assert_allclose(served.token, local.token, **CLOSE)
    np.testing.assert_allclose(served.total, local.total, **CLOSE)
    assert (served.total < -1).all()


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_of_the_states_and_the_end_it_says_nothing(
    kind: Kind, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    served = there(serve(kind, m=tiny_lm), without(""), tmp_path / "there")
    assert np.isnan(served.before).all()
    assert np.isnan(served.after).all()
    assert not served.ended.any()
    assert served.tokenised.all()


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_a_start_token_of_the_tokenizer_stands_before_texts_without_prompts_too(
    kind: Kind, with_start: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    asked = without("the film was ")
    served = there(serve(kind, m=with_start), asked, tmp_path / "there")
    local = here(with_start, asked, tmp_path / "here")
    np.testing.assert_array_equal(served.offsets, local.offsets)
    np.testing.assert_allclose(served.token, local.token, **CLOSE)


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_a_named_start_stands_before_texts_without_prompts(
    kind: Kind, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    asked = without("the film was ")
    served = there(serve(kind, m=tiny_lm), asked, tmp_path / "there", start="<|endoftext|>")
    np.testing.assert_allclose(served.token, here(tiny_lm, asked, tmp_path / "here").token, **CLOSE)


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_a_text_that_nothing_stands_before_is_refused(
    kind: Kind, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    said = r"the first token of a text has no log-probability, for nothing stands before it: .*; give the model's start"
    with pytest.raises(DataError, match=said):
        there(serve(kind, m=tiny_lm), Continuations(PROMPTS, TEXTS), tmp_path / "there")


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_a_token_across_the_seam_is_the_texts(
    kind: Kind, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    server = serve(kind, m=tiny_lm)
    behind_space, joined = (
        there(server, Continuations((prompt,), ("that",)), tmp_path / name)
        for name, prompt in (("a", "you are "), ("b", "you are"))
    )
    # " that" is one token in both, and begins in the prompt in the first
    assert behind_space.token.tolist() == joined.token.tolist() != []
    assert len(joined.token) == 1


@pytest.mark.parametrize(("kind", "prompts"), [("openai", 0), ("vllm", 4), ("tgi", 4)])
def test_each_prompt_is_asked_for_once_where_it_is_asked_for(
    kind: Kind, prompts: int, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    server = serve(kind, m=tiny_lm)
    there(server, without(""), tmp_path / "there", concurrency=3)
    assert len(server.seen) == 5 + prompts


@pytest.mark.parametrize("kind", ["openai", "vllm", "tgi"])
def test_a_text_without_a_letter_has_no_token_and_is_not_asked_for(
    kind: Kind, tiny_lm: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    server = serve(kind, m=tiny_lm)
    served = there(server, Continuations(("you are", ""), ("", "")), tmp_path / "there")
    assert (served.total.tolist(), served.tokens.tolist(), server.seen) == ([0.0, 0.0], [0, 0], [])


def test_a_vllm_whose_kind_is_not_named_is_read_where_its_tokens_spell_the_text(
    with_start: Path, serve: Callable[..., EchoServer], tmp_path: Path
) -> None:
    server = serve("vllm", m=with_start)
    server.kind = "openai"  # as the suite calls it; its start token is counted in the offsets, as vLLM does
    asked = without("the film was ")
    served = there(server, asked, tmp_path / "there")
    np.testing.assert_allclose(served.token, here(with_start, asked, tmp_path / "here").token, **CLOSE)


# --- a whole suite

SUITE = """\
name: served
seeds: [0]
models:
  - name: api
    use: completions-api
    base: {{url: "{url}", model: base, server: {kind}, api: {api}}}
    expert: {{url: "{url}", model: expert, server: {kind}, api: {api}}}
    prompts: {{use: toy-prompts}}
    n: 24
    sampling: {{max_new_tokens: 6}}
encoders: [{{name: tfidf, use: tfidf, dimensions: 8}}]
methods: [{{name: length, use: length}}, {{name: log-ratio, use: log-ratio}}]
evaluate: [{{use: fidelity, data: [pairs/test], truth: preferred}}]
"""


def test_a_suite_has_the_log_ratio_of_two_served_models(
    tiny_lm: Path,
    expert: Path,
    serve: Callable[..., EchoServer],
    run_suite: Callable[..., Finished],
    cli: Callable[..., Result],
    tmp_path: Path,
) -> None:
    server = serve("vllm", base=tiny_lm, expert=expert)
    suite = SUITE.format(url=server.url, kind="vllm", api="completions")
    (tmp_path / "suite.yaml").write_text(suite)
    checked = cli("check", "suite.yaml")
    assert (checked.exit_code, server.seen) == (0, []), checked.output
    done = run_suite(suite)
    assert not done.outcome.failed
    (sheet,) = done.results.sheets(["pairs/test"])
    asked = Continuations.of(sheet.examples)
    base, aligned = (here(folder, asked, tmp_path / name) for name, folder in (("b", tiny_lm), ("e", expert)))
    scores: Floats = next(rewards for run, rewards in sheet.rewards.items() if run.method == "log-ratio")
    np.testing.assert_allclose(scores, aligned.total - base.total, **CLOSE)
    assert (scores > 0).mean() > 0.2
    # the saved reward asks both again
    (place,) = (done.folder / "rewards").glob("*log-ratio*")
    before, examples = len(server.seen), sheet.examples
    reward = load_reward(place)
    asked_again = reward(list(examples.text[:5]), prompts=list(examples.prompt[:5]))
    np.testing.assert_allclose(asked_again, scores[:5], **CLOSE)
    assert {request["model"] for request in server.seen[before:]} == {"base", "expert"}
    with pytest.raises(DataError, match=r"its language model 'method/base' has no files, got '.*'; name no folder"):
        load_reward(place, upstream={"method/base": str(tiny_lm)})
