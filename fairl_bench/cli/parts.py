"""``list``, ``show``, ``plugins`` and ``schema``: the parts that a suite can name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fairl_bench.cli import completion
from fairl_bench.cli.options import PLUGIN

if TYPE_CHECKING:
    from fairl_bench.suite.named_files import What
    from fairl_bench.suite.registry import Registry


@click.command()
@PLUGIN
def schema(plugin: tuple[Path, ...]) -> None:
    """Print the JSON Schema of suites, with the fields of every part, for an editor."""
    import json

    from fairl_bench.guards.isolation import isolated
    from fairl_bench.suite.schema import json_schema

    registry = _registry(plugin)
    with isolated():
        made = json_schema(registry)
    click.echo(json.dumps(made, indent=1, ensure_ascii=False))


@click.command(name="list")
@click.argument("kind", required=False, shell_complete=completion.kinds)
@PLUGIN
def list_parts(kind: str | None, plugin: tuple[Path, ...]) -> None:
    """List the parts that a suite can name, all or of one KIND.

    `list concepts` lists the judges that say how much of something a text has, and what each measures.  `list suites`
    and `list published` list what comes with the package and can be named without a path.
    """
    from fairl_bench.errors import FairlError, suggest
    from fairl_bench.kinds import KINDS

    if kind is not None and kind in _SHIPPED:
        click.echo(f"{kind}:")
        _list_shipped(_SHIPPED[kind])
        return
    registry = _registry(plugin)
    if kind == _CONCEPTS:
        _list_concepts(registry)
        return
    if kind is not None and kind not in KINDS:
        raise FairlError(f"kind {kind!r} is unknown; {suggest(kind, (*KINDS, *completion.OTHER_LISTS))}")
    for name in [kind] if kind else KINDS:
        click.echo(f"{name}:")
        for part in registry.names(name):
            plugin_of = registry.plugin_of(name, part)
            click.echo(f"  {part:<24} {plugin_of.origin if plugin_of.origin == 'built-in' else plugin_of.name}")


_CONCEPTS = "concepts"  # no kind: they are judges
_SHIPPED: Final[Mapping[str, What]] = {"suites": "suite", "published": "published"}


def _list_shipped(what: What) -> None:
    """Print the name of every file of a kind that comes with the package, and its first sentence."""
    from fairl_bench.suite.named_files import first_sentence, shipped

    for name, file in shipped(what).items():
        click.echo(f"  {name:<29} {first_sentence(file)}")


def _list_concepts(registry: Registry) -> None:
    """Print the name of every concept, what it measures and where it comes from."""
    from fairl_bench.guards.isolation import isolated
    from fairl_bench.suite.concepts import concepts

    with isolated():
        found = concepts(registry)
    click.echo(f"{_CONCEPTS}:")
    for concept in found:
        plugin_of = registry.plugin_of("judge", concept.name)
        origin = plugin_of.origin if plugin_of.origin == "built-in" else plugin_of.name
        click.echo(f"  {concept.name:<24} {concept.measures or 'depends on its fields':<24} {origin}")


@click.command()
@click.argument("name", shell_complete=completion.parts)
@PLUGIN
def show(name: str, plugin: tuple[Path, ...]) -> None:
    """Show the part called NAME: what it is, its fields with defaults and bounds, and where it comes from."""
    import inspect

    from tabulate import tabulate

    from fairl_bench.errors import UnknownName
    from fairl_bench.guards.isolation import isolated
    from fairl_bench.kinds import KINDS
    from fairl_bench.suite.schema import fields

    registry = _registry(plugin)
    kinds = [kind for kind in KINDS if name in registry.names(kind)]
    if not kinds:
        raise UnknownName("part", name, {part for kind in KINDS for part in registry.names(kind)})
    for kind in kinds:
        with isolated():
            part, origin = registry.find(kind, name), registry.plugin_of(kind, name)
            rows = fields(part)
        click.echo(f"{kind} {name}\n\n{inspect.cleandoc(part.__doc__ or '')}\n")
        if isinstance(concept := getattr(part, "concept", ""), str) and concept:
            click.echo(f"measures: {concept}\n")
        heads = ["field", "type", "default", "what it is"]
        click.echo(tabulate(rows, heads, tablefmt="simple", disable_numparse=True) if rows else "It has no fields.")
        for more in filter(None, (metrics_of(part), given_to(part))):
            click.echo(f"\n{more}")
        click.echo(f"\nfrom {origin.name} {origin.version} ({origin.origin}): {_file_of(part)}\n")


def metrics_of(part: type) -> str:
    """The metrics that an evaluator declares, as text; empty for a part of another kind."""
    from fairl_bench.kinds.evaluator import Evaluator
    from fairl_bench.metrics import Metric

    if not issubclass(part, Evaluator):
        return ""
    if not isinstance(part.metrics, tuple):  # a property, which needs the values of the fields
        return "Its metrics depend on its fields."
    return "\n".join(
        ["metrics:", *(f"  {metric.name}: {metric.said}" for metric in part.metrics if isinstance(metric, Metric))]
    )


def given_to(part: type) -> str:
    """What a method is given, where that is more than texts, and whether it is a reference row; else empty."""
    from fairl_bench.kinds.method import Method

    if not issubclass(part, Method):
        return ""
    given = "" if part.given == "texts" or not isinstance(part.given, str) else f"It is given: {part.given}."
    row = "It is a reference row: it stands above the methods, and is neither ranked nor compared."
    return " ".join(filter(None, (given, row if part.reference is True else "")))


def _file_of(part: type) -> str:
    import inspect

    try:
        return inspect.getsourcefile(part) or "no file"
    except TypeError:  # a class that was made, and stands in none
        return "no file"


@click.command()
@PLUGIN
def plugins(plugin: tuple[Path, ...]) -> None:
    """List the plugins: origin, version, hooks, and what is wrong with a broken one; then the drop-ins to choose."""
    for known in _registry(plugin).plugins.values():
        state = f"BROKEN: {known.failure}" if known.failure else ", ".join(known.hooks)
        click.echo(f"{known.name} {known.version} ({known.origin}): {state}")
    click.echo("\nDrop-ins that come with the package, to be named under 'plugins:' in a suite, or by --plugin:")
    _list_shipped("plugin")


def _registry(drop_ins: tuple[Path, ...]) -> Registry:
    from fairl_bench.suite.registry import Registry

    return Registry(drop_ins)


COMMANDS = (schema, list_parts, show, plugins)
