"""Pairs that exist, in a data set of the Hugging Face hub or a copy of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.hub import Beside, digest, is_folder, snapshot
from fairl_bench.builtin.rows import CHECKED, Row
from fairl_bench.builtin.sources.columns import Columns, refuse_identical
from fairl_bench.component import RunTime
from fairl_bench.data import Pairs
from fairl_bench.errors import DataError, suggest
from fairl_bench.kinds import Source

_TURN = "\n\nAssistant:"
_READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}


class HubDataset(Source):
    """Pairs from a data set of the hub, or from a copy of it: a file, or a folder as on the hub or by save_to_disk.

    Identity is the commit, or the copy's content.  Rows are read as they come, so a large data set with a ``limit`` is
    no slower than a small one.  No code of a data set is run.
    """

    dataset: str = Field(min_length=1, description="name on the hub, such as s-nlp/paradetox")
    config: str | None = Field(
        None, description="which of the data set's configurations; none: its only or default one"
    )
    data_dir: str | None = Field(None, description="folder in the data set, such as harmless-base of Anthropic/hh-rlhf")
    split: str = Field("train", min_length=1, description="which of the data set's splits")
    revision: str | None = Field(None, description="commit or branch on the hub")
    local: Annotated[str | None, Beside, RunTime] = Field(
        None, min_length=1, description="copy to read in place of the hub: a file or folder, relative to the suite"
    )
    columns: Columns = Columns()
    prompt: Literal["column", "from-transcript"] = Field(
        "column",
        description="from-transcript: texts are dialogues; the prompt is theirs up to the last shared Assistant:",
    )
    limit: int | None = Field(None, ge=1, description="read only the first rows")

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        if self.prompt == "from-transcript" and self.columns.prompt is not None:
            message = "'from-transcript' takes the prompt from the texts; leave 'columns.prompt' out"
            raise PydanticCustomError("one_prompt", message)
        return self

    def reads(self) -> dict[str, str]:
        """The digest of the local copy, or the hub's commit."""
        return {"data": digest(self._place()) if self.local else self._place().name}

    def check(self) -> None:
        """Open it and read the first rows with all their columns."""
        self._pairs(self._rows(min(self.limit or CHECKED, CHECKED)))

    def size(self) -> int | None:
        """The rows of the split, up to the limit, where the data set says how many it has."""
        split = self._split()
        said = (split.info.splits or {}).get(self.split)
        rows = getattr(split, "num_rows", None) or (said and said.num_examples)
        return min(rows, self.limit or rows) if rows else None

    def peek(self, n: int) -> Pairs:
        """The first rows of the split."""
        return self._pairs(self._rows(min(self.limit or n, n)))

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """One pair a row, in the split's order."""
        return self._pairs(self._rows(self.limit))

    def _pairs(self, rows: Sequence[Row]) -> Pairs:
        pairs = self.columns.pairs(rows, identical=True, empty=True)
        if self.prompt == "from-transcript":
            pairs = _from_transcripts(pairs, rows)
        for row, *texts in zip(rows, pairs.preferred, pairs.rejected, strict=True) if self.empty == "refuse" else ():
            if not all(text.strip() for text in texts):
                raise DataError(f"{row.place}: a text of the pair is empty; set 'empty: drop' to leave such pairs out")
        return pairs if self.identical == "drop" else refuse_identical(pairs, rows)

    def _rows(self, limit: int | None) -> list[Row]:
        split, rows = self._split(), list[Row]()
        try:
            for values in islice(split, limit):
                rows.append(Row(f"{self._title()}, row {len(rows)}", dict(values)))
        except Exception as error:  # a reader for each format, each with its own kinds
            raise DataError(f"{self._title()} cannot be read after {len(rows)} rows: {_reason(error)}") from error
        if not rows:
            raise DataError(f"{self._title()} holds no row")
        return rows

    def _title(self) -> str:
        return f"{self.local or self.dataset}, split {self.split!r}"

    def _place(self) -> Path:
        """The local copy, or the snapshot of the hub on this machine."""
        if self.local is None:
            what, hint = f"data set {self.dataset!r}", "name a copy of it under 'local:'"
            return snapshot(self.dataset, self.revision, what=what, hint=hint, repo_type="dataset")
        if not Path(self.local).exists():
            raise DataError(f"{self.local} cannot be read: No such file or directory")
        return Path(self.local)

    def _split(self) -> Any:
        """The rows of the split, to be gone through."""
        place = self._place()
        try:
            splits = self._splits(place)
        except Exception as error:
            raise DataError(f"data set {self.local or self.dataset} cannot be opened: {_reason(error)}") from error
        if self.split not in splits:
            names = map(str, splits)
            raise DataError(f"{self.local or self.dataset} has no split {self.split!r}; {suggest(self.split, names)}")
        return splits[self.split]

    def _splits(self, place: Path) -> Mapping[str, Any]:
        """Every split by name."""
        import datasets

        datasets.disable_progress_bars()
        if (place / "dataset_dict.json").exists():
            return dict(datasets.load_from_disk(str(place)))
        if (place / "state.json").exists():
            saved = datasets.load_from_disk(str(place))
            return {str(saved.split or self.split): saved}
        with TemporaryDirectory() as cache:  # rows are read from where they lie: nothing is put there but locks
            if is_folder(place):
                return dict(
                    datasets.load_dataset(
                        str(place), self.config, data_dir=self.data_dir, streaming=True, cache_dir=cache
                    )
                )
            files = {self.split: str(place)}
            return dict(datasets.load_dataset(_reader(place), data_files=files, streaming=True, cache_dir=cache))


def _reader(path: Path) -> str:
    """The name of the reader for a file's format."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    if not suffixes or suffixes[-1] not in _READERS:
        raise ValueError(f"a file of pairs ends in one of {', '.join(_READERS)}")
    return _READERS[suffixes[-1]]


def _reason(error: Exception) -> str:
    """What the library says, without its examples of usage."""
    return " ".join(str(error).split("\nExample")[0].split()) or type(error).__name__


def _from_transcripts(pairs: Pairs, rows: Sequence[Row]) -> Pairs:
    """Dialogues parted into the prompt that both share and what each goes on with."""
    parted = [_parted(*both) for both in zip(pairs.preferred, pairs.rejected, rows, strict=True)]
    prompt, preferred, rejected = zip(*parted, strict=True)
    return Pairs(preferred, rejected, prompt, pairs.group)


def _parted(preferred: str, rejected: str, row: Row) -> tuple[str, str, str]:
    r"""Prompt and both completions, split after the last turn of the assistant that both dialogues share.

    That is the last turn at all, but for dialogues that part earlier.

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
