"""How likely a server finds a given text: what each kind of server is asked, and how its answer is read.

`openai` stands for every server that repeats a text (``echo``) with the log-probabilities of its tokens: vLLM, SGLang,
OpenAI's own babbage-002 and davinci-002.  `vllm` is asked for the numbers of the tokens, and `tgi` in its own way; both
are then read without a guess.  `llama.cpp` and `transformers` tell nothing of a text that they have not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise, takewhile
from typing import Any, Final, NamedTuple

from fairl_bench.builtin.shared.openai_endpoint import Unusable, Wanted

_ADVICE: Final = (
    "serve the model with vLLM ('server: vllm'), TGI ('server: tgi') or another server that answers 'echo' with "
    "'logprobs', or leave out the method that asks"
)
WANTED: Final = Wanted("log-probabilities of a text", f"if it repeats no text with them, {_ADVICE}")
PROBES: Final = ("a", "b")
"""Two texts whose tokens have nothing in common but what a server puts before every text."""
_ROUNDING = 1e-4  # of a log-probability that is 0


class Echo(NamedTuple):
    """A text as a server reads it: its tokens, and how likely it finds each one behind those before it."""

    tokens: list[str]  # as they are spelled, or their numbers
    log_probability: list[float | None]
    begins: list[int]  # in characters, as the server says; empty where it does not


def refusal(server: str, api: str, temperature: float, values: bool = False) -> str:
    """Why this kind of server cannot tell how likely a text is; empty where it may."""
    if api == "chat":
        return (
            "a chat ('api: chat') tells nothing of an answer that the server has not drawn; write the chat's template "
            "into the prompts and use 'api: completions', or leave out the method that asks"
        )
    if server in ("llama.cpp", "transformers"):
        return f"server {server!r} tells nothing of a text that it has not drawn; {_ADVICE}"
    if values:
        return (
            "a server tells probabilities, and not the logits that the values of its states are made of; name a model "
            "that is read on this machine, or leave out the method that asks"
        )
    if temperature != 1:
        return f"a server tells log-probabilities at temperature 1 alone, and {temperature:g} is asked for; ask for 1"
    return ""


def numbered(server: str) -> bool:
    """True where the tokens of a prompt are asked for by themselves, to find those of the text behind it."""
    return server in ("vllm", "tgi")


def base_url(server: str, url: str) -> str:
    """Where the request is sent below; TGI tells log-probabilities outside of OpenAI's protocol."""
    return url.rstrip("/").removesuffix("/v1") if server == "tgi" else url


def request(server: str, completion: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path and the request that ask for a text's tokens; ``completion`` asks for one token behind the text."""
    if server == "tgi":
        asked = {"max_new_tokens": 1, "details": True, "decoder_input_details": True}
        return "/generate", {"inputs": completion["prompt"], "parameters": asked}
    # one token is drawn and not read: some servers take 0 for as many as there is room for
    body = {**completion, "echo": True, "logprobs": 1}
    return "/completions", {**body, "return_tokens_as_token_ids": True} if server == "vllm" else body


def reader(server: str) -> Callable[[Any], Echo]:
    """What reads the answer.  It raises `Unusable`, and what `Endpoint.ask` says for an answer that makes no sense."""
    return {"tgi": _of_tgi, "vllm": _of_vllm}.get(server, _of_openai)


def _of_tgi(answer: Any) -> Echo:
    prefill = answer["details"]["prefill"]
    if not prefill:
        raise Unusable(
            "the answer holds no log-probabilities of the text", "start the server with --enable-prefill-logprobs"
        )
    tokens = [str(token["id"]) for token in prefill]
    return Echo(tokens, [_number(token["logprob"]) for token in prefill], [])


def _of_vllm(answer: Any) -> Echo:
    tokens, log_probability, _ = _of_openai(answer)
    n = answer["usage"]["prompt_tokens"]
    if len(tokens) - n not in (0, 1):  # one may have been drawn
        raise Unusable(f"the answer has {len(tokens)} tokens for a text of {n}", "look at the server")
    return Echo(tokens[:n], log_probability[:n], [])


def _of_openai(answer: Any) -> Echo:
    said = answer["choices"][0].get("logprobs")
    if not said or not said.get("tokens"):
        raise Unusable("the answer holds no log-probabilities of the text", _ADVICE)
    tokens, values, begins = said["tokens"], said["token_logprobs"], said.get("text_offset") or []
    if not all(isinstance(token, str) for token in tokens) or not all(type(begin) is int for begin in begins):
        raise TypeError
    if len(values) != len(tokens) or len(begins) not in (0, len(tokens)):
        lengths = f"{len(tokens)} tokens, {len(values)} log-probabilities and {len(begins)} offsets"
        raise Unusable(f"the answer has {lengths}", "look at the server")
    return Echo(tokens, [_number(value) for value in values], begins)


def _number(value: object) -> float | None:
    """A log-probability, or None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not math.isfinite(value) or value > _ROUNDING:
        raise Unusable(f"the answer holds the log-probability {value:g}", "look at the server, or at the model")
    return min(float(value), 0.0)


# --- which tokens are the text's


def before_every_text(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """The tokens that a server puts before every text, seen in those of two `PROBES`.

    >>> before_every_text(["<s>", "a"], ["<s>", "b"])
    ['<s>']
    """
    return list(first[: _shared(first, second)])


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """How many tokens two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(first, second, strict=False)))


def behind_tokens(prompt: Sequence[str], echo: Echo) -> list[float]:
    """The log-probabilities of a text's tokens: those behind what the whole has in common with the prompt alone.

    >>> behind_tokens(["He", "is"], Echo(["He", "is", "kind"], [None, -1.0, -2.0], []))
    [-2.0]
    """
    return _told(echo, _shared(prompt, echo.tokens), len(echo.tokens))


def behind_characters(prompt: int, whole: str, echo: Echo) -> list[float]:
    """The log-probabilities of a text's tokens: those that end behind the first ``prompt`` characters of the whole.

    So a token across the seam is the text's.  Raises `Unusable` where the tokens do not spell the whole.

    >>> behind_characters(2, "He is", Echo(["He", " is", "!"], [None, -1.0, -2.0], [0, 2, 5]))
    [-1.0]
    """
    begins = _begins(echo, whole)
    ends = [*begins[1:], len(whole)]
    text = [
        i
        for i, (begin, end) in enumerate(zip(begins, ends, strict=True))
        if 0 <= begin < len(whole) and (begin >= prompt or end > prompt)
    ]
    return _told(echo, text[0], text[-1] + 1) if text else []


def _begins(echo: Echo, whole: str) -> list[int]:
    """Where each token begins in the whole, in characters; -1 for a start token before it."""
    spelled = [0, *accumulate(map(len, echo.tokens))][:-1]
    for claimed, letters in ((echo.begins, False), (spelled, True)):
        for start in (0, 1):  # a start token is no part of the whole, and may be counted
            begins = [begin - claimed[start] for begin in claimed[start:]] if len(claimed) > start else []
            if begins and _spell(echo.tokens[start:], begins, whole, letters):
                return [-1] * start + begins
    raise Unusable(
        "the tokens of the answer do not spell the text that was asked for",
        f"name the kind of the server under 'server', or {_ADVICE}",
    )


def _spell(tokens: Sequence[str], begins: Sequence[int], whole: str, letters: bool) -> bool:
    """True where tokens that begin there spell the whole; what is behind it was drawn, and is not looked at.

    With ``letters``, each token must be of whole letters; if not, one that holds a part of a letter is passed over.
    """
    if any(later < begin for begin, later in pairwise(begins)):
        return False
    covered = 0
    for token, begin, end in zip(tokens, begins, [*begins[1:], None], strict=True):
        if begin >= len(whole):
            break
        covered = begin + len(token)
        if not token or "\ufffd" in token or token.startswith("bytes:"):
            covered = len(whole) if end is None else end
            if letters:
                return False
        elif not whole.startswith(token, begin) or end not in (None, covered):
            return False
    return covered >= len(whole)


def _told(echo: Echo, start: int, stop: int) -> list[float]:
    """The log-probabilities of these tokens.  Raises `Unusable` where one has none."""
    values = echo.log_probability[start:stop]
    if values and values[0] is None and start == 0:
        raise Unusable(
            "the first token of a text has no log-probability, for nothing stands before it",
            "give the model's start token (such as <|endoftext|>) under 'start', or give the texts prompts",
        )
    found = [value for value in values if value is not None]
    if len(found) != len(values):
        raise Unusable(f"{len(values) - len(found)} tokens of a text have no log-probability", "look at the server")
    return found
