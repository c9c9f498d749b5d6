"""Collects what ``run.json`` says of a run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any, Final

from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.suite.read import Study
from fairl_bench.values.finished import FinishedRun
from fairl_bench.values.run_facts import MethodFacts, RunFacts

_CPUINFO: Final = Path("/proc/cpuinfo")
_PACKAGES: Final = (
    *("fairl-bench", "torch", "transformers", "trl", "sentence-transformers", "scikit-learn", "scipy", "numpy"),
)


def run_facts(study: Study, run: FinishedRun, command: Sequence[str], seconds: float) -> RunFacts:
    """The account of a run, as ``run.json`` keeps it."""
    suite = study.suite
    return RunFacts(
        suite=suite.name,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 2),
        command=list(command),
        machine={
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": sys.version.split()[0],
        },
        packages={name: _version(name) for name in _PACKAGES},
        git=_git(),
        seeds=list(suite.seeds),
        replicates=list(suite.replicates),
        methods=_methods(study),
        unbounded=_unbounded(study),
        failed=dict(run.failed),
        skipped=dict(run.skipped),
        damaged=list(run.damaged),
        warnings=list(run.warnings),
        lost=list(run.lost),
        stages=list(run.stages()),
        rows=run.rows,
    )


def _processor() -> str:
    """The name of the processor: Linux tells it in a file of its own."""
    with suppress(OSError):
        for line in _CPUINFO.read_text("utf-8", "replace").splitlines():
            name, _, told = line.partition(":")
            if name.strip() == "model name" and told.strip():
                return told.strip()
    return platform.processor() or platform.machine()


def _methods(study: Study) -> dict[str, MethodFacts]:
    """The facts of each method; of a product, it bounds a model that it bounds at every one of its points.

    What is estimated at any of its points is estimated.
    """
    answers: dict[tuple[str, str], set[bool]] = {}
    estimated: dict[str, dict[str, str]] = {}
    for suite in study.variants.values():
        for method, model in product(suite.methods, suite.models):
            answers.setdefault((method.name, model.name), set()).add(method.part.bounds(model.part))
            if how := _estimates(method.part.of(model.part)):
                estimated.setdefault(method.name, {}).setdefault(model.name, how)
    bounds = {
        name: [model for (of, model), said in answers.items() if of == name and said == {True}] for name, _ in answers
    }
    return {
        method.name: _facts(method.part, bounds.get(method.name, []), estimated.get(method.name, {}))
        for method in study.suite.methods
    }


def _facts(method: Method, bounds: Sequence[str], estimated: Mapping[str, str]) -> MethodFacts:
    return MethodFacts(method.given, method.reference, method.per_prompt, tuple(bounds), estimated)


def _estimates(method: Method) -> str:
    """How the likelihoods that a method asks for are estimated; empty where all are exact."""
    asked = (start.lm for start in method.upstream().values() if isinstance(start, AskLikelihoods))
    return " and ".join(dict.fromkeys(how for lm in asked if (how := lm.estimates())))


def _unbounded(study: Study) -> dict[str, str]:
    """Why no log-ratio bounds the pairs of each model; of a product, the first reason there is at any of its points."""
    reasons: dict[str, str] = {}
    for suite in study.variants.values():
        for model in suite.models:
            reasons[model.name] = reasons.get(model.name) or model.part.unbounded()
    return reasons


def _version(package: str) -> str:
    """The installed version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git() -> dict[str, Any] | None:
    """The commit of this code, and whether the tree differs from it; None outside a checkout."""

    def git(*arguments: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
