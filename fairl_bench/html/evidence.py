"""The section of the page that shows what findings rest on: texts, token by token, and words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from fairl_bench.html.section import OurSection
from fairl_bench.html.token_texts import EVALUATOR, token_texts
from fairl_bench.material import Material, Picture
from fairl_bench.values.contents import FDR, REST, TOKEN, TOKEN_RATIO, WORD
from fairl_bench.values.records import Record
from fairl_bench.views import Panel

SHOWN: Final = 20  # words of each side, and tokens of each end


class Entry(NamedTuple):
    """One word or token, and its numbers as they are shown."""

    name: str
    number: str
    beside: str


class Words(NamedTuple):
    """The words and tokens of one model and data set."""

    title: str
    preferred: Sequence[Entry]
    rejected: Sequence[Entry]
    expert: Sequence[Entry]  # tokens that the aligned model finds likelier
    base: Sequence[Entry]


class Evidence(Panel):
    """Texts of the highest and lowest rewards, pairs in which two models part most, and words of each side."""

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> OurSection | None:
        """The section, where a suite asks what its rewards are about; what may be hostile is hidden in it."""
        records = [record for record in material.records if _is_of_contents(record)]
        data = list(dict.fromkeys([*(record.data for record in records), *_data_of(material)]))
        views = token_texts(material, data)
        words = _words(records)
        if not views and not words:
            return None
        values = {
            "texts": sum(len(view["text"]) for view in views),
            "left": sum(view["left"] for view in views),
            "pairs": any(view["pairs"] for view in views),
            "tokens": any(told for view in views for told in view["tokens"]),
            "words": words,
        }
        of_script = {"evidence": {"views": views, "method": _first(material)}} if views else {}
        return OurSection("Evidence", anchor="evidence", template="evidence", values=values, data=of_script)


def _first(material: Material) -> str:
    """The method whose reward is looked at first: that of the findings, else of both models, else a recovered one."""
    methods = dict.fromkeys(row.method for row in material.rows)
    by_models = [method for method in methods if material.given(method) == "both models"]
    recovered = [method for method in methods if method not in material.references]
    return next(iter([*(one.method for one in material.findings), *by_models, *recovered]), "")


def _is_of_contents(record: Record) -> bool:
    """True for a number of what a reward is about, or of a word or a token."""
    return record.metric == REST or record.truth.startswith((WORD, TOKEN))


def _data_of(material: Material) -> Iterable[str]:
    """The data of which texts were kept."""
    return (name for one in material.evidence(EVALUATOR) for name in one.rows["data"].to_pylist())


def _words(records: Iterable[Record]) -> list[Words]:
    """The words and tokens of each model and data set, of its first replicate that has any."""
    numbers: dict[tuple[str, str, int], dict[str, dict[str, float]]] = {}
    for record in records:
        if record.truth and record.metric != REST:
            place = record.model, record.data, record.replicate
            numbers.setdefault(place, {}).setdefault(record.truth, {})[record.metric] = record.value
    first: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for (model, data, _), of_place in sorted(numbers.items(), key=lambda item: item[0][2]):
        first.setdefault((model, data), of_place)
    found = [_of_place(f"{model}, {data}", of_place) for (model, data), of_place in first.items()]
    return [words for words in found if any(words[1:])]


def _of_place(title: str, numbers: Mapping[str, Mapping[str, float]]) -> Words:
    """The words that are told apart, the surest first, and the tokens with the highest and the lowest means."""
    words = {truth: one for truth, one in numbers.items() if one.get("word_q", 1.0) <= FDR}
    tokens = {truth: one for truth, one in numbers.items() if TOKEN_RATIO in one}
    sides, ends = [], []
    for sign in (1, -1):
        of_side = [truth for truth, one in words.items() if sign * one["word_z"] > 0]
        surest = sorted(of_side, key=lambda truth: (-abs(words[truth]["word_z"]), truth))[:SHOWN]
        sides.append([_word(truth, words[truth]) for truth in surest])
        of_end = [truth for truth, one in tokens.items() if sign * one[TOKEN_RATIO] > 0]
        most = sorted(of_end, key=lambda truth: (-abs(tokens[truth][TOKEN_RATIO]), truth))[:SHOWN]
        ends.append([_token(truth, tokens[truth]) for truth in most])
    return Words(title, *sides, *ends)


def _word(truth: str, numbers: Mapping[str, float]) -> Entry:
    texts = f"{numbers['word_preferred']:.0f} : {numbers['word_rejected']:.0f}"
    return Entry(truth.removeprefix(WORD), _signed(numbers["word_z"], 1), texts)


def _token(truth: str, numbers: Mapping[str, float]) -> Entry:
    mean, error = numbers[TOKEN_RATIO], numbers[f"{TOKEN_RATIO}_error"]
    return Entry(truth.removeprefix(TOKEN), f"{_signed(mean)} ± {error:.2f}", f"{numbers['token_places']:.0f}")


def _signed(number: float, digits: int = 2) -> str:
    """A number with its sign.

    >>> _signed(0.2), _signed(-1.005, 1)
    ('+0.20', '−1.0')
    """
    return f"{number:+.{digits}f}".replace("-", "−")
