"""What is in a store, as tables: entries, totals, sizes and ages with their units."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence

from fairl_bench.errors import FairlError
from fairl_bench.store.housekeeping import Entry
from fairl_bench.values.table import Table, Value


def listing(entries: Sequence[Entry], title: str) -> Table:
    """A row for each entry, with its key or place."""
    now = time.time()
    rows = tuple((entry.kind, entry.title, size(entry.bytes), age(now - entry.made), entry.name) for entry in entries)
    tidy = tuple(_tidy(entry, now) for entry in entries)
    heads = _heads("kind", "title", "size", "age", "key")
    total = f"{len(entries):,} in all, {size(sum(entry.bytes for entry in entries))}"
    return Table(title, heads, rows, (total,), tidy)


def _tidy(entry: Entry, now: float) -> dict[str, Value]:
    """The same row as plain values."""
    named: dict[str, Value] = {"kind": entry.kind, "title": entry.title, "bytes": entry.bytes}
    return {**named, "seconds": round(now - entry.made), "key": entry.name}


def totals(entries: Sequence[Entry], title: str) -> Table:
    """A row for each kind, and one for all."""
    number, total = Counter(entry.kind for entry in entries), Counter[str]()
    for entry in entries:
        total[entry.kind] += entry.bytes
    lines = [(kind, number[kind], total[kind]) for kind in sorted(number)]
    lines.append(("all", sum(number.values()), sum(total.values())))
    rows = tuple((kind, f"{n:,}", size(bytes)) for kind, n, bytes in lines)
    tidy: tuple[dict[str, Value], ...] = tuple({"kind": kind, "number": n, "bytes": b} for kind, n, b in lines)
    return Table(title, _heads("kind", "number", "size"), rows, (), tidy)


def _heads(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple(("", name) for name in names)


def size(count: int) -> str:
    """A number of bytes with its unit.

    >>> size(0), size(999), size(1500), size(12_345_678)
    ('0 B', '999 B', '1.5 kB', '12 MB')
    """
    if count < 1000:
        return f"{count} B"
    number, unit = float(count), -1
    while number >= 999.5 and unit < 4:
        number, unit = number / 1000, unit + 1
    return f"{number:.2g} {'kMGTP'[unit]}B" if number < 10 else f"{number:.0f} {'kMGTP'[unit]}B"


def age(seconds: float) -> str:
    """A length of time, in its largest unit.

    >>> age(5), age(90), age(3600 * 5), age(86400 * 40)
    ('5 s', '1 min', '5 h', '40 d')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}" if unit == "d" else f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


_LENGTHS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def seconds_of(text: str) -> float:
    """The seconds of ``30d``, ``12h``, ``2w``.  Raises `FairlError` for another text.

    >>> seconds_of("2w")
    1209600.0
    """
    parts = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]+)?)([smhdw])", text.strip())
    if parts is None:
        raise FairlError(f"--older-than {text}: needs a number and s, m, h, d or w, such as 30d")
    return float(parts[1]) * _LENGTHS[parts[2]]
