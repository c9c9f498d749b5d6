"""The answer to one request for rewards: its JSON in, OpenRLHF's answer out.  Of HTTP it knows the statuses alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from fairl_bench import textfiles
from fairl_bench.errors import FairlError
from fairl_bench.reward.function import RecoveredReward

MOST_TEXTS = 8192
MOST_OUTSIDE = 1_000_000  # characters of JSON outside of its texts: 32 MiB of "[]," would take a gigabyte
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)', re.DOTALL)  # possessive: linear, whatever stands there
_HALF = re.compile("[\ud800-\udfff]")


class Answer(TypedDict):
    """What OpenRLHF reads; ``scores`` are the rewards again."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, float]


class Refused(Exception):
    """A request that is not answered: the HTTP status, the reason, and after how many seconds to ask again."""

    def __init__(self, status: int, reason: str, again: int | None = None) -> None:
        self.status, self.reason, self.again = status, reason, again
        super().__init__(reason)


def answer_body(reward: RecoveredReward, body: bytes, strip: Sequence[str] = ()) -> Answer:
    """The answer to the body of a request.  Raises `Refused` for any error, a plugin's too: the server goes on."""
    try:
        return answer(reward, parsed(body), strip)
    except Refused:
        raise
    except FairlError as error:
        raise Refused(500, str(error)) from error
    except BaseException as error:  # SystemExit too
        raise Refused(500, f"{type(error).__name__}: {error!s:.500}") from error


def parsed(body: bytes) -> object:
    """The JSON of a body.  Raises `Refused` where it is no JSON, or would take far more memory than its text."""
    _look_through(body)
    try:
        return textfiles.parsed(body)
    except ValueError as error:
        raise Refused(400, f"the body is no JSON: {error}") from error


def _look_through(body: bytes) -> None:
    """Refuse a body with more values than any request needs, before an object is made of each."""
    outside = end = 0
    for text in _STRING.finditer(body):
        outside += 1 + text.start() - end
        end = text.end()
        if outside > MOST_OUTSIDE:
            break
    if outside + len(body) - end > MOST_OUTSIDE:
        raise Refused(413, f"the body holds over {MOST_OUTSIDE} characters outside of its texts; send less at once")


def answer(reward: RecoveredReward, request: object, strip: Sequence[str] = ()) -> Answer:
    """The answer to the JSON of a request.  Raises `Refused` where a field is missing or is something else."""
    if not isinstance(request, dict):
        raise Refused(400, f"the body needs an object with 'query', got {_short(request)}")
    queries, prompts = _texts(request, "query"), None if request.get("prompts") is None else _texts(request, "prompts")
    if prompts is None and reward.reads_prompts:
        raise Refused(422, f"reward {reward.name!r} reads prompts too; send 'prompts'")
    if prompts is not None and len(prompts) != len(queries):
        raise Refused(422, f"'prompts' needs one for each query, got {len(prompts)} for {len(queries)}")
    texts = queries
    if prompts is not None:
        texts = [_completion(i, *both, strip) for i, both in enumerate(zip(queries, prompts, strict=True))]
    rewards = reward([_bare(text, strip) for text in texts], prompts)
    return {"rewards": rewards, "scores": rewards, "extra_logs": {}}


def _texts(request: Mapping[str, object], name: str) -> list[str]:
    value = request.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise Refused(422, f"{name!r} needs a list of texts, got {_short(value)}")
    if len(texts) > MOST_TEXTS:
        raise Refused(413, f"{name!r} holds {len(texts)} texts; send at most {MOST_TEXTS} at once")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise Refused(422, f"{name}[{i}] needs a text, got {_short(text)}")
        if half := _HALF.search(text):
            at = f"{half.group()!r} at character {half.start() + 1}"
            raise Refused(422, f"{name}[{i}] holds half a surrogate pair, {at}, which is no text; mend it")
    return texts


def _short(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.60}"


def _completion(i: int, query: str, prompt: str, strip: Sequence[str]) -> str:
    """The part of a query after its prompt, before which special tokens may stand.  Raises `Refused` without one."""
    for start in (query, _bare(query, strip)):
        if start.startswith(prompt):
            return start.removeprefix(prompt)
    _, there, completion = query.partition(prompt)
    if not there:
        raise Refused(
            422, f"query[{i}] does not hold prompts[{i}], {prompt[:60]!r}; send the prompt as it stands there"
        )
    return completion


def _bare(text: str, strip: Sequence[str]) -> str:
    """A text without these and space at its ends, however often, in time that grows as the text does.

    >>> _bare(" <s><s> a <s> b</s> <s>", ["<s>", "</s>"])
    'a <s> b'
    """
    start = _run(strip).match(text)
    kept = text[start.end() if start else 0 :]
    end = _run([token[::-1] for token in strip]).match(kept[::-1])
    return kept[: len(kept) - (end.end() if end else 0)]


def _run(tokens: Sequence[str]) -> re.Pattern[str]:
    """A pattern of any number of these tokens and of space; `re` keeps what it has compiled."""
    return re.compile("|".join([r"\s", *(re.escape(token) for token in tokens if token)]).join(("(?:", ")*+")))
