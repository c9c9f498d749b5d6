"""The generated pages of the reference: the keys of a suite, every part, shared settings, and the names of Python."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, get_args

import fairl_bench
import fairl_bench.testing
from fairl_bench import _homes
from fairl_bench.cli.parts import given_to, metrics_of
from fairl_bench.component import Component, Settings
from fairl_bench.kinds import KINDS
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.schema import fields, json_schema
from fairl_bench.suite.suite import Suite

ROOT = Path(__file__).parents[2]
Row = tuple[str, str, str, str]  # of a field: its name, type, default, and what it is
HEAD = "| field | type | default | what it is |\n|---|---|---|---|\n"
API = {
    "run": (
        "Python: check, run, read",
        "What a notebook or a script calls. [From Python](python.md) says how they are used together.",
        ("api", "preview", "reward", "errors"),
    ),
    "parts": (
        "Python: parts of your own",
        "What a [plugin](hooks.md) subclasses, registers and is given.",
        ("component", "kinds", "pairwise", "hookspecs", "executor", "guards", "progress", "science", "suite"),
    ),
    "values": (
        "Python: values",
        "What parts are given and give, and what [tables, figures and panels](../how-to/views.md) are made of.",
        ("values", "views", "material", "metrics", "results"),
    ),
}
"""By the end of a page's name: its title, its first sentence, and the modules whose public names it has."""


def pages(repository: str) -> Mapping[str, str]:
    """Every generated page of the reference by its path in ``docs``, in Markdown."""
    registry = Registry(installed=False)
    parts = {f"reference/parts/{kind}.md": _kind(kind, registry, repository) for kind in KINDS}
    names = {f"reference/api-{name}.md": _names(*page) for name, page in API.items()}
    return {
        "reference/suite-keys.md": _suite(registry),
        "reference/settings.md": _settings(registry),
        **parts,
        **names,
        "reference/api-testing.md": _checks(),
    }


def _suite(registry: Registry) -> str:
    """The keys of a suite, and the settings that stand below some of them."""
    schema, rows = json_schema(registry), fields(Suite)
    named = {row[0] for row in rows}
    more = [
        (name, "text", "none", str(entry.get("description", "")))
        for name, entry in schema["properties"].items()
        if name not in named
    ]
    of_all = schema["properties"]
    order = [_told(*row) for row in sorted([*rows, *more], key=lambda row: list(of_all).index(row[0]))]
    return (
        "# The keys of a suite\n\n"
        f"{schema['description']} `fairl-bench schema` prints all of this, with the fields of every part, for an "
        "editor; [Suites](suites.md) says what else a suite may hold.\n\n"
        + _table(order)
        + "\nWhere a type is the name of a kind, [parts](parts.md) of that kind stand there, each with `use:` and its "
        "fields.\n\n" + "\n".join(_section(one) for one in _below(Suite))
    )


def _told(name: str, kind: str, default: str, said: str) -> Row:
    """The row of a key, with what its type says of it where it says nothing itself."""
    if name not in Suite.model_fields:
        return name, kind, default, said
    annotation = Suite.model_fields[name].annotation
    inside = next(_classes(annotation), None)
    if inside is not None:
        default, kind = (
            ("below" if default.startswith("{") else default),
            f"[{inside.__name__}](#{inside.__name__.lower()})",
        )
        return name, kind, default, said or _prose(inside).splitlines()[0]
    found = re.search(r"Named\[[\w.]*?(\w+)\]", str(annotation))
    return name, kind.replace("{name, part}", f"{found[1].lower()}, with a name" if found else kind), default, said


def _settings(registry: Registry) -> str:
    """Settings that are fields of parts."""
    own = set(_below(Suite))
    found = {one.__name__: one for kind in KINDS for part in _parts(kind, registry) for one in _below(part)}
    text = "# Settings of parts\n\nSome fields of [parts](parts.md) hold several settings.\n\n"
    return text + "\n".join(_section(found[name]) for name in sorted(found) if found[name] not in own)


def _section(settings: type[Settings]) -> str:
    return f"## {settings.__name__}\n\n{_prose(settings)}\n\n{_table(fields(settings))}\n"


def _kind(kind: str, registry: Registry, repository: str) -> str:
    """All parts of a kind; a row that the tables of all would have is said once, before them."""
    parts = list(_parts(kind, registry))
    first, *others = map(fields, parts)
    shared = [row for row in first if all(row in rows for rows in others)]
    told = [_part(name, part, repository, shared) for name, part in zip(registry.names(kind), parts, strict=True)]
    before = (
        [f"Every {kind} has these fields, and those of its own table:", *_fields(parts[0], shared)] if shared else []
    )
    return f"# Parts: {kind}\n\n" + "\n\n".join([_prose(KINDS[kind]), *before, *told]) + "\n"


def _part(name: str, part: type[Component], repository: str, shared: Sequence[Row]) -> str:
    """One part: what it is, the fields that not all of its kind have, what it declares, and where its code is."""
    own = [row for row in fields(part) if row not in shared]
    concept = getattr(part, "concept", "")
    said = [
        f"## {name}",
        _prose(part),
        *(_fields(part, own) if own else [f"It has no {'further ' if shared else ''}fields."]),
        f"Measures: {concept}." if isinstance(concept, str) and concept else "",
        given_to(part),
        _declared(metrics_of(part)),
        f"Code: {_code(part, repository)}.",
    ]
    return "\n\n".join(filter(None, said))


def _fields(part: type[Component], rows: Sequence[Row]) -> list[str]:
    """Some fields of a part as a table, and links to the settings that they hold."""
    held = (part.model_fields[name].annotation for name, *_ in rows)
    settings = dict.fromkeys(one for annotation in held for one in _classes(annotation))
    links = ", ".join(f"[{one.__name__}]({_home(one)}#{one.__name__.lower()})" for one in settings)
    return [_table(rows), f"Settings: {links}." if links else ""]


def _declared(metrics: str) -> str:
    """The metrics of an evaluator as a list."""
    if not metrics.startswith("metrics:"):
        return metrics
    lines = [line.strip().partition(": ") for line in metrics.splitlines()[1:]]
    return "Metrics:\n\n" + "\n".join(f"- `{name}`: {what}" for name, _, what in lines)


def _home(settings: type[Settings]) -> str:
    """The page that describes these settings, as seen from the page of a kind."""
    return "../suite-keys.md" if settings in _below(Suite) else "../settings.md"


def _code(part: type, repository: str) -> str:
    """A link to the class in the repository."""
    path = Path(inspect.getsourcefile(part) or "").relative_to(ROOT)
    line = inspect.getsourcelines(part)[1]
    return f"[`{path}`]({repository}/blob/main/{path}#L{line})"


def _table(rows: Iterable[Row]) -> str:
    """Fields as a table in Markdown."""
    cells = (
        (f"`{name}`", kind, default if default == "required" else f"`{default}`", said)
        for name, kind, default, said in rows
    )
    return HEAD + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in cells)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _prose(of: type | ModuleType) -> str:
    """A docstring as Markdown; what it says of a page of these docs is in the reference, too."""
    text = re.sub(r"``(.+?)``", r"`\1`", inspect.cleandoc(of.__doc__ or ""))
    return re.sub(r"docs/[\w/-]*?([\w-]+)\.md", r"the page *\1*", text)


def _parts(kind: str, registry: Registry) -> Iterator[type[Component]]:
    return (registry.find(kind, name) for name in registry.names(kind))


@cache
def _below(of: type) -> tuple[type[Settings], ...]:
    """The settings that the fields of a class hold, and those that these hold; no parts."""
    found: dict[type[Settings], None] = {}
    for field in of.model_fields.values():
        for one in _classes(field.annotation):
            found |= dict.fromkeys((one, *_below(one)))
    return tuple(found)


def _classes(annotation: Any) -> Iterator[type[Settings]]:
    settings = isinstance(annotation, type) and issubclass(annotation, Settings)
    if settings and not issubclass(annotation, Component) and not annotation.__name__.startswith("Named["):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def _names(title: str, first: str, modules: tuple[str, ...]) -> str:
    """The public names whose modules these are, for mkdocstrings to fill in."""
    text = [f"# {title}\n\n{first} All of them are imported from `fairl_bench`."]
    for name in sorted(fairl_bench.__all__, key=str.lower):
        home = _homes()[name]
        if home.removeprefix("fairl_bench.").split(".")[0] in modules and home.startswith("fairl_bench."):
            text.append(f"::: {home}.{name}")
    return "\n\n".join(text) + "\n"


def _checks() -> str:
    """The checks that a plugin's tests run: what the module says, then each function."""
    prose = _prose(fairl_bench.testing)
    # the one block of code, which begins after '::' and is indented
    prose = re.sub(
        r"::\n\n((?:(?:    .*)?\n)+)", lambda code: f":\n\n```python\n{dedent(code[1]).strip()}\n```\n\n", prose
    )
    tree = ast.parse(Path(fairl_bench.testing.__file__).read_text())
    homes = {alias.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    names = sorted(homes, key=lambda name: (not name.startswith("check_"), name.lower()))
    blocks = "\n\n".join(f"::: {homes[name]}.{name}" for name in names)
    return f"# Python: checks for the tests of a plugin\n\n{prose}\n\n{blocks}\n"
