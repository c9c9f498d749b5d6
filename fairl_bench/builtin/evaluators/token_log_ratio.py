"""What two language models say of each token: which ones the aligned one prefers, and where in a text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairl_bench.builtin.shared.two_models import comparable
from fairl_bench.component import Settings
from fairl_bench.kinds.evaluator import Evaluator, Recovered
from fairl_bench.kinds.lm import LM, AskLikelihoods
from fairl_bench.metrics import Metric
from fairl_bench.science.token_ratio import Pieces, median_rows, shared_pieces, token_means
from fairl_bench.values.contents import (
    END_OF_TEXT,
    HIGHEST,
    LOWEST,
    MIDDLE,
    PARTS_MOST,
    PIECE_COLUMNS,
    PIECES,
    TEXT_COLUMNS,
    TOKEN,
    TOKEN_RATIO,
    written_token,
)
from fairl_bench.values.data import Examples, Floats, Rows, Scored
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.number_format import NUMBERS, NumberFormat
from fairl_bench.values.records import Evidence, Measure

_LONGEST = 60  # letters of a token on record
_UNTOLD = "a language model does not tell which letters its tokens are"
_WHOLE = "a language model says of whole texts how likely they are, and not of each token"
_SIDES = {1: "preferred", -1: "rejected", 0: ""}


class TokenLogRatio(Evaluator):
    """The log-ratio of an aligned language model and its base by token, and the texts in which they part most.

    A token's log-ratio is ``log p_expert - log p_base`` of it behind what stands before it, in nats; those of a text
    sum to its log-ratio.  Where the two models have different tokens, a piece ends where a token of both does.
    ``token_log_ratio`` is the mean over all places of a token, its error clustered by prompt.  The likelihoods are
    those of the method `log-ratio` with the same settings, and are not read twice.
    """

    reads_reward: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("tokens_compared"),
        Metric(TOKEN_RATIO),
        Metric(f"{TOKEN_RATIO}_error"),
        Metric("token_places"),
    )

    base: LM | None = Field(None, description="the language model before the alignment; none: the source's base")
    expert: LM | None = Field(None, description="the aligned language model; none: the source's expert")
    tokens: Literal["drawn", "text"] = Field("drawn", description="as of 'log-ratio'")
    batch: int = Field(64, ge=1, description="texts in a forward pass; another number moves the last bits")
    dtype: NumberFormat = Field("float32", description=NUMBERS)
    shards: int = Field(1, ge=1, le=4096, description="stages in which a model reads the texts side by side")
    least: int = Field(10, ge=2, description="places that a token has to be on record")
    most: int = Field(40, ge=1, description="tokens on record of the highest means, and as many of the lowest")
    pairs: int = Field(60, ge=0, le=500, description="pairs kept as evidence: those in which the models part most")
    middle: int = Field(20, ge=0, le=500, description="further pairs: those in which they part as in half of all")
    texts: int = Field(30, ge=0, le=500, description="texts kept of the highest log-ratio, and as many of the lowest")

    def of(self, cell: Recovered) -> Self:
        """Return the evaluator with the source's models.  Raises `DataError` where neither names one."""
        if self.base is not None and self.expert is not None:
            return self
        origin = cell.source.models_for(self)
        return self.model_copy(update={"base": self.base or origin.base, "expert": self.expert or origin.expert})

    def upstream(self) -> Mapping[str, Settings]:
        """Return the requests for the likelihoods by both models; nothing before `of` was called."""
        settings = {name: getattr(self, name) for name in ("tokens", "batch", "dtype", "shards")}
        models = {"base": self.base, "expert": self.expert}
        return {role: AskLikelihoods(lm=lm, **settings) for role, lm in models.items() if lm is not None}

    def measured(self) -> frozenset[str]:
        """Return no truth, that of the number of tokens; which tokens there are is known only from the texts."""
        return frozenset({""})

    def evaluate(self, scored: Mapping[str, Scored], **upstream: Any) -> Iterator[Measure | Evidence]:
        """Return how many tokens were compared, three numbers of each token on record, and the texts to look at.

        n of the first is the number of texts, n of the others that of the prompts that have the token.
        """
        texts: list[tuple[Any, ...]] = []
        tokens: list[tuple[Any, ...]] = []
        for data in self.data:
            examples = scored[data].examples
            both = comparable(upstream["base"][data], upstream["expert"][data], f"evaluator {self.use!r}")
            ratio = both[1].total - both[0].total
            chosen = self._chosen(examples, ratio)
            texts += [(data, *row) for row in _described(examples, ratio, chosen)]
            why = _WHOLE if any(one.whole is not None for one in both) else _UNTOLD
            read = _read(*both, examples.text)
            if read is None:
                yield Measure(data, "", "tokens_compared", math.nan, len(examples), why)
                continue
            yield Measure(data, "", "tokens_compared", float(sum(len(one.end) for one in read)), len(examples))
            yield from self._of_tokens(data, examples, read)
            for row in sorted({row for _, row in chosen}):
                tokens += [(data, row, *piece) for piece in zip(*(one.tolist() for one in read[row]), strict=True)]
        yield _evidence(TEXT_COLUMNS, texts)
        yield _evidence(PIECE_COLUMNS, tokens, PIECES)

    def _of_tokens(self, data: str, examples: Examples, read: Sequence[Pieces]) -> Iterator[Measure]:
        """Return the numbers of the tokens with the highest and the lowest means."""
        names: dict[str, int] = {}
        code = [
            names.setdefault(written_token(text[begin:end]) if end > begin else END_OF_TEXT, len(names))
            for text, one in zip(examples.text, read, strict=True)
            for begin, end in zip(one.begin.tolist(), one.end.tolist(), strict=True)
        ]
        ratio = np.concatenate([np.empty(0), *(one.ratio for one in read)])
        cluster = np.repeat(examples.clusters(), [len(one.end) for one in read])
        means, spelled = token_means(ratio, np.array(code, np.int64), cluster), list(names)
        short = np.array([len(name) <= _LONGEST for name in spelled], np.bool_)
        often = np.flatnonzero(short & (means.places >= self.least) & (means.clusters > 1))
        order = often[np.argsort(-means.mean[often], kind="stable")].tolist()
        for at in dict.fromkeys([*order[: self.most], *order[max(len(order) - self.most, 0) :]]):
            numbers = {"": means.mean[at], "_error": means.error[at]}
            for end, value in numbers.items():
                yield Measure(data, TOKEN + spelled[at], TOKEN_RATIO + end, float(value), int(means.clusters[at]))
            places = float(means.places[at])
            yield Measure(data, TOKEN + spelled[at], "token_places", places, int(means.clusters[at]))

    def _chosen(self, examples: Examples, ratio: Floats) -> list[tuple[str, int]]:
        """Return why and which texts are most worth looking at; the two of a pair stand after one another."""
        up, down = _sides(examples)
        margin = np.abs(ratio[up] - ratio[down])
        pairs = [(PARTS_MOST, pair) for pair in np.argsort(-margin, kind="stable")[: self.pairs].tolist()]
        pairs += [(MIDDLE, pair) for pair in median_rows(margin, self.middle).tolist()]
        order = np.argsort(-ratio, kind="stable").tolist()
        few = min(self.texts, len(order) // 2)
        return [
            *((why, int(side[pair])) for why, pair in pairs for side in (up, down)),
            *((HIGHEST, row) for row in order[:few]),
            *((LOWEST, row) for row in order[: len(order) - few - 1 : -1]),
        ]


class _Told(NamedTuple):
    """What a model says of the tokens of all texts."""

    token: Floats  # [tokens]
    spelled: Rows  # [tokens]
    offsets: Rows  # [n + 1]

    def of(self, i: int, ended: bool) -> tuple[Floats, Rows, Floats]:
        """Of one text its tokens, where they end, and, where that is counted, its end."""
        begin, end = self.offsets[i], self.offsets[i + 1] - ended
        return self.token[begin:end], self.spelled[begin:end], self.token[end : self.offsets[i + 1]]


def _read(base: Likelihoods, expert: Likelihoods, texts: Sequence[str]) -> list[Pieces] | None:
    """What both models say of the pieces of each text; None where one does not tell of its tokens or their letters."""
    if base.spelled is None or expert.spelled is None or base.whole is not None or expert.whole is not None:
        return None
    of_base, of_expert = _told(base, base.spelled), _told(expert, expert.spelled)
    return [_of_text(of_base, of_expert, i, len(text), ended=bool(base.ended[i])) for i, text in enumerate(texts)]


def _told(likelihoods: Likelihoods, spelled: NDArray[np.int32]) -> _Told:
    return _Told(likelihoods.token.astype(np.float64), spelled.astype(np.int64), likelihoods.offsets)


def _of_text(base: _Told, expert: _Told, i: int, length: int, *, ended: bool) -> Pieces:
    """What both models say of the pieces of one text; its end, where it is counted, is the last piece and empty."""
    base_tokens, base_spelled, base_end = base.of(i, ended)
    tokens, spelled, end = expert.of(i, ended)
    place = np.full(int(ended), length)
    found = shared_pieces(base_tokens, base_spelled, tokens, spelled)
    return Pieces(*(np.concatenate(both) for both in zip(found, (place, place, base_end, end), strict=True)))


def _sides(examples: Examples) -> tuple[Rows, Rows]:
    """The rows of the preferred and of the rejected text of each whole pair, in the pairs' order."""
    by_side = [np.flatnonzero(examples.role == side) for side in (1, -1)]
    rows = [dict(zip(examples.pair[side].tolist(), side.tolist(), strict=True)) for side in by_side]
    both = sorted(rows[0].keys() & rows[1].keys())
    up, down = (np.array([side[pair] for pair in both], np.int64) for side in rows)
    return up, down


def _described(examples: Examples, ratio: Floats, chosen: Sequence[tuple[str, int]]) -> Iterator[tuple[Any, ...]]:
    """The rows of chosen texts, with the margin of their pair: preferred less rejected, NaN outside pairs."""
    up, down = _sides(examples)
    margin = np.full(len(ratio), math.nan)
    margin[up] = margin[down] = ratio[up] - ratio[down]
    for why, row in chosen:
        of_pair = (float(margin[row]), int(examples.pair[row]), _SIDES[int(examples.role[row])])
        yield row, why, float(ratio[row]), *of_pair, examples.prompt[row], examples.text[row]


def _evidence(names: Sequence[str], rows: Sequence[tuple[Any, ...]], name: str = "") -> Evidence:
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return Evidence(dict(zip(names, map(list, columns), strict=True)), name)
