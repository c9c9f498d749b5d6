"""What the page shows of re-alignments: the same prompts as the base and as each method's model completes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from fairl_bench.html.examples import cut
from fairl_bench.values.coordinates import Row, Setting
from fairl_bench.values.realigned import Realigned

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 300  # prompts and draws of all views together, ...
LETTERS: Final = 1_000_000  # ... and their letters: beside the failures the page stays below 8 MB

_Key = tuple[int, int]  # row of the prompt, draw
_Said = Mapping[_Key, tuple[str, str, bool]]  # prompt, text, whether it is toxic


def samples(found: Iterable[Realigned], order: Sequence[Row]) -> list[dict[str, Any]]:
    """One view a model, encoder and variant: of its first replicate and seed the first draws of every prompt.

    They are not chosen by what they say.  Methods come as in ``order``.
    """
    views: dict[Setting, list[Realigned]] = {}
    places = {row: at for at, row in enumerate(order)}
    for one in sorted(found, key=lambda one: places.get(one.cell.row, len(places))):
        views.setdefault(one.cell.setting, []).append(one)
    rows, letters, shown = ROWS, LETTERS, []
    for index, members in enumerate(views.values()):
        left = len(views) - index
        view = _view(_first(members), rows // left, letters // left)
        if view["row"]:
            rows -= len(view["row"])
            letters -= _letters(view)
            shown.append(view)
    return shown


def _first(members: Sequence[Realigned]) -> list[Realigned]:
    """Each method's run of the first replicate, in the first seed that any has; a run without a seed stands in any."""
    replicate = min(one.cell.replicate for one in members)
    mine = [one for one in members if one.cell.replicate == replicate]
    seed = min((one.cell.seed for one in mine if one.cell.seed is not None), default=None)
    return [one for one in mine if one.cell.seed in (seed, None)]


def _view(members: Sequence[Realigned], rows: int, letters: int) -> dict[str, Any]:
    base = _said(members[0].phase("before"))
    after = {one.cell.method: _said(one.phase("after")) for one in members}
    every = [base, *after.values()]
    keys = sorted(set(base).intersection(*after.values()), key=lambda key: (key[1], key[0]))
    kept: list[_Key] = []
    for key in keys[:rows]:
        letters -= sum(len(cut(said[key][1])) for said in every) + len(cut(base[key][0]))
        if letters < 0:
            break
        kept.append(key)
    kept.sort()
    prompts = list(dict.fromkeys(base[key][0] for key in kept))
    codes = {prompt: code for code, prompt in enumerate(prompts)}
    first = members[0].cell
    return {
        **first.setting._asdict(),
        "replicate": first.replicate,
        "seed": next((one.cell.seed for one in members if one.cell.seed is not None), None),
        "prompts": [cut(prompt) for prompt in prompts],
        "prompt": [codes[base[key][0]] for key in kept],
        "row": [row for row, _ in kept],
        "draw": [draw for _, draw in kept],
        "base": _column(base, kept),
        "after": [{"method": method, **_column(said, kept)} for method, said in after.items()],
        "left": len(keys) - len(kept),
    }


def _said(rows: pa.Table) -> _Said:
    columns = (rows[name].to_pylist() for name in ("row", "draw", "prompt", "text", "toxic"))
    return {(row, draw): (prompt, text, bool(bad)) for row, draw, prompt, text, bad in zip(*columns, strict=True)}


def _column(said: _Said, keys: Sequence[_Key]) -> dict[str, Any]:
    return {"text": [cut(said[key][1]) for key in keys], "toxic": [int(said[key][2]) for key in keys]}


def _letters(view: Mapping[str, Any]) -> int:
    columns = [view["base"], *view["after"]]
    return sum(len(text) for column in columns for text in column["text"]) + sum(map(len, view["prompts"]))
