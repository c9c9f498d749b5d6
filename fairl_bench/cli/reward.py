"""``fairl-bench score``, ``serve`` and ``export``: a saved reward for lines of text, over HTTP, and for others."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fairl_bench.cli.options import PLUGIN, Whole

if TYPE_CHECKING:
    from fairl_bench.reward.function import RecoveredReward

_REWARD = click.argument("reward", type=click.Path(path_type=Path))
_ENCODER = click.option(
    "--encoder", multiple=True, metavar="FIELD=VALUE", help="A field of its encoder that differs here: model=FOLDER."
)
_UPSTREAM = click.option(
    "--upstream",
    multiple=True,
    metavar="ROLE=FOLDER",
    help="Where a language model lies that its encoder starts from (lm) or its method reads (method/base).",
)


@click.command()
@_REWARD
@click.option(
    "--read",
    type=click.Choice(["text", "jsonl"]),
    default="text",
    show_default=True,
    help="What a line is: a text, or JSON with 'text' and, for a reward that reads prompts, 'prompt'.",
)
@click.option("--format", "form", type=click.Choice(["plain", "csv", "jsonl"]), default="plain", show_default=True)
@PLUGIN
@_ENCODER
@_UPSTREAM
def score(
    reward: Path,
    read: Literal["text", "jsonl"],
    form: Literal["plain", "csv", "jsonl"],
    plugin: tuple[Path, ...],
    encoder: tuple[str, ...],
    upstream: tuple[str, ...],
) -> None:
    """Print the reward of each line of the standard input by REWARD, a folder that a run wrote to RESULTS/rewards."""
    from fairl_bench.cli.streams import print_data, standard_input
    from fairl_bench.reward.score import score as scored

    found = _saved(reward, plugin, encoder, upstream)
    print_data(scored(found, standard_input(), read=read, form=form, say=_say))


@click.command()
@_REWARD
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others reach 0.0.0.0 too.")
@click.option("--port", type=Whole(0, 65535), default=8000, show_default=True, help="0: any free one.")
@click.option("--strip", multiple=True, metavar="TOKEN", help="A special token to take off a completion's ends.")
@click.option("--allow-host", "names", multiple=True, metavar="NAME", help="Another name that it may be asked by.")
@PLUGIN
@_ENCODER
@_UPSTREAM
def serve(
    reward: Path,
    host: str,
    port: int,
    strip: tuple[str, ...],
    names: tuple[str, ...],
    plugin: tuple[Path, ...],
    encoder: tuple[str, ...],
    upstream: tuple[str, ...],
) -> None:
    """Serve REWARD, a folder that a run wrote to RESULTS/rewards, over HTTP, as OpenRLHF's remote reward model.

    POST /get_reward takes {"query": [...], "prompts": [...]} and gives {"rewards": [...]}; GET /health says that it
    runs.  It asks nobody who they are.
    """
    from fairl_bench.reward.serve import server

    found = _saved(reward, plugin, encoder, upstream)
    with server(found, host, port, strip=strip, names=names, say=_say) as listening:
        click.echo(f"{found.name} at {listening.url}/get_reward; stop with Ctrl-C")
        code = listening.run()
        _say("stopped")
        if listening.busy:  # with a text that takes for ever, and whose thread would be waited for
            sys.stdout.flush()
            os._exit(code)
    sys.exit(code)


@click.command()
@click.argument("saved", metavar="REWARD", type=click.Path(path_type=Path))
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice(["transformers", "sentence-transformers"]),
    help="The library that is to load it.  [default: the best one]",
)
@click.option("--push", "repository", metavar="REPO", help="Put it into a repository NAME/REPO of the hub, too.")
@click.option("--public", is_flag=True, help="Make a new repository public; without it, it is private.")
@click.option("--license", "licence", metavar="ID", help="What the card names, as apache-2.0.  [default: the model's]")
@PLUGIN
@_ENCODER
@_UPSTREAM
def export(
    saved: Path,
    folder: Path | None,
    to: Literal["transformers", "sentence-transformers"] | None,
    repository: str | None,
    public: bool,
    licence: str | None,
    plugin: tuple[Path, ...],
    encoder: tuple[str, ...],
    upstream: tuple[str, ...],
) -> None:
    """Write REWARD, a folder that a run wrote to RESULTS/rewards, as a model FOLDER that others load without us.

    A results folder in its place is put into a data set of the hub, with Table 1 on its card.
    """
    from fairl_bench.export.export import export_results, export_reward, is_results

    if is_results(saved):
        said = export_results(saved, folder, repository, to=to, public=public, licence=licence)
    else:
        found = _saved(saved, plugin, encoder, upstream)
        said = export_reward(found, saved, folder, repository, to=to, public=public, licence=licence)
    for line in said:
        click.echo(line)


def _say(message: str) -> None:
    from fairl_bench.guards.printable import printable

    click.echo(printable(message), err=True)


def _saved(
    reward: Path, plugins: tuple[Path, ...], encoder: tuple[str, ...], upstream: tuple[str, ...]
) -> RecoveredReward:
    from fairl_bench.guards.isolation import isolated
    from fairl_bench.reward.load import load_reward

    fields, started = _assigned("--encoder", encoder), _assigned("--upstream", upstream)
    with isolated():
        return load_reward(reward, plugins=plugins, encoder=fields, upstream=started)


def _assigned(option: str, given: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` by name, the value as YAML has it."""
    from fairl_bench.errors import FairlError
    from fairl_bench.suite.yaml import parse_value

    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise FairlError(f"{option} {one}: needs NAME=VALUE")
        found[name] = parse_value(value, (Path(f"{option} {one}"), None))
    return found


COMMANDS = (score, serve, export)
