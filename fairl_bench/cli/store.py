"""``fairl-bench store``: what finished work takes up, whether it is whole, and what may go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairl_bench.cli.options import NamedFile
from fairl_bench.cli.tables import print_tables

if TYPE_CHECKING:
    from fairl_bench.store.store import Store

_STORE = click.option("--store", "place", metavar="PLACE", help="Folder or URL of the store.  [default: FAIRL_STORE]")
_FORMAT = click.option(
    "--format", "form", type=click.Choice(["terminal", "md", "csv", "json"]), default="terminal", show_default=True
)
_KIND = click.option("--kind", "kinds", multiple=True, help="Only of this kind, such as embeddings.")


@click.group()
def store() -> None:
    """Look after the store of finished work."""


def _open(place: str | None) -> Store:
    """The store, which must be there already: a misspelt one is not to be made."""
    from fairl_bench.errors import StoreError
    from fairl_bench.store.place import default_store, open_store

    where = place or default_store()
    if "://" not in where and not Path(where).is_dir():
        raise StoreError(f"there is no store in {where}; name one with --store or FAIRL_STORE")
    return open_store(where)


@store.command()
@_STORE
@_KIND
@_FORMAT
def ls(place: str | None, kinds: tuple[str, ...], form: str) -> None:
    """List the artefacts: kind, title, size, age, key."""
    from fairl_bench.errors import FairlError, suggest
    from fairl_bench.guards.secrets import hidden
    from fairl_bench.store.housekeeping import entries
    from fairl_bench.store.listing import listing

    opened = _open(place)
    artefacts = entries(opened)
    known = {artefact.kind for artefact in artefacts}
    for kind in kinds:
        if kind not in known:
            raise FairlError(f"--kind {kind}: the store {opened.place} has none; {suggest(kind, known)}")
    shown = [artefact for artefact in artefacts if not kinds or artefact.kind in kinds]
    print_tables([listing(shown, f"Store {hidden(opened.place)}")], form)


@store.command()
@_STORE
@_FORMAT
def size(place: str | None, form: str) -> None:
    """Show how much each kind takes up, checkpoints and damaged artefacts too."""
    from fairl_bench.guards.secrets import hidden
    from fairl_bench.store.housekeeping import entries, leftovers
    from fairl_bench.store.listing import totals

    opened = _open(place)
    print_tables([totals([*entries(opened), *leftovers(opened)], f"Store {hidden(opened.place)}")], form)


@store.command()
@_STORE
@click.option("--repair", is_flag=True, help="Set damaged artefacts aside: the next run makes them again.")
def verify(place: str | None, repair: bool) -> None:
    """Check every artefact against its checksums; exit code 1 where one is damaged."""
    from fairl_bench.store.housekeeping import damage, unsealed

    opened = _open(place)
    number = len(opened.keys())
    damaged = list(damage(opened))
    for error in damaged:
        click.echo(f"{error}; moved to {opened.set_aside(error.key)}" if repair else f"{error}")
    if not damaged:
        click.echo(f"{number} artefacts, all whole")
        if old := unsealed(opened):
            click.echo(f"{old} of them of an earlier version, whose manifests have no checksum until they are used")
    elif repair:
        click.echo(
            f"{len(damaged)} of {number} artefacts were damaged and are set aside: the next run makes them again"
        )
    else:
        click.echo(f"{len(damaged)} of {number} artefacts are damaged; set them aside with --repair", err=True)
        sys.exit(1)


@store.command()
@_STORE
@click.option(
    "--keep",
    multiple=True,
    metavar="SUITE",
    type=NamedFile("suite"),
    help="Remove what none of these suites needs; may be given again.",
)
@click.option("--older-than", metavar="AGE", help="Remove what was made longer ago: 12h, 30d, 8w.")
@click.option("--yes", is_flag=True, help="Do it; without, only what would go is shown.")
@_FORMAT
def prune(place: str | None, keep: tuple[Path, ...], older_than: str | None, yes: bool, form: str) -> None:
    """Remove what is not needed; what a running suite uses is always kept.

    With --keep and --older-than, what is removed must meet both.  With neither, artefacts are kept, and only damaged
    ones, half-written ones of dead processes and the checkpoints of finished work are removed.
    """
    from fairl_bench.engine.planner import plan
    from fairl_bench.store import housekeeping
    from fairl_bench.store.listing import listing, seconds_of
    from fairl_bench.suite.read import read_study

    opened = _open(place)
    needed = (key for suite in keep for key in plan(read_study(suite)).stages)
    kept, oldest = frozenset(needed) if keep else None, None if older_than is None else seconds_of(older_than)
    rule = housekeeping.Rule(kept, oldest)
    listed = housekeeping.prune(opened, rule) if yes else housekeeping.removable(opened, rule)
    print_tables([listing(listed, "Removed" if yes else "To be removed")], form)
    for run in opened.running():
        click.echo(f"spared: what suite {run.suite!r} uses, run by process {run.pid} on {run.host}", err=True)
    if listed and not yes:
        click.echo("nothing is removed yet: say --yes to do it", err=True)


COMMANDS = (store,)
