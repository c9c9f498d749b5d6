"""Reads CSV files of scores, with the columns of a results folder, into sheets.

One line is one example as one run scores it; a file that holds its truths as well has a line for each truth of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairl_bench.errors import DataError, suggest
from fairl_bench.textfiles import brief, csv_rows, number_of, parsed, whole_of
from fairl_bench.values.coordinates import CELL_AXES, Run
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Labels, Truth
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.truths import objective_of

_ROLES = {"preferred": 1, "rejected": -1, "": 0}
_EXAMPLE = ("dataset", "split", "example", "pair", "role", "group", "prompt", "text")
_KNOWN = (*CELL_AXES, *_EXAMPLE, "reward", "predicted", "truth", "value", "label")

_Line = Mapping[str, str]


class CsvScores(NamedTuple):
    """The sheets of a file; ``predicted`` where it gives labels in place of rewards."""

    sheets: list[Sheet]
    predicted: bool
    notes: tuple[str, ...] = ()  # how its labels were read
    against: str = ""  # the truth that they are judged by; empty: gold, else preferred

    def truth_of(self, sheet: Sheet) -> str | None:
        """The truth that a sheet is judged by; None where it does not know it."""
        truths = sheet.examples.truths
        asked = (self.against,) if self.against else (GOLD, PREFERRED)
        return next((name for name in asked if name in truths and truths[name].known().any()), None)

    def label(self, sheet: Sheet) -> Labels:
        """The labels of that truth ``[n]``; 0 where it is not known."""
        name = self.truth_of(sheet)
        return np.zeros(len(sheet.examples), np.int8) if name is None else sheet.examples.truths[name].label


class _World:
    """The examples of one data set as they are read, with the truths and each run's rewards."""

    def __init__(self) -> None:
        self.row: dict[str, int] = {}  # example -> place
        self.lines: list[_Line] = []
        self.truths: dict[str, dict[int, tuple[float, int]]] = {}
        self.rewards: dict[Run, dict[int, float]] = {}
        self._read: Counter[Run] = Counter()  # lines of each run

    def place(self, run: Run, line: _Line) -> int:
        """The place of a line's example; without a name it is the number of the line among those of its run."""
        example = line.get("example") or str(self._read[run])
        self._read[run] += 1
        if example not in self.row:
            self.row[example] = len(self.lines)
            self.lines.append(line)
        return self.row[example]


_Worlds = dict[tuple[str, int, str], _World]  # by model, replicate and data


def read_scores(path: Path, truth: Path | None = None) -> CsvScores:
    """The sheets of a CSV file of scores, joined with one of truths.  Raises `DataError` at the line of a mistake.

    ``reward`` or ``predicted`` (+1 or 1 good; -1 or 0 not) is needed; ``example`` defaults to the number of the line
    among those of its run and data, ``method`` to the file's name, ``dataset`` to ``texts``.
    """
    rows = list(_lines(path, ("reward", "predicted")))
    signs = _signs(path, rows)
    worlds = _worlds(path, rows, signs)
    notes = signs.notes
    if truth is not None:
        notes += _join(truth, worlds)
    predicted = any("reward" not in line for _, line in rows)
    return CsvScores([_sheet(path, *key, world) for key, world in worlds.items()], predicted, notes)


def _worlds(path: Path, rows: Sequence[tuple[int, _Line]], signs: _Signs) -> _Worlds:
    """The rewards and truths of a file's lines, by model, replicate and data."""
    worlds: _Worlds = {}
    for number, line in rows:
        where = f"{path}:{number}"
        run = _run(where, line, path.stem)
        data = "/".join(filter(None, (line.get("dataset") or "texts", line.get("split"))))
        replicate = _whole(where, line, "replicate", 0)
        world = worlds.setdefault((line.get("model", ""), replicate or 0, data), _World())
        at = world.place(run, line)
        reward = _reward(where, line)
        if world.rewards.setdefault(run, {}).setdefault(at, reward) != reward:
            example = next(name for name, place in world.row.items() if place == at)
            raise DataError(
                f"{where}: example {brief(example)} of {brief(data)} has two rewards of one run; give each once"
            )
        _note(where, world, at, line, signs)
    return worlds


def _lines(path: Path, one_of: tuple[str, ...]) -> Iterator[tuple[int, _Line]]:
    """Each line of a file with its number.  Raises `DataError` for a column that is unknown."""
    columns, rows = csv_rows(path)
    if not set(one_of) & set(columns):
        wanted = " or ".join(map(repr, one_of))
        raise DataError(f"{path}:1: needs a column {wanted}, got {', '.join(map(brief, columns[:10])) or 'nothing'}")
    for column in columns:
        if column not in _KNOWN:
            raise DataError(f"{path}:1: column {brief(column)} is unknown; {suggest(column, _KNOWN)}")
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007  counted
        yield row
    if not count:
        raise DataError(f"{path} holds no row below its header")


def _run(where: str, line: _Line, name: str) -> Run:
    """The run of a line; without a method it has the ``name``."""
    seed = _whole(where, line, "seed", None) if line.get("seed") != "all" else None
    encoder, head, variant = (line.get(column, "") for column in ("encoder", "head", "variant"))
    if variant:
        try:
            point = parsed(variant)
        except ValueError:
            point = None
        if not isinstance(point, dict):
            raise DataError(
                f"{where}: 'variant' needs an object of JSON, as a results folder has it, or nothing, "
                f"got {brief(variant)}"
            )
    return Run(encoder, head, line.get("method") or name, variant, seed)


def _whole(where: str, line: _Line, column: str, default: int | None) -> int | None:
    """The whole number in a column; the default where it is empty."""
    text = line.get(column, "")
    if not text:
        return default
    number = whole_of(text)
    if number is None:
        raise DataError(f"{where}: {brief(column)} needs a whole number, got {brief(text)}")
    return number


def _number(where: str, line: _Line, column: str) -> float:
    """The finite number in a column."""
    text = line.get(column, "")
    number = number_of(text)
    if number is None:
        raise DataError(f"{where}: {brief(column)} needs a finite number, got {brief(text)}")
    return number


def _sign(where: str, line: _Line, column: str) -> int:
    """The label in a column: 1, -1 or 0."""
    number = _number(where, line, column)
    if number not in (1, -1, 0):
        raise DataError(f"{where}: {brief(column)} needs 1 (good), -1 or 0, got {brief(line[column])}")
    return int(number)


def _reward(where: str, line: _Line) -> float:
    """The reward of a line; of a predicted label 1 for good and -1 for bad."""
    if "reward" in line:
        return _number(where, line, "reward")
    return 1.0 if _sign(where, line, "predicted") > 0 else -1.0


class _Signs(NamedTuple):
    """The reading of a file's labels: the truths for which 0 is bad, and the notes that say so."""

    bad: frozenset[str]
    notes: tuple[str, ...]


def _signs(path: Path, rows: Sequence[tuple[int, _Line]]) -> _Signs:
    """0 is bad where 1 is the only other label of the file, and unknown beside -1.

    Raises `DataError` where it could be either.
    """
    labels_of: dict[str, set[int]] = {}
    for number, line in rows:
        if line.get("label"):
            labels_of.setdefault(line.get("truth") or GOLD, set()).add(_sign(f"{path}:{number}", line, "label"))
    zero = {name for name, labels in labels_of.items() if 0 in labels}
    negative = {name for name, labels in labels_of.items() if -1 in labels}
    unsure = sorted(zero - negative)
    if unsure and negative:
        without, with_negative = brief(unsure[0]), brief(min(negative))
        raise DataError(
            f"{path}: the labels of {without} have 0 and no -1, and those of {with_negative} have -1: is 0 bad or "
            "unknown?  Write -1 for bad (a subtype: absent), and leave the label of what is unknown empty"
        )
    for name in unsure:
        if labels_of[name] == {0}:
            raise DataError(
                f"{path}: every label of {brief(name)} is 0; write -1 for bad, and leave the label of what is unknown "
                "empty"
            )
    notes = [f"{path.name}: the labels are 0 and 1; 0 is read as bad (a subtype: absent)."] if unsure else []
    if zero & negative:
        notes.append(f"{path.name}: the labels are -1, 0 and 1; 0 is read as unknown.")
    return _Signs(frozenset(unsure), tuple(notes))


def _note(where: str, world: _World, at: int, line: _Line, signs: _Signs) -> None:
    """Add the truth in a line to its example: the one that the line names, else ``gold``."""
    if not (line.get("label") or line.get("value")):
        return
    name = line.get("truth") or GOLD
    label = _sign(where, line, "label") if line.get("label") else 0
    if line.get("label") and not label and name in signs.bad:
        label = -1
    value = _number(where, line, "value") if line.get("value") else math.nan
    if not (name in (GOLD, PREFERRED) or name.startswith("subtype:") or objective_of(name)):
        kinds = "'gold', 'gold:NAME', 'preferred' or 'subtype:NAME'"
        raise DataError(f"{where}: truth {brief(name)} is unknown; it is {kinds}")
    truth = world.truths.setdefault(name, {})
    if repr(truth.setdefault(at, (value, label))) != repr((value, label)):
        raise DataError(f"{where}: the truth {brief(name)} of an example is told twice, and differs")


def _join(path: Path, worlds: _Worlds) -> tuple[str, ...]:
    """Add the truths of a file to every data set whose examples they name, and return the notes on them."""
    joined = set[int]()
    rows = list(_lines(path, ("label", "value")))
    signs = _signs(path, rows)
    for number, line in rows:
        if not line.get("example"):
            raise DataError(f"{path}:{number}: 'example' is missing; truths are joined to scores by it")
        for (model, replicate, data), world in worlds.items():
            here = line.get("dataset") in (None, "", data.partition("/")[0])
            here &= line.get("model") in (None, "", model) and line.get("replicate") in (None, "", str(replicate))
            if here and line["example"] in world.row:
                _note(f"{path}:{number}", world, world.row[line["example"]], line, signs)
                joined.add(number)
    if not joined:
        raise DataError(
            f"{path}: none of its examples is among those of the scores; both name them by 'dataset' and 'example'"
        )
    unused = len(rows) - len(joined)
    note = (f"{path.name}: {unused:,} of {len(rows):,} truths name no example that is scored.",) if unused else ()
    return (*signs.notes, *note)


def _sheet(path: Path, model: str, replicate: int, data: str, world: _World) -> Sheet:
    """The sheet of a world whose every run scores every example."""
    n = len(world.lines)
    for run, scored in world.rewards.items():
        if len(scored) < n:
            lacking = next(example for example, at in world.row.items() if at not in scored)
            name = run.method[:60] + ("" if run.seed is None else f", seed {run.seed}")
            raise DataError(
                f"{path}: {name} scores {len(scored)} of {n} examples of {brief(data)}, not {brief(lacking)}"
            )
    truths = {name: _truth(n, by_place) for name, by_place in world.truths.items()}
    pair, role = _pairs(path, data, world.lines)
    if role.any() and PREFERRED not in truths:
        truths[PREFERRED] = Truth(role.astype(np.float64), role)
    text, prompt, group = (
        tuple(line.get(column, "") for line in world.lines) for column in ("text", "prompt", "group")
    )
    examples = Examples(text if any(text) else tuple(world.row), prompt, group, pair, role, truths)
    rewards = {run: np.array([scored[at] for at in range(n)]) for run, scored in world.rewards.items()}
    return Sheet("", model, replicate, data, examples, rewards)


def _truth(n: int, by_place: Mapping[int, tuple[float, int]]) -> Truth:
    """The truth of n examples, from the value and label at each place that has one."""
    value, label = np.full(n, np.nan), np.zeros(n, np.int8)
    for at, (number, sign) in by_place.items():
        value[at], label[at] = number, sign
    if not np.isfinite(value).any():  # labels alone are a reward of 1 and -1; beside numbers they are on no scale
        value = np.where(label != 0, label.astype(np.float64), np.nan)
    return Truth(value, label)


def _pairs(path: Path, data: str, lines: list[_Line]) -> tuple[np.ndarray, np.ndarray]:
    """The pair numbers and roles of lines; every pair needs one preferred and one rejected text."""
    names: dict[str, int] = {}
    pair, role = np.full(len(lines), -1, np.int64), np.zeros(len(lines), np.int8)
    for at, line in enumerate(lines):
        role_name = line.get("role", "")
        if role_name not in _ROLES:
            near = suggest(role_name, filter(None, _ROLES))
            raise DataError(f"{path}: role {brief(role_name)} in {brief(data)} is unknown; {near}")
        if line.get("pair"):
            pair[at], role[at] = names.setdefault(line["pair"], len(names)), _ROLES[role_name]
    for name, code in names.items():
        if sorted(role[pair == code].tolist()) != [-1, 1]:
            raise DataError(
                f"{path}: pair {brief(name)} of {brief(data)} needs one 'preferred' and one 'rejected' text"
            )
    return pair, role
