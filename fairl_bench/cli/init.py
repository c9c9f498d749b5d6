"""``fairl-bench init``: a first suite on data at hand, written to be changed."""

from __future__ import annotations

from pathlib import Path

import click

from fairl_bench.cli.options import columns_by_field


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--pairs", type=click.Path(path_type=Path), help="On a file of pairs: JSON lines or CSV.")
@click.option("--columns", metavar="FIELD=COLUMN,...", help="Columns of --pairs: preferred=A,rejected=B,prompt=C.")
@click.option("--models", nargs=2, metavar="BASE EXPERT", help="On two language models, named as `audit` takes them.")
@click.option("--prompts", type=click.Path(path_type=Path), help="What they complete, one a line.  [default: openings]")
@click.option("--api-key-env", metavar="NAME", help="Environment variable with the key of a server.")
def init(
    file: Path,
    pairs: Path | None,
    columns: str | None,
    models: tuple[str, str] | None,
    prompts: Path | None,
    api_key_env: str | None,
) -> None:
    """Write FILE, a first suite with comments, which `check` passes and `run` finishes in minutes.

    It is on a file of --pairs or on two --models; without either on a synthetic world, whose reward is known.
    """
    from fairl_bench import api
    from fairl_bench.errors import FairlError
    from fairl_bench.first_suite import FirstSuite
    from fairl_bench.suite.yaml import parse_value

    if file.exists():
        raise FairlError(f"{file} is there already, and is left as it is; name another file")
    first = FirstSuite(
        path=file,
        pairs=pairs,
        columns=columns_by_field(columns),
        models=models,
        prompts=prompts,
        api_key_env=api_key_env,
    )
    checked = api.check(parse_value(first.text(absolute=True), (file, None)))  # before anything is written
    text = first.text()
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise FairlError(
            f"{file} cannot be written: {error.strerror}; name a file in a folder that is there"
        ) from error
    click.echo(f"{file} is written: {', '.join(checked.notes)}" if checked.notes else f"{file} is written")
    click.echo(f"what to type next:\n  fairl-bench check {file}\n  fairl-bench run {file}")


COMMANDS = (init,)
