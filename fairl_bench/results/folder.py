"""The files of a results folder, each checked against its checksum as it is read.

``manifest.json`` lists every file that a run wrote, by its SHA-256 and what it was made from; what it does not list is
somebody else's and is neither read nor touched.  While files are replaced it holds both checksums of each, the one
before and the one to come, so that a reader, or whoever comes after a run that was killed, takes either for whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import normalize

from fairl_bench.errors import ResultsError

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST: Final = "manifest.json"
SUITE: Final = "suite.yaml"
RUN: Final = "run.json"
RECORDS: Final = "records.parquet"
METRICS: Final = "metrics.json"
INTERVALS: Final = "intervals.parquet"
PAGE: Final = "report.html"
EXAMPLES: Final = "examples"
TRUTHS: Final = "truths"
SCORES: Final = "scores"
HISTORIES: Final = "histories"
EVIDENCE: Final = "evidence"  # a folder for each table, EVALUATOR or EVALUATOR/NAME, with a file for each cell
REWARDS: Final = "rewards"
LOGS: Final = "logs"
TABLES: Final = "tables"
FINDINGS: Final = "findings.json"
FIGURES: Final = "figures"
WORLDS: Final = (EXAMPLES, TRUTHS)  # the folders with a file for each world
CELLS: Final = (SCORES, HISTORIES)  # the folders with a file for each cell
LATER: Final = (TABLES, FIGURES, FINDINGS, PAGE, INTERVALS)  # made from the others, and made again with them
FORMAT: Final = 1
NOTHING: Final = ""  # in place of a checksum: no file
_TRIES = 20  # so often may a run replace a file while it is being read
_LONGEST = 150  # bytes of a file's name: half of what a file system takes


class DamagedManifest(ResultsError):
    """A ``manifest.json`` that is not as it was written, or not one of ours."""


class Entry(NamedTuple):
    """One file: its SHA-256, what it was made from, and while it is being replaced its SHA-256 before."""

    sha256: str
    of: str
    was: str | None = None

    def fits(self, digest: str) -> bool:
        """True where a file of this SHA-256 is whole."""
        return digest in (self.sha256, self.was)


class Manifest(NamedTuple):
    """The suite that a folder belongs to, and the files that it owns, by their place in it."""

    suite: str
    files: Mapping[str, Entry]

    @property
    def settled(self) -> bool:
        """True where no file is being replaced."""
        return all(entry.was is None for entry in self.files.values())

    def text(self) -> str:
        """The text of ``manifest.json``: a line for each file, and a checksum of its own."""
        rows = {name: _without_none(self.files[name]._asdict()) for name in sorted(self.files)}
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        head = f'{{\n "format": {FORMAT},\n "suite": {json.dumps(self.suite)},\n'
        return f'{head} "sha256": "{_checksum(self.suite, rows)}",\n "files": {{\n{lines}\n }}\n}}\n'


def _without_none(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an entry that have a value."""
    return {name: value for name, value in entry.items() if value is not None}


def _checksum(suite: str, rows: Mapping[str, Any], form: object = FORMAT) -> str:
    return hashlib.sha256(json.dumps([form, suite, rows], sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where it has none.  Raises `DamagedManifest`."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        suite, rows = content["suite"], content["files"]
        if content["sha256"] != _checksum(suite, rows, content["format"]):
            raise ValueError("its checksum differs")
        if content["format"] != FORMAT:
            raise ResultsError(f"{path} is of another version of fairl-bench; update it, or name another folder")
        for name in rows:
            _check_name(name)
        return Manifest(str(suite), {name: Entry(**row) for name, row in rows.items()})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedManifest(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedManifest(
            f"{path} is damaged or none of ours; run the suite again, and it is written anew"
        ) from error


def _check_name(name: str) -> None:
    """Check that a name is a place in the folder, whatever a manifest from elsewhere says.  Raises `ValueError`."""
    parts = PurePosixPath(name).parts
    if not parts or name != "/".join(parts) or name.startswith("/") or {"..", "."} & set(parts) or "\\" in name:
        raise ValueError(f"{name!r} is no place in the folder")


class ResultsFolder:
    """The files of a results folder.  One from before there were manifests is taken as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = read_manifest(path)

    def names(self, kind: str, ending: str = ".parquet") -> list[str]:
        """The places of the files of a kind, ``scores/NAME.parquet``, in order."""
        if self.manifest is None:
            found = (path.relative_to(self.path).as_posix() for path in (self.path / kind).glob(f"**/[!.]*{ending}"))
            return sorted(found)
        listed = (name for name in self.manifest.files if name.startswith(f"{kind}/") and name.endswith(ending))
        return sorted(name for name in listed if self.has(name))

    def has(self, name: str) -> bool:
        """True where the folder owns such a file."""
        if self.manifest is None:
            return (self.path / name).is_file()
        entry = self.manifest.files.get(name, Entry(NOTHING, ""))
        coming = entry.was == NOTHING and not (self.path / name).exists()
        return entry.sha256 != NOTHING and not coming

    def read(self, name: str) -> bytes:
        """The content of a file.  Raises `ResultsError` where it is missing or damaged."""
        for _ in range(_TRIES):
            content = _content(self.path / name)
            digest = NOTHING if content is None else hashlib.sha256(content).hexdigest()
            listed = None if self.manifest is None else self.manifest.files.get(name, Entry(NOTHING, ""))
            if content is not None and (listed is None or listed.fits(digest)):
                return content
            before, self.manifest = self.manifest, read_manifest(self.path)
            if self.manifest == before:
                break
        raise ResultsError(
            f"{self.path / name} {'is missing' if content is None else 'is damaged: its checksum differs'}; "
            "run the suite again, and it is written anew"
        )

    def text(self, name: str) -> str:
        """The text of a file.  Raises `ResultsError`."""
        with readable(self.path / name):
            return self.read(name).decode("utf-8")

    def json(self, name: str) -> dict[str, Any]:
        """The JSON object in a file.  Raises `ResultsError`."""
        with readable(self.path / name):
            content = json.loads(self.read(name))
            if not isinstance(content, dict):
                raise ValueError("no object")
            return content

    def table(self, name: str) -> pa.Table:
        """The rows of a Parquet file.  Raises `ResultsError`."""
        return parquet(self.read(name), self.path / name)

    def made_from(self, name: str) -> str | None:
        """The signature of what a file was made from; None where it is not there or nothing says it."""
        entry = None if self.manifest is None else self.manifest.files.get(name)
        if self.manifest is not None and (entry is None or entry.was is None):
            return entry and entry.of
        return footer(self.path / name) if name.endswith(".parquet") else None  # it may be the one before

    def digest(self, name: str) -> str:
        """The SHA-256 that a file should have; of its bytes where nothing says it, and empty where there is none."""
        if self.manifest is not None:
            return self.manifest.files[name].sha256 if self.has(name) else NOTHING
        content = _content(self.path / name)
        return NOTHING if content is None else hashlib.sha256(content).hexdigest()


def note(folder: Path) -> str | None:
    """A sentence for the reader of a folder that is of an earlier version, or that a run writes into; else None."""
    manifest = read_manifest(folder)
    if manifest is None and not (folder / "suite.yaml").exists():
        return None  # it is none, and whoever reads it says so
    if manifest is None:
        return (
            f"{folder} has no {MANIFEST}: it is of an earlier version, and damage to its files cannot be seen; "
            "the next run writes one"
        )
    if not manifest.settled:
        return f"{folder}: a run writes into it just now, or was ended while it did; run the suite again to be sure"
    return None


def _content(path: Path) -> bytes | None:
    """The bytes of a file; None where there is no plain file."""
    try:
        return path.read_bytes() if path.is_file() else None
    except FileNotFoundError:  # just removed
        return None
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror or error}") from error


def parquet(content: bytes, path: Path) -> pa.Table:
    """The rows that the bytes of a Parquet file hold.  Raises `ResultsError` for a broken one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(path):
        # not read_table: it takes a fifth of a second to import what is not used here
        table = pq.ParquetFile(pa.BufferReader(content)).read()
        table.validate(full=True)  # texts of a file without a checksum may be none
        return table


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn an error of reading a file inside into a `ResultsError` that names the file."""
    try:
        yield
    except _BROKEN as error:
        raise ResultsError(f"{path} cannot be read; run the suite again, and it is written anew") from error


# what broken content raises in json, pyarrow and whoever takes it for whole; pyarrow's own errors are some of these
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError, MemoryError)


def footer(path: Path) -> str | None:
    """The signature in the footer of a Parquet file; None where there is none."""
    import pyarrow.parquet as pq

    with suppress(ResultsError), readable(path):
        return str((pq.read_metadata(path).metadata or {})[b"signature"], "utf-8")
    return None


def alike(names: Iterable[str]) -> list[bool]:
    """For each name, True where no file can have it: it is too long, or another differs in case alone.

    >>> alike(["a", "B", "b", "c" * 300])
    [False, True, True, True]
    """
    wanted = list(names)
    folded = [normalize("NFC", name).casefold() for name in wanted]
    count = Counter(folded)
    return [
        count[folded_name] > 1 or len(name.encode()) > _LONGEST
        for name, folded_name in zip(wanted, folded, strict=True)
    ]


def distinct(name: str, digest: str) -> str:
    """A name that a file can have, from one that none can and a digest.

    >>> distinct("b", "e9d71f5ee7c9")
    'b-e9d71f5e'
    """
    return f"{name.encode()[: _LONGEST - 20].decode('utf-8', 'ignore')}-{digest[:8]}"


_ENDINGS = re.compile(r"\.(md|csv|tex|json)$")


def table_name(text: str) -> str:
    """The name of a table that ``--table`` means, by that name, by a file of it, or by its number.

    >>> table_name("table1.md"), table_name("table3"), table_name("slices"), table_name("2")
    ('table1', 'table3', 'slices', 'table2')
    """
    return re.sub(r"^(?=\d+$)", "table", _ENDINGS.sub("", text))
