"""Test sets: texts with a known truth to evaluate on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.file_rows import CHECKED, Row, count_rows, jsonl_rows, read_jsonl
from fairl_bench.builtin.shared.label_columns import GoldColumn, Subtypes, check_labels, refuse_twice, subtypes_of
from fairl_bench.builtin.shared.number_columns import TextGold, ValueColumn, check_numbers
from fairl_bench.component import DataFile, Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Ask, Prompts
from fairl_bench.kinds.source import TestSet
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.toy.frames import CASES, Case
from fairl_bench.toy.grammar import Hard, comments
from fairl_bench.values.data import GOLD, Examples, Labels, Rows, Truth
from fairl_bench.values.drawn_tokens import together
from fairl_bench.values.language_models import NOTHING, Completions, Sampling
from fairl_bench.values.truths import Objective


class JsonlTexts(TestSet):
    """Labelled texts from a file of JSON objects, one a line; a corpus to learn from needs no label."""

    path: DataFile = Field(description="the file, relative to the suite")
    text: str = Field("text", description="the column of the text")
    prompt: str | None = Field(None, description="the column of the prompt that the text continues")
    gold: TextGold | None = Field(
        None, description="the human label, or a number; none: a corpus, whose truth is not known"
    )
    subtypes: Subtypes = Field((), description="columns that say whether a subtype is present (0 or 1), or how")
    limit: int | None = Field(None, ge=1, description="read only the first rows")
    each: int | None = Field(
        None, ge=1, description="take only this many good texts and as many bad ones, the first of the file"
    )

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if self.each is not None and self.gold is None:
            raise PydanticCustomError("no_gold", "chooses by label: name the label under 'gold'", {"field": "each"})
        if self.each is not None and not self.labelled():
            message = "chooses by label, and 'gold' has only numbers: give it a 'label_above'"
            raise PydanticCustomError("no_gold", message, {"field": "each"})
        refuse_twice(self.subtypes)
        return self

    def check(self) -> None:
        """Read the first rows with all their columns, and the labels of more rows."""
        self._texts(read_jsonl(self.path, min(self.limit or CHECKED, CHECKED)))
        labels = self.gold if isinstance(self.gold, GoldColumn) else None
        check_labels(jsonl_rows(self.path), self.limit, labels, self.subtypes)
        if isinstance(self.gold, ValueColumn):
            check_numbers(jsonl_rows(self.path), self.limit, self.gold)

    def size(self) -> int:
        """Return the number of rows up to the limit, or twice ``each`` where it is given."""
        return count_rows(self.path, self.limit) if self.each is None else 2 * self.each

    def peek(self, n: int) -> Examples:
        """Return the first rows of the file."""
        return self._examples(read_jsonl(self.path, min(self.limit or n, n)), whole=False)

    def examples(self, rng: np.random.Generator) -> Examples:
        """Return one example a row, in the file's order.  Raises `DataError` where there are too few for ``each``."""
        examples = self._examples(read_jsonl(self.path, self.limit))
        return examples if self.each is None else examples.take(self._first(examples.truths[GOLD].label, self.each))

    def judged(self) -> bool:
        """Return whether the file has labels or numbers."""
        return self.gold is not None

    def labelled(self) -> bool:
        """Return whether the file has labels, or numbers that are made into labels."""
        return self.gold.labelled() if isinstance(self.gold, ValueColumn) else self.judged()

    def _examples(self, rows: list[Row], *, whole: bool = True) -> Examples:
        truths = dict[str, Truth]()
        if isinstance(self.gold, ValueColumn):
            truths[GOLD] = self.gold.truth(rows, whole=whole)
        elif self.gold is not None:
            truths[GOLD] = _truth(self.gold.labels(rows))
        truths |= {one.truth(): _truth(one.labels(rows)) for one in subtypes_of(self.subtypes)}
        return self._texts(rows).knowing(truths)

    def _texts(self, rows: list[Row]) -> Examples:
        prompts = tuple(row.text(self.prompt, empty=True) for row in rows) if self.prompt else ()
        return Examples(tuple(row.text(self.text) for row in rows), prompts)

    def _first(self, label: Labels, each: int) -> Rows:
        """Return the rows of the first ``each`` good texts and the first ``each`` bad ones, in the file's order."""
        both = [np.flatnonzero(label == side) for side in (1, -1)]
        if min(map(len, both)) < each:
            raise DataError(
                f"{self.path} has {len(both[0])} good texts and {len(both[1])} that are not; 'each' asks for {each}"
            )
        return np.sort(np.concatenate([rows[:each] for rows in both]))


def _truth(known: Labels) -> Truth:
    return Truth(np.where(known == 0, np.nan, known.astype(np.float64)), known)


class ToyTexts(TestSet):
    """Comments of the synthetic world; ``shift`` says how many of their words come from a second lexicon."""

    drawn: ClassVar[bool] = True

    n: int = Field(2000, ge=1, description="number of texts")
    shift: float = Field(0.5, ge=0, le=1, description="share of words from the second lexicon")
    toxic: float = Field(0.39, ge=0, le=1, description="share of toxic texts")
    hard: float = Field(0.2, ge=0, le=1, description="share of texts with a hard case: words that mislead")
    cases: tuple[Case, ...] = Field(CASES, min_length=1, description="hard cases; one named twice is twice as likely")
    chatter: float = Field(
        0.0, ge=0, le=1, description="share of the sentences beside the main one that ask, guess, apologise, praise ..."
    )
    gold: Judge | None = Field(None, description="judges every text; none: a corpus, whose truth is not known")

    def size(self) -> int:
        """Return ``n``."""
        return self.n

    def upstream(self) -> Mapping[str, Settings]:
        """Return what the judge starts from."""
        return _starts(self.gold)

    def examples(self, rng: np.random.Generator, **upstream: Any) -> Examples:
        """Return ``n`` comments of this replicate's world, judged where a judge is named."""
        drawn = comments(
            self.n,
            rng,
            toxic=self.toxic,
            shift=self.shift,
            hard=Hard(self.hard, self.cases),
            chatter=self.chatter,
        )
        examples = Examples(tuple(one.text for one in drawn), tuple(one.prompt.text for one in drawn))
        return _judged(examples, self.gold, upstream)

    def judged(self) -> bool:
        """Return whether a judge is named."""
        return self.gold is not None

    def labelled(self) -> bool:
        """Return whether that judge gives labels."""
        return self.gold is not None and not self.gold.concept

    def objectives(self) -> Mapping[str, Objective]:
        """Return the objectives of that judge."""
        return {} if self.gold is None else self.gold.objectives()


class Judged(TestSet):
    """The texts of another test set, with a judge's truths added to those they have (paper, Table 3: subtypes)."""

    of: TestSet = Field(description="the texts; their own truths are kept")
    judge: Judge = Field(description="the judge that adds the truths which they lack")

    def draws(self) -> bool:
        """Return whether the texts are drawn at random, or the judge starts from what is."""
        return self.of.draws() or super().draws()

    def labelled(self) -> bool:
        """Return whether labels are known: of the texts, or by the judge where they have no truth."""
        return self.of.labelled() if self.of.judged() else not self.judge.concept

    def objectives(self) -> Mapping[str, Objective]:
        """Return those of the texts, or of the judge where they have no truth."""
        return self.of.objectives() if self.of.judged() else self.judge.objectives()

    def size(self) -> int | None:
        """Return the number of texts."""
        return self.of.size()

    def upstream(self) -> Mapping[str, Settings]:
        """Return what the texts and the judge start from."""
        return {**nested("of", self.of), **nested("judge", self.judge)}

    def examples(self, rng: np.random.Generator, **upstream: Any) -> Examples:
        """Return the texts with their own truths and the judge's; their own win where both have one."""
        examples = self.of.examples(rng, **within("of", upstream))
        return examples.knowing({**self.judge.ready(within("judge", upstream))(examples), **examples.truths})


class Joined(TestSet):
    """Several test sets, one after the other, with the truths that all of them have."""

    of: tuple[TestSet, ...] = Field(min_length=1, description="the test sets")

    def draws(self) -> bool:
        """Return whether any part is drawn at random, or starts from what is."""
        return any(part.draws() for part in self.of)

    def judged(self) -> bool:
        """Return whether the truth of every part is known."""
        return all(part.judged() for part in self.of)

    def labelled(self) -> bool:
        """Return whether any part has labels."""
        return any(part.labelled() for part in self.of)

    def check(self) -> None:
        """Check every part."""
        for part in self.of:
            part.check()

    def size(self) -> int | None:
        """Return the number of texts in all parts, or None where a part cannot tell."""
        sizes = [part.size() for part in self.of]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def objectives(self) -> Mapping[str, Objective]:
        """Return the objectives that every part has; with other weights in another part there are none."""
        every = [part.objectives() for part in self.of]
        return every[0] if all(one == every[0] for one in every) else {}

    def upstream(self) -> Mapping[str, Settings]:
        """Return what each part starts from."""
        return {role: start for i, part in enumerate(self.of) for role, start in nested(f"{i}", part).items()}

    def examples(self, rng: np.random.Generator, **upstream: Any) -> Examples:
        """Return the examples of the parts in order; each part draws from ``rng`` where the one before it stopped."""
        parts = [part.examples(rng, **within(f"{i}", upstream)) for i, part in enumerate(self.of)]
        known = [name for name in parts[0].truths if all(name in part.truths for part in parts)]
        return Examples(
            tuple(text for part in parts for text in part.text),
            tuple(prompt for part in parts for prompt in part.prompt),
            tuple(group for part in parts for group in part.group),
            truths={
                name: Truth(
                    np.concatenate([part.truths[name].value for part in parts]),
                    np.concatenate([part.truths[name].label for part in parts]),
                )
                for name in known
            },
            drawn=together([part.drawn for part in parts], list(map(len, parts))),
        )


class Completed(TestSet):
    """Completions of prompts by a language model, several each: for best-of-n, or to test a reward on its own ground.

    The completions of one prompt form a group.
    """

    drawn: ClassVar[bool] = True

    lm: LM = Field(description="the language model that completes: the base of a source, say")
    prompts: Prompts
    n: int = Field(100, ge=1, description="most prompts")
    each: int = Field(64, ge=1, description="completions of each prompt")
    sampling: Sampling = Sampling()
    gold: Judge | None = Field(None, description="judges every completion; none: its truth is not known")

    def check(self) -> None:
        """Have the model read the prompts."""
        self.remarks()

    def remarks(self) -> Sequence[str]:
        """Return what the model remarks on the prompts."""
        return self._request().look()

    def upstream(self) -> Mapping[str, Settings]:
        """Return the request for the completions, and what the judge starts from."""
        return {"completions": self._request(), **_starts(self.gold)}

    def _request(self) -> Ask:
        own: Any = {"lm": self.lm, "prompts": self.prompts, "sampling": self.sampling, "each": self.each}
        return Ask(n=self.n * self.each, voice="completed", occasion="completed", **own)

    def size(self) -> int:
        """Return ``n`` times ``each``."""
        return self.n * self.each

    def judged(self) -> bool:
        """Return whether a judge is named."""
        return self.gold is not None

    def labelled(self) -> bool:
        """Return whether that judge gives labels."""
        return self.gold is not None and not self.gold.concept

    def objectives(self) -> Mapping[str, Objective]:
        """Return the objectives of that judge."""
        return {} if self.gold is None else self.gold.objectives()

    def examples(self, rng: np.random.Generator, *, completions: Completions = NOTHING, **upstream: Any) -> Examples:
        """Return one example a completion, judged where a judge is named."""
        group = tuple(map(str, completions.row))
        return _judged(
            Examples(completions.text, completions.prompt, group, drawn=completions.drawn), self.gold, upstream
        )


def _starts(gold: Judge | None) -> Mapping[str, Settings]:
    """Return what the judge of a test set starts from."""
    return {} if gold is None else nested("gold", gold)


def _judged(examples: Examples, gold: Judge | None, upstream: Mapping[str, Any]) -> Examples:
    """Return the examples with the truths of a judge, where there is one."""
    return examples if gold is None else examples.knowing(gold.ready(within("gold", upstream))(examples))
