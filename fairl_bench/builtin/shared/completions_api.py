"""A language model behind a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared import echoed_tokens
from fairl_bench.builtin.shared.echoed_tokens import Echo
from fairl_bench.builtin.shared.kept_answers import Asks, Place, Told, answers
from fairl_bench.builtin.shared.openai_endpoint import Endpoint
from fairl_bench.component import RunTime
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import LM
from fairl_bench.values.drawn_tokens import offsets_of
from fairl_bench.values.language_models import Asked, Model, Sampling, Site
from fairl_bench.values.likelihoods import Continuations, Likelihoods

T = TypeVar("T")


class CompletionsApi(LM):
    """A language model behind a server that speaks OpenAI's protocol: vLLM, TGI, llama.cpp, `transformers serve`.

    Its name, the label of its revision and how it is asked are its identity; where it is served is not.  Nothing shows
    which weights a server holds: put a label of yours (a commit, a quantisation) in ``revision``, and change it with
    them.
    """

    tells_ends: ClassVar[bool] = False

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
    start: str = Field(
        "",
        description="the model's start token as text, such as <|endoftext|>, which a text without a prompt goes on "
        "from when its likelihood is asked for; empty where the server puts one before every text",
    )
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

    def weights(self) -> int:
        """Return 0: the server computes."""
        return 0

    def make(self, site: Site) -> Model:
        """Ask the server for one token, so that a mistake shows at once.  No file is made."""
        with self._endpoint(self.url) as endpoint:
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
        asks: Asks[str] = {place: partial(self._completion, asked, i) for i, place in enumerate(places)}
        path, told = site.scratch / "completions.jsonl", Told("completions")
        kept = self._all(self.url, asks, path, lambda kept: isinstance(kept, str), told)
        return [kept[place] for place in places]

    def refuses_likelihoods(self, temperature: float = 1.0, *, values: bool = False) -> str:
        """Why this kind of server cannot tell how likely a given text is; empty where it may."""
        return echoed_tokens.refusal(self.server, self.api, temperature, values)

    def likelihoods(self, continuations: Continuations, site: Site) -> Likelihoods:
        """How likely the texts are, by a server that repeats a text with the log-probabilities of its tokens.

        A text goes on from its prompt behind a space, unless there is one, and the server makes tokens of the two
        together.  A token across the seam is the text's.  A text without a prompt goes on from ``start``, or from what
        the server puts before every text; where that is nothing, it is refused.  The end of a text is not counted, and
        nothing is known of the values of the states.  Those in ``site.scratch`` are not asked for again.  Raises
        `DataError` where the server cannot tell, or fails.
        """
        from fairl_bench.science.continued_tokens import joint

        if reason := self.refuses_likelihoods(continuations.temperature):
            raise DataError(f"language model {self.model!r}: {reason}")
        leads = [prompt or self.start for prompt in continuations.prompt]
        rows = [i for i, text in enumerate(continuations.text) if text]
        prompts = self._prompts(dict.fromkeys(leads[i] for i in rows), len(rows), site)
        asks: dict[Place, Callable[[Endpoint], list[float]]] = {}
        for i in rows:
            behind = joint(continuations.prompt[i], continuations.text[i]) + continuations.text[i]
            asks[i,] = partial(self._log_probabilities, leads[i], behind, prompts.get(leads[i]))
        url, path = echoed_tokens.base_url(self.server, self.url), site.scratch / "likelihoods.jsonl"
        found = self._all(url, asks, path, _are_numbers, Told("texts", before=len(prompts)))
        return _likelihoods([found.get((i,), []) for i in range(len(continuations))])

    def _all(self, url: str, asks: Asks[T], path: Path, fits: Callable[[object], bool], told: Told) -> dict[Place, T]:
        """The answers to all requests, each kept in the file."""
        at_once = 1 if self.server == "transformers" else self.concurrency
        return answers(self._endpoint(url), asks, path, fits, told, at_once)

    def _prompts(self, leads: Iterable[str], texts: int, site: Site) -> dict[str, list[str]]:
        """The tokens of each prompt by itself, or of what stands before a text without one; none if not needed."""
        if not echoed_tokens.numbered(self.server):
            return {}
        alone = list(leads)
        asked = list(dict.fromkeys([*filter(None, alone), *(echoed_tokens.PROBES if "" in alone else ())]))
        asks: Asks[list[str]] = {(i,): partial(self._tokens, text) for i, text in enumerate(asked)}
        url, path = echoed_tokens.base_url(self.server, self.url), site.scratch / "prompts.jsonl"
        found = self._all(url, asks, path, _are_texts, Told("prompts", behind=texts))
        tokens = {text: found[i,] for i, text in enumerate(asked)}
        if "" in alone:
            tokens[""] = echoed_tokens.before_every_text(*(tokens[probe] for probe in echoed_tokens.PROBES))
        return tokens

    def _endpoint(self, url: str) -> Endpoint:
        what = f"language model {self.model!r} at {self.url}"
        return Endpoint(
            what,
            url,
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

    def _completion(self, asked: Asked, i: int, endpoint: Endpoint) -> str:
        seed = int(asked.rng(i).integers(2**31))
        return self._ask(endpoint, self._body(asked.prompt[i], asked.sampling, seed))

    def _tokens(self, text: str, endpoint: Endpoint) -> list[str]:
        return self._echo(endpoint, text, lambda echo: echo.tokens)

    def _log_probabilities(self, prompt: str, text: str, tokens: list[str] | None, endpoint: Endpoint) -> list[float]:
        """The log-probabilities of a text's tokens; ``tokens`` are the prompt's, where they were asked for."""
        whole = prompt + text
        if tokens is None:
            return self._echo(endpoint, whole, partial(echoed_tokens.behind_characters, len(prompt), whole))
        return self._echo(endpoint, whole, partial(echoed_tokens.behind_tokens, tokens))

    def _echo(self, endpoint: Endpoint, text: str, wanted: Callable[[Echo], T]) -> T:
        """What is ``wanted`` of a text as the server reads it."""
        completion = self._body(text, Sampling(max_new_tokens=1), 0)
        path, body = echoed_tokens.request(self.server, completion)
        read = echoed_tokens.reader(self.server)
        return endpoint.ask(path, body, lambda answer: wanted(read(answer)), echoed_tokens.WANTED)

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
    return _text(answer["choices"][0]["text"])


def _of_chat(answer: Any) -> str:
    return _text(answer["choices"][0]["message"]["content"])


def _text(answer: object) -> str:
    if not isinstance(answer, str):
        raise TypeError
    return answer.encode(errors="replace").decode()  # half a surrogate pair could not be kept


def _are_numbers(kept: object) -> bool:
    """True where a line holds the log-probabilities of a text."""
    return isinstance(kept, list) and all(type(number) is float and -math.inf < number <= 0 for number in kept)


def _are_texts(kept: object) -> bool:
    """True where a line holds the tokens of a prompt."""
    return isinstance(kept, list) and all(isinstance(token, str) for token in kept)


def _likelihoods(found: Sequence[Sequence[float]]) -> Likelihoods:
    """The likelihoods of texts, from the log-probabilities of the tokens of each."""
    each = [np.array(one, np.float32) for one in found]
    n = len(each)
    return Likelihoods(
        total=np.array([one.sum(dtype=np.float64) for one in each], np.float64),
        token=np.concatenate([np.empty(0, np.float32), *each]),
        offsets=offsets_of([len(one) for one in each]),
        before=np.full(n, np.nan),
        after=np.full(n, np.nan),
        ended=np.zeros(n, np.bool_),
        tokenised=np.ones(n, np.bool_),
    )
