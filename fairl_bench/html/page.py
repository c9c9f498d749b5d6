"""A results folder as one HTML file: leaderboard, tables, figures, samples, failures, records, suite and provenance.

Everything is inlined, and its content security policy forbids every request and every script but ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import category

from fairl_bench.figures.all import Material
from fairl_bench.html.board import board
from fairl_bench.html.examples import blocks
from fairl_bench.html.numbers import packed
from fairl_bench.records import Record
from fairl_bench.results.unread import unread
from fairl_bench.sheets import Values
from fairl_bench.table import Table

_HERE = Path(__file__).parent


class Picture(NamedTuple):
    """A figure as it was drawn."""

    name: str
    title: str
    svg: bytes


class Content(NamedTuple):
    """What a page shows."""

    name: str
    tables: Sequence[Table]
    pictures: Sequence[Picture]
    material: Material
    records: Sequence[Record]
    suite: str
    run: Mapping[str, Any]
    signature: str
    samples: Sequence[Mapping[str, Any]] = ()  # of re-alignments: `report.samples`


class Warned(NamedTuple):
    """What a reader should know before trusting a number."""

    what: str
    said: str


def page(content: Content) -> str:
    """The page.  Texts of data sets reach it as JSON alone, and names and notes escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    room = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    values = Values.read(content.records)
    examples = blocks(content.material.sheets, values, content.material.truth_of)
    data = {
        "records": packed(content.records),
        "examples": examples,
        "methods": list(content.material.methods),
        **({"samples": content.samples} if content.samples else {}),
    }
    return room.get_template("page.html").render(
        name=content.name,
        signature=content.signature,
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        script=script,
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        boards=[board(table) for table in content.tables],
        pictures=[(*picture[:2], base64.b64encode(picture.svg).decode()) for picture in content.pictures],
        warnings=warnings(content.run),
        run=_told(content.run),
        stages=_stages(content.run),
        suite=content.suite,
        data=as_script(data),
        examples=sum(len(sheet["example"]) for sheet in examples["sheets"]),
        records=len(content.records),
        samples=sum(len(view["row"]) for view in content.samples),
    )


def as_script(data: object) -> str:
    """JSON that cannot leave a ``script`` element: no ``<``, ``>`` or ``&`` and no line separators are in it.

    >>> as_script("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    for letter in "<>&\u2028\u2029\x7f":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def printable(text: str) -> str:
    """A text without control characters but line ends, and without halves of surrogate pairs."""
    return "".join("\ufffd" if one not in "\n\t" and category(one) in ("Cc", "Cs") else one for one in text)


def warnings(run: Mapping[str, Any]) -> list[Warned]:
    """What a run says of parts that failed, were skipped or made again, and of rows that were dropped."""
    titles = {stage["key"]: str(stage.get("title", stage["key"])) for stage in run.get("stages", ())}
    found = [Warned("failed", str(reason)) for reason in run.get("failed", {}).values()]
    if skipped := run.get("skipped", {}):
        found.append(Warned("skipped", f"{len(skipped)} stages, because of what failed before them"))
    found += [Warned("made again", f"{titles.get(key, key)} was damaged") for key in run.get("damaged", ())]
    for stage in run.get("stages", ()):
        dropped = {name: n for name, n in stage.items() if name.startswith("dropped") and n}
        why = ", ".join(f"{n:,} {name.removeprefix('dropped').strip('_') or 'pairs'}" for name, n in dropped.items())
        if dropped:
            found.append(Warned("dropped", f"{stage.get('title', '')}: {why}"))
    found += [Warned("not read", sentence) for sentence in unread(run)]
    return list(dict.fromkeys(found))


def _told(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Who made the results, with what, and when."""
    machine, packages, git = run.get("machine", {}), run.get("packages", {}), run.get("git") or {}
    told = {
        "finished": run.get("finished", ""),
        "command": " ".join(run.get("command", ())),
        "seconds": run.get("seconds", ""),
        "replicates": ", ".join(map(str, run.get("replicates", ()))),
        "seeds": ", ".join(map(str, run.get("seeds", ()))),
        "machine": ", ".join(f"{name} {value}" for name, value in machine.items()),
        "packages": ", ".join(f"{name} {value}" for name, value in packages.items()),
        "commit": f"{git.get('commit', '')}{', with changes' if git.get('dirty') else ''}",
    }
    return [(name, str(value)) for name, value in told.items() if value != ""]


def _stages(run: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """Of each kind of stage, how many there are and how long they took."""
    found: dict[str, list[float]] = {}
    for stage in run.get("stages", ()):
        found.setdefault(str(stage.get("kind")), []).append(float(stage.get("seconds", 0.0)))
    return [(kind, len(seconds), sum(seconds)) for kind, seconds in found.items()]
