"""A language model behind a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.openai_endpoint import Endpoint, Stopped
from fairl_bench.component import RunTime
from fairl_bench.errors import DataError
from fairl_bench.kinds import LM
from fairl_bench.progress import report
from fairl_bench.values.language_models import Asked, Model, Sampling, Site

_KEPT = "completions.jsonl"
Place = tuple[int, int]  # prompt row, draw


class CompletionsApi(LM):
    """A language model behind a server that speaks OpenAI's protocol: vLLM, TGI, llama.cpp, `transformers serve`.

    Its name, the label of its revision and how it is asked are its identity; where it is served is not.  Nothing shows
    which weights a server holds: put a label of yours (a commit, a quantisation) in ``revision``, and change it with
    them.
    """

    url: Annotated[str, RunTime] = Field(description="base URL as OpenAI's clients take it, /v1 included")
    model: str = Field(min_length=1, description="the model's name on the server")
    revision: str = Field(
        "", description="a label for the weights that you choose; it changes the key and nothing else"
    )
    server: Literal["openai", "vllm", "tgi", "llama.cpp", "transformers"] = Field(
        "openai",
        description="kind of server, for what the protocol itself cannot say (top_k, no filter of its own)",
    )
    api: Literal["completions", "chat"] = Field("completions", description="chat: the prompt is the user's message")
    system: str = Field("", description="the system message before each prompt of a chat; none where empty")
    api_key_env: Annotated[str | None, RunTime] = Field(
        None, description="NAME of the environment variable that holds the key, in capitals; never the key"
    )
    concurrency: Annotated[int, RunTime] = Field(
        8, ge=1, description="requests at once; 'transformers' seeds its whole process, so it is asked one by one"
    )
    timeout: Annotated[float, RunTime] = Field(120.0, gt=0, description="seconds for an answer, to its last byte")
    retries: Annotated[int, RunTime] = Field(
        5, ge=0, description="tries after a failed request, before the work is given up"
    )
    back_off: Annotated[float, RunTime] = Field(
        1.0, gt=0, description="seconds before the first retry, doubled each time up to 60, less jitter"
    )

    @field_validator("url")
    @classmethod
    def _without_secret(cls, url: str) -> str:
        """Refuse a text that is not a URL, and a URL that holds a secret; the message does not show it."""
        try:
            parts = urlsplit(url)
            secret = bool(parts.username or parts.password or parts.query or parts.fragment)
            whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            secret, whole = False, False
        if secret or "@" in url:
            reason = "must hold no user, password or query; the key belongs in the variable that 'api_key_env' names"
            raise PydanticCustomError("secret_url", reason)
        if not whole:
            raise PydanticCustomError("no_url", "needs a base URL like http://localhost:8000/v1")
        return url

    @field_validator("api_key_env")
    @classmethod
    def _a_name(cls, name: str | None) -> str | None:
        """Refuse a name that may be the key itself; the message does not show it."""
        if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            reason = "needs the name of an environment variable in capitals, like OPENAI_API_KEY; never the key itself"
            raise PydanticCustomError("no_variable", reason)
        return name

    def check(self) -> None:
        """Look for the key.  The server is not asked: it may be started later."""
        self._key()

    def make(self, site: Site) -> Model:
        """Ask the server for one token, so that a mistake shows at once.  No file is made."""
        with self._endpoint() as endpoint:
            body = self._body("Hello", Sampling(max_new_tokens=1), 0)
            self._ask(endpoint, body)
        return Model(site.folder, {"served": True, "model": self.model, "url": self.url})

    def complete(self, asked: Asked, site: Site) -> Sequence[str]:
        """Return one completion a prompt, each with its own seed; those in ``site.scratch`` are not asked for again.

        A server repeats its texts only as far as it respects seeds.  Raises `DataError` with the reason where the
        server fails; what it gave before that is kept for the next run.
        """
        places = list(zip(asked.row, asked.draw, strict=True))
        if reason := top_k_refusal(self.server, asked.sampling):
            raise DataError(f"language model {self.model!r}: {reason}")
        path = site.scratch / _KEPT
        kept = _kept(path)
        bodies = {
            place: self._body(asked.prompt[i], asked.sampling, int(asked.rng(i).integers(2**31)))
            for i, place in enumerate(places)
            if place not in kept
        }
        answers = self._answers(bodies, len(places))
        with path.open("a", encoding="utf-8") as file, closing(answers):  # closed at once, also where this is ended
            for place, text in answers:
                kept[place] = text
                file.write(json.dumps([*place, text]) + "\n")
                file.flush()
                report(len(kept), len(places), f"{len(kept)} of {len(places)} completions")
        return [kept[place] for place in places]

    def _answers(self, bodies: Mapping[Place, Mapping[str, Any]], total: int) -> Generator[tuple[Place, str]]:
        """Return the answers as they come.  After a failure, those under way are still kept; then it is raised."""
        failure: DataError | None = None
        done = total - len(bodies)
        at_once = 1 if self.server == "transformers" else self.concurrency
        with self._endpoint() as endpoint, ThreadPoolExecutor(at_once) as pool:
            waiting: dict[Future[str], Place] = {}
            try:
                for place, body in bodies.items():
                    waiting[pool.submit(self._ask, endpoint, body)] = place
                while waiting:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        place = waiting.pop(future)
                        try:
                            text = future.result()
                        except DataError as error:
                            failure = failure or error
                            endpoint.stop.set()
                            waiting = {
                                request: request_place
                                for request, request_place in waiting.items()
                                if not request.cancel()
                            }
                        except Stopped:
                            pass
                        else:
                            done += 1
                            yield place, text
            finally:
                endpoint.stop.set()
                for future in waiting:
                    future.cancel()
        if failure is not None:
            raise DataError(f"{failure} ({done} of {total} completions are kept: run again to go on)")

    def _endpoint(self) -> Endpoint:
        what = f"language model {self.model!r} at {self.url}"
        return Endpoint(
            what,
            self.url,
            self._key(),
            timeout=self.timeout,
            retries=self.retries,
            back_off=self.back_off,
            limit=self.concurrency,
        )

    def _key(self) -> str | None:
        """Return the key, from the environment alone.  Raises `DataError` where it is not set or cannot be sent."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            name = self.api_key_env
            raise DataError(f"the key of language model {self.model!r} is not set; set it: {name}=... fairl-bench ...")
        if not re.fullmatch(r"[!-~]+", key):  # the client would show it in its complaint
            raise DataError(f"{self.api_key_env} holds no key: a key is of printable ASCII characters without space")
        return key

    def _ask(self, endpoint: Endpoint, body: Mapping[str, Any]) -> str:
        if self.api == "chat":
            return endpoint.ask("/chat/completions", body, _of_chat).strip()
        return endpoint.ask("/completions", body, _of_completions).strip()

    def _body(self, prompt: str, sampling: Sampling, seed: int) -> dict[str, Any]:
        """Return the request for one completion."""
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": seed,
        }
        if self.api == "chat":
            system = [{"role": "system", "content": self.system}] if self.system else []
            body["messages"] = [*system, {"role": "user", "content": prompt}]
        else:
            body["prompt"] = prompt
        return _as_spoken(self.server, body, sampling)


def _as_spoken(server: str, body: dict[str, Any], sampling: Sampling) -> dict[str, Any]:
    """Return the request in the words of one kind of server: a filter that is not asked for is off."""
    k = sampling.top_k
    if server == "vllm":
        return {**body, "top_k": k or -1, "min_p": 0.0, "repetition_penalty": 1.0}
    if server == "llama.cpp":
        return {**body, "top_k": k, "min_p": 0.0, "repeat_penalty": 1.0}
    if server == "transformers":  # a model's own settings may be greedy: the texts of one prompt would be the same
        own = {"do_sample": True, "top_k": k, "top_p": sampling.top_p, "temperature": sampling.temperature}
        return {**body, "generation_config": json.dumps({**own, "max_new_tokens": sampling.max_new_tokens})}
    if server == "tgi" and sampling.top_p == 1:  # which it refuses
        del body["top_p"]
    return body


def top_k_refusal(server: str, sampling: Sampling) -> str:
    """Return why this kind of server cannot sample like that; empty where it can."""
    if sampling.top_k and server in ("openai", "tgi"):
        return f"server {server!r} knows no top_k, got {sampling.top_k}; set 'top_k: 0', or name another 'server'"
    return ""


def _of_completions(answer: Any) -> str:
    text: str = answer["choices"][0]["text"]
    return text


def _of_chat(answer: Any) -> str:
    text: str = answer["choices"][0]["message"]["content"]
    return text


def _kept(path: Path) -> dict[Place, str]:
    """Return the completions of an interrupted run by prompt row and draw; a damaged last line is cut off."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    rows = {line: row for line in content.splitlines(keepends=True) if (row := _row(line)) is not None}
    if (whole := b"".join(rows)) != content:
        path.write_bytes(whole)
    return {(row, draw): text for row, draw, text in rows.values()}


def _row(line: bytes) -> tuple[int, int, str] | None:
    try:
        values = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or [type(value) for value in values] != [int, int, str]:
        return None
    row, draw, text = values
    return row, draw, text
