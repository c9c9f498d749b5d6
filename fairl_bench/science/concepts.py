"""What a reward is about: shares, slopes and marginal differences of concepts, from values of texts alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.choices import told_beside
from fairl_bench.science.detectable import NAMED_FROM, detectable_share
from fairl_bench.science.shares import (
    MOST,
    Halves,
    Shares,
    centred_within,
    grouped,
    halved,
    percentiles,
    resampled,
    shares,
    slopes,
    within_prompts,
)

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
ALONG: Final = 0.5
"""The rank correlation within prompts, in size, from which a concept is said to go along with a named one."""
LEAST_PROMPTS: Final = 30
"""The prompts, or clusters of them, with at least two texts that bounds by resampling need to hold."""
RESTS_ON: Final = 5
"""The prompts that what differs of a concept must rest on (`Moments.rests_on`), so that its share means something."""
Verdict = Literal["named", "ruled out", "cannot tell"]


class Interval(NamedTuple):
    """A number and its interval; all NaN where it is not known."""

    value: float
    low: float = math.nan
    high: float = math.nan


UNKNOWN: Final = Interval(math.nan)
_NONE: Final[Mapping[str, float]] = MappingProxyType({})


class Explained(NamedTuple):
    """What is known of one concept; ``why`` says what is not known and why.

    What it explains is of the reward's variance within prompts, and with all concepts of its ``group``: those that its
    values cannot be held apart from, and itself.
    """

    group: tuple[str, ...]
    share: Interval = UNKNOWN  # what it adds, over all orders of entry; its 95 % bounds hold for all concepts at once
    slope: Interval = UNKNOWN  # reward units a standard deviation of the concept, beside all others
    auc: Interval = UNKNOWN  # how often the preferred text of a pair has more of it; ties count half
    alone: Interval = UNKNOWN  # what it explains as the only one
    beside: Interval = UNKNOWN  # what it adds as the last one
    detectable: float = math.nan  # the share with which it would have been named four times in five
    choice: Interval = UNKNOWN  # what it adds as the last one to telling preferred texts, of what all concepts tell
    why: str = ""
    leans: bool = False  # its share is that of a named concept, but it adds nothing to the others
    along: Mapping[str, float] = _NONE  # the named concepts that it goes along with, each with the correlation

    @property
    def verdict(self) -> Verdict | None:
        """Whether it is named or ruled out; None where its share is not known."""
        if math.isnan(self.share.value):
            return None
        return "cannot tell" if self.leans else verdict(self.share)


class Attribution(NamedTuple):
    """What a reward is about."""

    concepts: Mapping[str, Explained]
    unexplained: Interval  # share of the reward's variance within prompts
    correlation: Floats  # [k, k] rank correlation of the concepts within prompts; NaN for a constant one
    prompts: int  # with at least two texts

    @property
    def detectable(self) -> float:
        """The share with which half of those that entered would have been named four times in five; NaN without any."""
        known = [one.detectable for one in self.concepts.values() if not math.isnan(one.detectable)]
        return float(np.median(known)) if known else math.nan


def verdict(share: Interval) -> Verdict:
    """Whether a concept is named, ruled out, or neither, by its share alone; see `leaning`.

    >>> [verdict(Interval(0.2, *ends)) for ends in ((0.06, 0.3), (-0.1, 0.04), (0.01, 0.3))]
    ['named', 'ruled out', 'cannot tell']
    """
    if share.low >= NAMED_FROM:
        return "named"
    return "ruled out" if share.high < NAMED_FROM else "cannot tell"


def leaning(concepts: Mapping[str, tuple[Interval, Interval]]) -> set[str]:
    """The concepts that have the share of a named one, but are not shown to add anything to all others.

    Given by name are its share and what it adds.  A share divides what concepts explain together among
    them, so that one which adds nothing has a part of it as well.  Where no concept adds anything to the others, they
    cannot be told apart, and all stay named.

    >>> much, adds, nothing = Interval(0.3, 0.2, 0.4), Interval(0.1, 0.08, 0.12), Interval(0.0, -0.001, 0.001)
    >>> leaning({"length": (much, adds), "politeness": (much, nothing)}), leaning({"a": (much, nothing)})
    ({'politeness'}, set())
    """
    named = [name for name, (share, _) in concepts.items() if verdict(share) == "named"]
    leans = {name for name in named if concepts[name][1].low <= 0}
    return leans if len(leans) < len(named) else set()


def attribution(
    reward: Floats,
    concepts: Mapping[str, Floats],
    prompt: Rows,
    role: NDArray[np.int8],
    rng: np.random.Generator,
    *,
    together: float = 0.8,
    resamples: int = 1000,
    cluster: Rows | None = None,
) -> Attribution:
    """What explains a reward ``[n]``: each of the ``concepts`` ``[n]``, on the texts of the same ``prompt [n]``.

    ``role [n]`` is +1 for the preferred text of a pair, -1 for the rejected one and 0 outside pairs.  A concept is
    measured in standard deviations over the rejected texts, which are the base's; over all where there are none,
    or these do not differ.
    Concepts whose correlation within prompts is over ``together`` in size share one share, and of more than 12 such
    groups those enter that go most along with the reward.  A concept that rests on fewer than `RESTS_ON` prompts does
    not enter.  Intervals are of 95 %, by resampling prompts, or whole clusters of them: ``cluster [n]``, codes from 0.
    Raises `Undefined` where the reward does not vary within prompts, or there are too few of them.
    """
    names = list(concepts)
    table = np.stack([concepts[name] for name in names], 1) if names else np.empty((len(reward), 0))
    table = table / _scale(table, role)
    cluster = prompt if cluster is None else cluster
    moments = within_prompts(reward, table, prompt, cluster)
    told = int(np.count_nonzero(moments.texts))
    if told < LEAST_PROMPTS:
        raise Undefined(f"shares of concepts need {LEAST_PROMPTS} prompts with at least two texts, got {told}")
    draws = resampled(np.flatnonzero(moments.texts), len(moments.texts), rng, resamples)
    rests_on = moments.rests_on()[:-1]
    entered, left_out = _entering(_correlation(moments.products.sum(0)), rests_on >= RESTS_ON, together)
    columns = [column for group in entered for column in group]
    halves = halved(moments.of(columns), draws, rng)
    groups = [[columns.index(column) for column in group] for group in entered]
    found = shares(halves, groups)
    known = dict(zip(columns, _of_columns(names, entered, halves, found), strict=True))
    explained = {
        name: known.get(column, Explained((name,), why=_why(float(rests_on[column]), column in left_out)))._replace(
            auc=_auc(table[:, column], prompt, cluster, role, draws)
        )
        for column, name in enumerate(names)
    }
    ranks = _rank_correlation(table, prompt)
    leans = leaning({name: (one.share, one.beside) for name, one in explained.items()})
    choice = _choice(table[:, columns], prompt, cluster, role, draws, groups, rng)
    of_group = {names[column]: one for group, one in zip(entered, choice, strict=True) for column in group}
    explained = {
        name: one._replace(leans=name in leans, choice=of_group.get(name, UNKNOWN)) for name, one in explained.items()
    }
    explained = {name: one._replace(along=_along(name, explained, ranks)) for name, one in explained.items()}
    rest = Interval(*percentiles(found.unexplained).tolist())
    return Attribution(explained, rest, ranks, int((np.bincount(prompt) > 1).sum()))


def _scale(table: Floats, role: NDArray[np.int8]) -> Floats:
    """The standard deviation of each concept over the rejected texts ``[k]``; over all where that is 0, else 1."""
    scale = table.std(0)
    if (role < 0).any():
        of_base = table[role < 0].std(0)
        scale = np.where(of_base > 0, of_base, scale)
    return np.where(scale > 0, scale, 1)


def _of_columns(
    names: Sequence[str], entered: Sequence[Sequence[int]], halves: Halves, found: Shares
) -> Iterator[Explained]:
    """What is known of each concept that entered, group by group."""
    bounds, reach = found.simultaneous(), found.reach()
    alone, beside = percentiles(found.alone), percentiles(found.beside)
    slope = percentiles(slopes(halves.whole, range(halves.whole.shape[-1] - 1)))
    column = 0
    for at, group in enumerate(entered):
        for _ in group:
            yield Explained(
                tuple(names[i] for i in group),
                Interval(float(found.explained[0, at]), *bounds[:, at].tolist()),
                Interval(*slope[:, column].tolist()),
                alone=Interval(*alone[:, at].tolist()),
                beside=Interval(*beside[:, at].tolist()),
                detectable=detectable_share(halves, column, reach),
            )
            column += 1


def _why(rests_on: float, left_out: bool) -> str:
    """Why a concept did not enter."""
    if rests_on == 0:
        return "it is the same in all texts of each prompt"
    if left_out:
        return f"only the {MOST} groups of concepts entered that go most along with the reward"
    known = math.floor(10 * rests_on + 1e-6) / 10  # 4.96 is not yet 5
    return f"what differs of it within prompts rests on {known} prompts, and {RESTS_ON} are needed"


def _auc(concept: Floats, prompt: Rows, cluster: Rows, role: NDArray[np.int8], draws: Floats) -> Interval:
    """How often the preferred side of a prompt has more of a concept than the rejected one; ties count half."""
    n = draws.shape[1]
    ahead, pairs = np.zeros(n), np.zeros(n)
    preferred, rejected = _pairs(prompt, role)
    gap = concept[preferred] - concept[rejected]
    np.add.at(ahead, cluster[preferred], (gap > 0) + (gap == 0) / 2)
    np.add.at(pairs, cluster[preferred], 1.0)
    total = draws @ pairs
    if not total[0]:
        return UNKNOWN
    with np.errstate(invalid="ignore", divide="ignore"):
        means = draws @ ahead / total
    low, high = np.nanquantile(means[1:], [0.025, 0.975])
    return Interval(float(means[0]), float(low), float(high))


def _pairs(prompt: Rows, role: NDArray[np.int8]) -> tuple[Rows, Rows]:
    """The rows of the preferred and of the rejected text of each pair; none where they do not match."""
    sides = [np.flatnonzero(role == which) for which in (1, -1)]
    preferred, rejected = (rows[np.argsort(prompt[rows], kind="stable")] for rows in sides)
    if len(preferred) == len(rejected) and (prompt[preferred] == prompt[rejected]).all():
        return preferred, rejected
    return preferred[:0], rejected[:0]


def _choice(
    table: Floats,
    prompt: Rows,
    cluster: Rows,
    role: NDArray[np.int8],
    draws: Floats,
    groups: Sequence[Sequence[int]],
    rng: np.random.Generator,
) -> list[Interval]:
    """What each group of concepts adds to all others in telling preferred texts, of what all tell."""
    preferred, rejected = _pairs(prompt, role)
    gaps = table[preferred] - table[rejected]
    found = told_beside(gaps, cluster[preferred], draws, groups, rng) if groups else None
    if found is None:
        return [UNKNOWN] * len(groups)
    low, high = np.nanquantile(found[1:], [0.025, 0.975], axis=0).tolist()
    return [Interval(*ends) for ends in zip(found[0].tolist(), low, high, strict=True)]


def _correlation(products: Floats) -> Floats:
    """The correlation of columns, of their sums of products ``[k, k]``; NaN of a constant one."""
    square = np.diag(products)
    norm = np.sqrt(np.where(square > 0, square, np.nan))
    found: Floats = products / (norm[:, None] * norm)
    return found


def _rank_correlation(table: Floats, prompt: Rows) -> Floats:
    """Spearman's correlation of the columns of a table less their means of each prompt ``[k, k]``.

    Of pairs it is that of the signed ranks of their differences.
    """
    from scipy.stats import rankdata

    several = np.bincount(prompt)[prompt] > 1
    centred = centred_within(table, prompt)[several].round(9)  # what is equal but for rounding is a tie
    ranks = rankdata(centred, axis=0) - (several.sum() + 1) / 2
    return _correlation(ranks.T @ ranks)


def _entering(correlation: Floats, known: NDArray[np.bool_], together: float) -> tuple[list[list[int]], set[int]]:
    """The groups of concepts that enter, in the concepts' order, and the concepts of those that do not.

    The last column of ``correlation [k + 1, k + 1]`` is the reward.
    """
    kept = np.flatnonzero(known)
    groups = [kept[group].tolist() for group in grouped(correlation[np.ix_(kept, kept)], together)]
    first = sorted(groups, key=lambda group: (-np.abs(correlation[group, -1]).max(), group))
    return sorted(first[:MOST]), {column for group in first[MOST:] for column in group}


def _along(name: str, explained: Mapping[str, Explained], correlation: Floats) -> Mapping[str, float]:
    """The named concepts that a concept goes along with, if its share is great enough or its two sides differ."""
    one = explained[name]
    if one.verdict is None or not (one.verdict == "named" or one.leans or sign_of(one.auc)):
        return {}
    of_others = zip(explained, correlation[list(explained).index(name)].tolist(), strict=True)
    return {
        other: rho
        for other, rho in of_others
        if abs(rho) >= ALONG and other not in one.group and explained[other].verdict == "named"
    }


def turns(one: Explained) -> bool:
    """True for a named concept whose slope beside the others points the other way than its difference by itself."""
    steep = (one.slope.low > 0) - (one.slope.high < 0)
    return one.verdict == "named" and sign_of(one.auc) * steep < 0


def sign_of(auc: Interval) -> int:
    """+1 where the preferred texts have more of a concept, -1 where they have less, 0 where that is not shown.

    >>> [sign_of(Interval(0.6, low, high)) for low, high in ((0.55, 0.65), (0.2, 0.4), (0.4, 0.7))]
    [1, -1, 0]
    """
    return (auc.low > 0.5) - (auc.high < 0.5)


def told_prompts(prompts: Sequence[str], pair: Rows) -> Rows:
    """An integer for each prompt ``[n]``; texts of a pair without a prompt belong together, any other stands alone.

    Raises `Undefined` where no two texts belong together.
    """
    names = [
        prompt or (f"\0pair {number}" if number >= 0 else f"\0text {i}")
        for i, (prompt, number) in enumerate(zip(prompts, pair.tolist(), strict=True))
    ]
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    if len(set(names)) == len(names):
        raise Undefined("no two of the texts answer one prompt, so that nothing varies within prompts")
    return codes
