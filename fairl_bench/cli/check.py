"""``fairl-bench check``: whether a suite can be run, and what that would cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairl_bench.cli.options import SET, STORE, SUITE

if TYPE_CHECKING:
    from fairl_bench.engine.split_sizes import Sizes


@click.command()
@SUITE
@SET
@STORE
def check(suite: Path, options: tuple[str, ...], store: str | None) -> None:
    """Check SUITE without running it: names, fields, references, data files; then show the plan and its cost."""
    from fairl_bench.engine.estimate import estimate
    from fairl_bench.engine.planner import plan
    from fairl_bench.engine.split_sizes import checked_sizes
    from fairl_bench.isolation import isolated
    from fairl_bench.store.place import default_store, open_store
    from fairl_bench.suite.parts import check_parts
    from fairl_bench.suite.read import read_study
    from fairl_bench.suite.unread import cut_off

    with isolated():
        study = read_study(suite, options)
        remarks = check_parts(study)
        made = plan(study)
        opened = open_store(store or default_store())
        split = list(split_lines(checked_sizes(study, made, opened)))
        work = estimate(made, opened, study.registry)
    variants = f", {len(study.variants)} variants" if len(study.variants) > 1 else ""
    click.echo(f"{suite}: fine; {len(made.cells)} cells{variants}")
    for remark in remarks:
        click.echo(f"note: {remark}")
    width = max(11, *map(len, work.stages))
    for kind, (finished, total) in work.stages.items():
        click.echo(f"  {kind:<{width}} {total:>5}" + (f", {finished} finished" if finished else ""))
    for line in (*split, *cut_off(study)[:20]):
        click.echo(line)
    texts = "an unknown number of" if work.texts is None else f"{work.texts:,}"
    steps = "an unknown number of" if work.steps is None else f"at most {work.steps:,}"
    click.echo(f"to do: {texts} texts to embed, {steps} steps to train")
    if work.models or work.completions:
        click.echo(f"and {work.models} language models to make or look up, {work.completions:,} completions to draw")
    if (seconds := work.seconds()) is not None:
        roughly = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        apart = ", language models apart" if work.models else ""
        click.echo(f"roughly {roughly} on two cores with the small encoder{apart}" if seconds else "nothing to compute")


def split_lines(sizes: Iterable[Sizes], most: int = 20) -> Iterator[str]:
    """One line for each model and sizes of its split, with the replicates that have them; at most so many lines."""
    alike: dict[tuple[str, tuple[tuple[str, int], ...]], list[int]] = {}
    for split in sizes:
        alike.setdefault((split.model, tuple(split.counts.items())), []).append(split.replicate)
    for number, ((model, counts), replicates) in enumerate(alike.items()):
        if number == most:
            yield f"and {len(alike) - most} more splits"
            return
        each = ", ".join(f"{n:,} {name}" for name, n in counts)
        yield f"split of {model}, replicate{'s' if len(replicates) > 1 else ''} {_ranges(replicates)}: {each}"


def _ranges(numbers: list[int]) -> str:
    """Whole numbers, those in a row as a range.

    >>> _ranges([0, 1, 2, 5])
    '0-2, 5'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


COMMANDS = (check,)
