"""Pairs from a data set of the Hugging Face hub, or from a copy of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.file_rows import CHECKED, Row
from fairl_bench.builtin.shared.hub import Beside, snapshot
from fairl_bench.builtin.sources.file_splits import SplitRows, file_format, rows_of_files, rows_of_folder
from fairl_bench.builtin.sources.pair_columns import Columns, TruthInRows, refuse_identical
from fairl_bench.component import RunTime
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.errors import DataError, suggest
from fairl_bench.values.data import Pairs

_TURN = "\n\nAssistant:"


class HubDataset(TruthInRows):
    """Pairs from a data set of the hub, or from a copy of it: a file, or a folder as on the hub or by save_to_disk.

    Its identity is the commit, or the copy's content.  Rows are read one after another, so a large data set with a
    ``limit`` is no slower than a small one.  No code of a data set is run.
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
    columns: Columns = Columns()
    prompt: Literal["column", "from-transcript"] = Field(
        "column",
        description="from-transcript: texts are dialogues; their prompt goes up to the last shared Assistant:",
    )
    limit: int | None = Field(None, ge=1, description="read only the first rows")

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        if self.prompt == "from-transcript" and self.columns.prompt is not None:
            message = "'from-transcript' takes the prompt from the texts; leave 'columns.prompt' out"
            raise PydanticCustomError("one_prompt", message)
        return self

    def reads(self) -> dict[str, str]:
        """Return the digest of the local copy, or the hub's commit."""
        return {"data": content_sha256(self._place()) if self.local else self._place().name}

    def check(self) -> None:
        """Open the data set and read the first rows with all their columns."""
        self._pairs(self._rows(min(self.limit or CHECKED, CHECKED)), whole=False)

    def size(self) -> int | None:
        """Return the number of rows of the split, up to the limit; None where it cannot be told quickly."""
        with self._split() as split:
            rows = split.size
        return min(rows, self.limit or rows) if rows else None

    def peek(self, n: int) -> Pairs:
        """Return the first rows of the split."""
        return self._pairs(self._rows(min(self.limit or n, n)), whole=False)

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """Return one pair a row, in the split's order."""
        return self._pairs(self._rows(self.limit))

    def _pairs(self, rows: Sequence[Row], *, whole: bool = True) -> Pairs:
        pairs = self.columns.pairs(rows, identical=True, empty=True)
        if self.prompt == "from-transcript":
            pairs = _from_transcripts(pairs, rows)
        for row, *texts in zip(rows, pairs.preferred, pairs.rejected, strict=True) if self.empty == "refuse" else ():
            if not all(text.strip() for text in texts):
                raise DataError(f"{row.place}: a text of the pair is empty; set 'empty: drop' to leave such pairs out")
        pairs = pairs if self.identical == "drop" else refuse_identical(pairs, rows)
        return self.with_truths(pairs, rows, whole=whole)

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


def _from_transcripts(pairs: Pairs, rows: Sequence[Row]) -> Pairs:
    """Return dialogues split into the prompt that both share and each one's completion."""
    parted = [_parted(*both) for both in zip(pairs.preferred, pairs.rejected, rows, strict=True)]
    prompt, preferred, rejected = zip(*parted, strict=True)
    return Pairs(preferred, rejected, prompt, pairs.group)


def _parted(preferred: str, rejected: str, row: Row) -> tuple[str, str, str]:
    r"""Return the prompt and both completions, split after the last turn of the assistant that both dialogues share.

    That is the last turn of all, except in dialogues that differ earlier.

    >>> _parted("\n\nHuman: Hi\n\nAssistant: Hello", "\n\nHuman: Hi\n\nAssistant: What", Row("", {}))
    ('Human: Hi\n\nAssistant:', 'Hello', 'What')
    """
    both = enumerate(zip(preferred, rejected, strict=False))
    same = next((i for i, (one, other) in both if one != other), min(len(preferred), len(rejected)))
    start = preferred.rfind(_TURN, 0, same)
    if start < 0:
        raise DataError(
            f"{row.place}: its dialogues share no turn of 'Assistant:'; set 'prompt: column' for plain texts"
        )
    end = start + len(_TURN)
    return preferred[:end].strip(), preferred[end:].strip(), rejected[end:].strip()
