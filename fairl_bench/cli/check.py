"""``fairl-bench check``: whether a suite can be run, and what that would cost."""

from __future__ import annotations

from pathlib import Path

import click

from fairl_bench.cli.options import SET, STORE, SUITE


@click.command()
@SUITE
@SET
@STORE
def check(suite: Path, options: tuple[str, ...], store: str | None) -> None:
    """Check SUITE, a YAML file or a name of `list suites`: names, fields, references, data files.

    Nothing is run.  What a run would do is shown, and its cost.
    """
    from fairl_bench import api

    click.echo(api.check(suite, store=store, set=options))


COMMANDS = (check,)
