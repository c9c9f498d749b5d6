"""Pairs from a data set of the Hugging Face hub, or from a copy of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.file_rows import CHECKED, Row
from fairl_bench.builtin.shared.hub import Beside, snapshot
from fairl_bench.builtin.sources.file_splits import SplitRows, file_format, rows_of_files, rows_of_folder
from fairl_bench.builtin.sources.layouts.known import (
    EVERY_LAYOUT,
    LAYOUTS,
    SAMPLE,
    LayoutName,
    Recognised,
    recognised,
)
from fairl_bench.builtin.sources.layouts.layout import Choices, Compared, LaidOut, LayoutColumns, Reading, unusable
from fairl_bench.builtin.sources.layouts.truths import LayoutGold, gives_labels, gold_truth, subtype_truths
from fairl_bench.builtin.sources.pair_columns import refuse_identical
from fairl_bench.component import RunTime
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.errors import DataError, suggest
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import Source
from fairl_bench.values.data import GOLD, Pairs


class HubDataset(Source):
    """Pairs from a data set of the hub, or from a copy of it: a file, or a folder as on the hub or by save_to_disk.

    Its identity is the commit, or the copy's content.  Rows are read one after another, so a large data set with a
    ``limit`` is no slower than a small one.  No code of a data set is run.  How rows become pairs is its layout
    (docs/how-to/data.md), which is found by the columns of the first rows where the suite names none.
    """

    at_hand: ClassVar[bool] = True

    dataset: str = Field(min_length=1, description="name on the hub, such as s-nlp/paradetox")
    config: str | None = Field(None, description="configuration of the data set; none: its only or default one")
    data_dir: str | None = Field(None, description="folder in the data set, such as harmless-base of Anthropic/hh-rlhf")
    split: str = Field("train", min_length=1, description="split of the data set")
    revision: str | None = Field(None, description="commit or branch on the hub")
    local: Annotated[str | None, Beside, RunTime] = Field(
        None, min_length=1, description="copy to read in place of the hub: a file or folder, relative to the suite"
    )
    layout: LayoutName = Field("auto", description="how rows hold pairs; auto: found by the columns that there are")
    columns: LayoutColumns | None = Field(
        None, description="columns by their role; one that is not named is found by its usual name"
    )
    choices: Choices | None = Field(
        None, description="of layout choice: what its values mean; none: as in the data sets that are known"
    )
    min_ratio: float | None = Field(
        None, gt=0, description="of layout choice: rows with a smaller ratio of scores are dropped; none: no row is"
    )
    compare: Compared = Field(
        "all", description="of several answers: which make pairs; those of a prompt count as one pair together"
    )
    gold: LayoutGold | None = Field(  # type: ignore[assignment]  # wider than any source's: these have columns too
        None, description="judges every completion, or columns of their true rewards or labels; none: it is not known"
    )
    limit: int | None = Field(None, ge=1, description="read only the first rows")

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, value: object) -> object:
        if isinstance(value, Mapping) and "prompt" in value:
            message = "'prompt: from-transcript' is 'layout: transcripts', 'prompt: column' is 'layout: texts'"
            raise PydanticCustomError("unknown_field", message, {"field": "prompt"})
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.layout == "auto":
            return self
        layout, named = LAYOUTS[self.layout], self._named()
        if unread := next((role for role in named if role not in layout.roles | EVERY_LAYOUT), None):
            raise self._unread("columns", f"'columns.{unread}'")
        if unread := next((name for name in self._of_some() if name not in layout.settings), None):
            raise self._unread(unread, repr(unread))
        return self

    def _unread(self, field: str, what: str) -> PydanticCustomError:
        reason = f"layout {self.layout!r} does not read {what}; leave it out, or name another layout"
        return PydanticCustomError("unread", "{reason}", {"reason": reason, "field": field})

    def _of_some(self) -> list[str]:
        """Return the settings that are given and that not all layouts read."""
        given = {"choices": self.choices, "min_ratio": self.min_ratio, "compare": self.compare != "all" or None}
        return [name for name, value in given.items() if value is not None]

    def labelled(self) -> bool:
        """Return whether a judge that gives labels is named, or columns that do."""
        return super().labelled() if self.gold is None or isinstance(self.gold, Judge) else gives_labels(self.gold)

    def reads(self) -> dict[str, str]:
        """Return the digest of the local copy, or the hub's commit."""
        return {"data": content_sha256(self._place()) if self.local else self._place().name}

    def check(self) -> None:
        """Open the data set and read the first rows with all their columns."""
        self._pairs(self._rows(self._first(CHECKED)), whole=False)

    def recognise(self) -> Recognised:
        """Return the layout of the rows, and which column plays which role in it."""
        return self._recognised(self._rows(self._first(SAMPLE)))

    def remarks(self) -> list[str]:
        """Return how its rows are read, and what is dropped of the first ones."""
        rows = self._rows(self._first(CHECKED))
        pairs = self._pairs(rows, whole=False)
        dropped = Counter(dict(pairs.dropped)) + Counter(map(unusable, pairs.preferred, pairs.rejected))
        lost = ", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in dropped.items() if why and n)
        read = f"{self._title()} is read as {self._recognised(rows)}"
        return [f"{read}; dropped of its first {len(rows):,} rows: {lost}" if lost else read]

    def size(self) -> int | None:
        """Return the number of pairs in the split, up to the limit; None where it cannot be told quickly.

        Where a row need not be a pair, that is as many for each row as of the first ones.
        """
        with self._split() as split:
            size = split.size
        if not size:
            return None
        size, rows = min(size, self.limit or size), self._rows(self._first(CHECKED))
        if self._recognised(rows).layout.one_pair_a_row:
            return size
        return round(size * len(self._pairs(rows, whole=False)) / len(rows))

    def peek(self, n: int) -> Pairs:
        """Return the first pairs of the split, of as many rows as tell its layout."""
        pairs = self._pairs(self._rows(self._first(max(n, SAMPLE))), whole=False)
        return pairs.take(range(min(n, len(pairs))))

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """Return the pairs of all rows, in the split's order."""
        return self._pairs(self._rows(self.limit))

    def _named(self) -> dict[str, str]:
        return {} if self.columns is None else self.columns.named()

    def _first(self, n: int) -> int:
        return min(self.limit or n, n)

    def _recognised(self, rows: Sequence[Row]) -> Recognised:
        return recognised(rows, self._named(), self.layout, self._title())

    def _pairs(self, rows: Sequence[Row], *, whole: bool = True) -> Pairs:
        layout, roles = self._recognised(rows)
        if unread := next((name for name in self._of_some() if name not in layout.settings), None):
            raise DataError(
                f"{self._title()} has the layout {layout.name!r}, which does not read {unread!r}; leave it out"
            )
        drops = frozenset(why for why in ("identical", "empty") if getattr(self, why) == "drop")
        how = Reading(roles, frozenset(self._named()), self.compare, self.min_ratio, self.choices, drops)
        laid_out = layout.pairs(rows, how)
        self._refuse_unusable(laid_out)
        truths = subtype_truths(laid_out, roles.get("subtype"), named="subtype" in self._named())
        if self.gold is not None and not isinstance(self.gold, Judge):
            truths[GOLD] = gold_truth(self.gold, laid_out, layout, whole=whole)
        return replace(laid_out.pairs, truths=truths)

    def _refuse_unusable(self, laid_out: LaidOut) -> None:
        """Raise `DataError` at the row of an empty text or of equal texts, where these are not dropped."""
        pairs = laid_out.pairs
        if self.empty == "refuse":
            for row, one, other in zip(laid_out.of, pairs.preferred, pairs.rejected, strict=True):
                if unusable(one, other) == "empty":
                    raise DataError(
                        f"{row.place}: a text of the pair is empty; set 'empty: drop' to leave such pairs out"
                    )
        if self.identical == "refuse":
            refuse_identical(pairs, laid_out.of)

    def _rows(self, limit: int | None) -> list[Row]:
        rows = list[Row]()
        with self._split() as split:
            try:
                for values in islice(split.rows, limit):
                    rows.append(Row(f"{self._title()}, row {len(rows)}", values, split.texts))
            except DataError:  # it names the line
                raise
            except Exception as error:  # a reader for each format, each with its own kinds
                raise DataError(f"{self._title()} cannot be read after {len(rows)} rows: {_reason(error)}") from error
        if not rows:
            raise DataError(f"{self._title()} holds no row")
        return rows

    def _title(self) -> str:
        return f"{self.local or self.dataset}, split {self.split!r}"

    def _place(self) -> Path:
        """Return the local copy, or the snapshot of the hub on this machine."""
        if self.local is None:
            what, hint = f"data set {self.dataset!r}", "name a copy of it under 'local:'"
            return snapshot(self.dataset, self.revision, what=what, hint=hint, repo_type="dataset")
        if not Path(self.local).exists():
            raise DataError(f"{self.local} cannot be read: No such file or directory")
        return Path(self.local)

    @contextmanager
    def _split(self) -> Iterator[SplitRows]:
        """Open the split and give its rows, which can be read while it is open."""
        place = self._place()
        with TemporaryDirectory() as cache:  # rows are read from where they lie: nothing is put here but links
            try:
                splits = self._splits(place, Path(cache))
            except DataError:
                raise
            except Exception as error:
                raise DataError(f"data set {self.local or self.dataset} cannot be opened: {_reason(error)}") from error
            if self.split not in splits:
                known = suggest(self.split, map(str, splits))
                raise DataError(f"{self.local or self.dataset} has no split {self.split!r}; {known}")
            yield splits[self.split]()

    def _splits(self, place: Path, cache: Path) -> Mapping[str, Callable[[], SplitRows]]:
        """Return, by name, a function that gives the rows of each split."""
        if not is_folder(place):
            return {self.split: partial(rows_of_files, [place], file_format(place))}
        import datasets

        datasets.disable_progress_bars()
        link = cache / "saved"  # whose name means nothing else
        link.symlink_to(place.resolve())
        if (place / "dataset_dict.json").exists():
            saved = datasets.load_from_disk(str(link))
            return {str(name): partial(_saved, split) for name, split in saved.items()}
        if (place / "state.json").exists():
            alone = datasets.load_from_disk(str(link))
            return {str(alone.split or self.split): partial(_saved, alone)}
        return rows_of_folder(place, cache, self.config, self.data_dir)


def _saved(split: Any) -> SplitRows:
    return SplitRows((dict(row) for row in split), split.num_rows)


def _reason(error: Exception) -> str:
    """Return the library's message without its examples of usage."""
    return " ".join(str(error).split("\nExample")[0].split()) or type(error).__name__
