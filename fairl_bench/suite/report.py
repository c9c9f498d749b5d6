"""The parts that a report is made of: its tables in order, its figures, and the panels of its page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from fairl_bench.component import tuples
from fairl_bench.guards.views import UNGUARDED, ViewGuard
from fairl_bench.suite.registry import C, Registry
from fairl_bench.suite.suite import TablesByName
from fairl_bench.views import Panel, Report, ReportFigure, ReportTable

_REPORT: TypeAdapter[dict[str, ReportTable]] = TypeAdapter(TablesByName)


_FORMER = {("table2", "metrics"), ("table2", "spread")}
"""Settings in folders from before tables were parts; they meant nothing."""


def read_report(content: Mapping[str, Any], registry: Registry) -> Report:
    """The tables of a saved suite's report; those of plugins that are not here are left out.

    Raises pydantic's ``ValidationError``.
    """
    names = registry.names("table")
    of_known_tables = {
        name: {field: value for field, value in settings.items() if (name, field) not in _FORMER}
        for name, settings in content.items()
        if name in names and settings is not None
    }
    return _REPORT.validate_python(tuples(of_known_tables), context=registry.context())


def tables_of(report: Report, registry: Registry, guard: ViewGuard = UNGUARDED) -> list[ReportTable]:
    """The tables to make in the order of registration: those that a report names, and those that are always made."""
    tables = []
    for name in registry.in_order("table"):
        with guard.call("table", name):
            part = report[name] if name in report else registry.find("table", name)
            if isinstance(part, ReportTable):
                tables.append(part)
            elif issubclass(part, ReportTable) and part.always:
                tables.append(part.named(name))
    return tables


def names_to_ask_for(registry: Registry) -> set[str]:
    """The names of the tables that are made only where a report asks for them."""
    parts = {name: registry.find("table", name) for name in registry.names("table")}
    return {name for name, part in parts.items() if issubclass(part, ReportTable) and not part.always}


def figures_of(registry: Registry, guard: ViewGuard = UNGUARDED) -> list[ReportFigure]:
    """The figures to draw, in the order in which they are registered."""
    return _every(ReportFigure, registry, guard)


def panels_of(registry: Registry, guard: ViewGuard = UNGUARDED) -> list[Panel]:
    """The sections of the page, in the order in which they are registered."""
    return _every(Panel, registry, guard)


def _every(kind: type[C], registry: Registry, guard: ViewGuard) -> list[C]:
    """Every part of a kind, as it is without settings."""
    parts = []
    for name in registry.in_order(kind.kind):
        with guard.call(kind.kind, name):
            parts.append(registry.build(kind, {"use": name}))
    return parts
