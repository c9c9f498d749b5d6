"""A real server of small language models that repeats texts with the log-probabilities of their tokens."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Kind = Literal["openai", "vllm", "tgi"]


class EchoServer:
    """Speaks as one kind of server does; ``models`` are folders by the name that a request calls them by."""

    def __init__(self, models: Mapping[str, Path], kind: Kind = "openai") -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.models = {
            name: (AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval())
            for name, folder in models.items()
        }
        self.kind = kind
        self.seen: list[dict[str, Any]] = []
        self.one = threading.Lock()
        path, answer = ("/generate", self.prefill) if kind == "tgi" else ("/v1/completions", self.completion)

        async def endpoint(request: Request) -> JSONResponse:
            return JSONResponse(await run_in_threadpool(answer, await request.json()))

        async def listed(_: Request) -> JSONResponse:
            return JSONResponse({"data": [{"id": name, "owned_by": kind} for name in self.models]})

        app = Starlette(routes=[Route(path, endpoint, methods=["POST"]), Route("/v1/models", listed)])
        door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{door.getsockname()[1]}/v1"
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        # a daemon: the command line ends a process whose threads would not end by themselves
        self.thread = threading.Thread(target=self.server.run, args=([door],), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's completions, of one prompt."""
        tokenizer, model = self.models[body["model"]]
        with self.one:
            self.seen.append(body)
            ids = tokenizer(body["prompt"])["input_ids"]
            torch.manual_seed(body["seed"])
            drawn = self.draw(model, ids, body["max_tokens"], tokenizer.eos_token_id)
            text = tokenizer.decode(drawn, skip_special_tokens=True)
            usage = {"prompt_tokens": len(ids), "completion_tokens": len(drawn)}
            if not body.get("echo"):
                return {"choices": [{"text": text, "logprobs": None}], "usage": usage}
            said = self.openai(tokenizer, model, ids + drawn, body["prompt"] + text)
            if body.get("return_tokens_as_token_ids") and self.kind == "vllm":
                said["tokens"] = [f"token_id:{token}" for token in ids + drawn]
            return {"choices": [{"text": body["prompt"] + text, "logprobs": said}], "usage": usage}

    def openai(self, tokenizer: Any, model: Any, ids: list[int], text: str) -> dict[str, Any]:
        """Tokens as OpenAI spells them: those that hold a part of a character by their bytes."""
        tokens, begins, begin = [], [], 0
        for i, token in enumerate(ids):
            begins.append(begin)
            whole = tokenizer.decode([token])
            if "\ufffd" not in whole:
                tokens.append(whole)
                begin += len(whole)
                continue
            tokens.append(f"bytes:{tokenizer.convert_ids_to_tokens(token)}")
            before = tokenizer.decode(ids[: i + 1])
            begin = len(before) - (1 if before.endswith("\ufffd") else 0)
        return {"tokens": tokens, "token_logprobs": log_probabilities(model, ids), "text_offset": begins}

    def prefill(self, body: dict[str, Any]) -> dict[str, Any]:
        """TGI's own way."""
        ((tokenizer, model),) = self.models.values()
        assert body["parameters"] == {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
        with self.one:
            self.seen.append(body)
            ids = tokenizer(body["inputs"])["input_ids"]
            said = zip(ids, log_probabilities(model, ids), strict=True)
            prefill = [{"id": token, "text": tokenizer.decode([token]), "logprob": value} for token, value in said]
            return {"generated_text": "!", "details": {"prefill": prefill, "tokens": [], "generated_tokens": 1}}

    def draw(self, model: Any, ids: list[int], most: int, end: int) -> list[int]:
        """Tokens of the model's own distribution, to its end."""
        drawn: list[int] = []
        with torch.inference_mode():
            while len(drawn) < most and end not in drawn:
                logits = model(input_ids=torch.tensor([ids + drawn])).logits[0, -1]
                drawn.append(int(torch.multinomial(logits.softmax(-1), 1)))
        return drawn


def log_probabilities(model: Any, ids: list[int]) -> list[float | None]:
    """That of each token behind those before it; none for the first."""
    with torch.inference_mode():
        said = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return [None, *(float(said[i, token]) for i, token in enumerate(ids[1:]))]
