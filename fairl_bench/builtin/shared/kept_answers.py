"""Many requests to one server, some at once; each answer is kept as a line of JSON as soon as it is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fairl_bench.builtin.shared.openai_endpoint import Endpoint, Stopped
from fairl_bench.errors import DataError
from fairl_bench.progress import report

T = TypeVar("T")
Place = tuple[int, ...]
"""The numbers that tell a request from the others: a prompt's row and the draw, or the row of a text."""
Asks = Mapping[Place, Callable[[Endpoint], T]]
"""By place, the request, which returns the answer."""


class Told(NamedTuple):
    """How requests are counted: what their answers are, in the plural, and what is done before and behind them."""

    what: str
    before: int = 0
    behind: int = 0


def answers(
    endpoint: Endpoint, asks: Asks[T], path: Path, fits: Callable[[object], bool], told: Told, at_once: int
) -> dict[Place, T]:
    """The answer to each request; those that an interrupted run has kept in ``path`` are not asked for again.

    ``fits`` tells what may be an answer in the file from what is damaged.  Raises `DataError` with the reason where the
    server fails; what it gave before that is kept for the next run.
    """
    kept: dict[Place, T] = {place: answer for place, answer in _kept(path, fits).items() if place in asks}
    missing = {place: ask for place, ask in asks.items() if place not in kept}
    coming = _coming(endpoint, missing, len(asks), told.what, at_once)
    with path.open("a", encoding="utf-8") as file, closing(coming):  # closed at once, also where this is ended
        for place, answer in coming:
            kept[place] = answer
            file.write(json.dumps([*place, answer]) + "\n")
            file.flush()
            total = told.before + len(asks) + told.behind
            report(told.before + len(kept), total, f"{len(kept)} of {len(asks)} {told.what}")
    return kept


def _coming(endpoint: Endpoint, asks: Asks[T], total: int, what: str, at_once: int) -> Generator[tuple[Place, T]]:
    """The answers as they come.  After a failure, those under way are still kept; then it is raised."""
    failure: DataError | None = None
    done = total - len(asks)
    with endpoint, ThreadPoolExecutor(at_once) as pool:
        waiting: dict[Future[T], Place] = {}
        try:
            for place, ask in asks.items():
                waiting[pool.submit(ask, endpoint)] = place
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    place = waiting.pop(future)
                    try:
                        answer = future.result()
                    except DataError as error:
                        failure = failure or error
                        endpoint.stop.set()
                        waiting = {
                            request: request_place for request, request_place in waiting.items() if not request.cancel()
                        }
                    except Stopped:
                        pass
                    else:
                        done += 1
                        yield place, answer
        finally:
            endpoint.stop.set()
            for future in waiting:
                future.cancel()
    if failure is not None:
        raise DataError(f"{failure} ({done} of {total} {what} are kept: run again to go on)")


def _kept(path: Path, fits: Callable[[object], bool]) -> dict[Place, Any]:
    """The answers of an interrupted run by place; a damaged last line is cut off."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    rows = {line: row for line in content.splitlines(keepends=True) if (row := _row(line, fits)) is not None}
    if (whole := b"".join(rows)) != content:
        path.write_bytes(whole)
    return dict(rows.values())


def _row(line: bytes, fits: Callable[[object], bool]) -> tuple[Place, Any] | None:
    try:
        values = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or not values:
        return None
    *place, answer = values
    return (tuple(place), answer) if all(type(number) is int for number in place) and fits(answer) else None
