"""A real server: `transformers serve`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from completions_server import asked

from fairl_bench.builtin.shared.completions_api import CompletionsApi
from fairl_bench.errors import DataError
from fairl_bench.values.language_models import Site
from fairl_bench.values.likelihoods import Continuations


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised GPT-NeoX of 1 block × 16 with a byte-level tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("served")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({"</s>": 0, **{letter: i + 1 for i, letter in enumerate(letters)}}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = GPTNeoXConfig(vocab_size=257, max_position_embeddings=64, eos_token_id=0, bos_token_id=0, **shape)
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server of the tiny model, which ends with the module."""
    import httpx2

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "serve.log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(tiny_model)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=offline, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"no answer in two minutes: {log.read_text()}"
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health", timeout=1).raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its own group: nothing it started stays
        process.wait()


serving = pytest.mark.skipif(
    find_spec("fastapi") is None or find_spec("uvicorn") is None or find_spec("openai") is None,
    reason="transformers serve needs pip install 'transformers[serving]'",
)


def complete_at(url: str, model: Path, folder: Path, n: int = 6) -> list[str]:
    folder.mkdir()
    part = CompletionsApi(url=url, model=str(model), server="transformers", timeout=60.0, retries=1)
    part.make(Site(folder, folder))
    return list(part.complete(asked(n, max_new_tokens=8), Site(folder, folder)))


@serving
def test_a_real_server_gives_the_same_texts_again_and_another_for_each_draw(
    served: str, tiny_model: Path, tmp_path: Path
) -> None:
    first, again = (complete_at(served, tiny_model, tmp_path / name) for name in ("a", "b"))
    assert first == again
    # of a server that is not told to sample, the two draws of each prompt would be the same
    assert all(one != other for one, other in zip(first[:3], first[3:], strict=True))


@serving
def test_a_real_server_gives_what_the_model_gives_here_under_that_seed(
    served: str, tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = (one.from_pretrained(tiny_model) for one in (AutoTokenizer, AutoModelForCausalLM))
    question = asked(3, max_new_tokens=8)
    here = []
    for i, prompt in enumerate(question.prompt):
        inputs = tokenizer(prompt, return_tensors="pt")
        with torch.random.fork_rng():
            torch.manual_seed(int(question.rng(i).integers(2**31)))
            tokens = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=True,
                top_k=0,
                max_new_tokens=8,
                pad_token_id=0,
            )
        here.append(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    assert complete_at(served, tiny_model, tmp_path / "a", n=3) == here


@serving
def test_a_real_server_that_serves_another_model_says_so(served: str, tmp_path: Path) -> None:
    part = CompletionsApi(url=served, model="nobody/nothing", server="transformers")
    with pytest.raises(DataError, match=r"the server refuses the request \(400\): .*requested 'nobody/nothing'"):
        part.make(Site(tmp_path, tmp_path))


@serving
def test_a_real_server_that_tells_no_log_probabilities_is_refused_with_what_to_do(
    served: str, tiny_model: Path, tmp_path: Path
) -> None:
    asked, site = Continuations(("you are",), ("kind",)), Site(tmp_path, tmp_path)
    known = CompletionsApi(url=served, model=str(tiny_model), server="transformers")
    with pytest.raises(DataError, match=r"server 'transformers' tells nothing of a text .*; serve the model with vLLM"):
        known.likelihoods(asked, site)
    unknown = CompletionsApi(url=served, model=str(tiny_model), timeout=60.0, retries=1)
    with pytest.raises(DataError, match=r"the answer holds no log-probabilities of the text: .*; serve the model with"):
        unknown.likelihoods(asked, site)
