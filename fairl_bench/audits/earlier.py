"""The results of an earlier audit that a new one would replace."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairl_bench.errors import FairlError
from fairl_bench.guards.isolation import isolated
from fairl_bench.results.folder import SUITE


def replaced(folder: Path, suite: Mapping[str, Any]) -> str:
    """The day of the results in a folder that are of another request under the same name; empty where none are."""
    from fairl_bench.suite.read import read_study
    from fairl_bench.suite.yaml import dump, load, load_written

    try:
        earlier = load(folder / SUITE, variables=False).content
        if earlier.get("name") != suite["name"]:
            return ""
        with isolated():
            now = read_study(suite).suite.shown()  # with all that it leaves unsaid, as a run writes it
        return "" if earlier == load_written(dump(now)) else _day(folder)
    except (FairlError, OSError):  # none, or damaged: the run says what is to be said
        return ""


def _day(folder: Path) -> str:
    """The day on which results were finished; where they do not say, that on which their suite was written."""
    try:
        return str(datetime.fromisoformat(json.loads((folder / "run.json").read_bytes())["finished"]).date())
    except (OSError, ValueError, KeyError, TypeError):
        return str(datetime.fromtimestamp((folder / SUITE).stat().st_mtime, UTC).date())
