"""The drop-in judge on alt-profanity-check: with a stand-in for the package, and with the real one where it is."""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from stand_ins import PROFANITY, profanity_package

from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_judge
from fairl_bench.values.data import Examples, Truth

PLUGIN = Path(__file__).parent.parent / "plugins" / "profanity_judge.py"
OTHER_VERSION = """
import warnings
from sklearn.exceptions import InconsistentVersionWarning

warnings.warn(
    InconsistentVersionWarning(estimator_name="A", current_sklearn_version="1", original_sklearn_version="2")
)
"""


@pytest.fixture
def registry() -> Registry:
    return Registry([PLUGIN], installed=False)


@pytest.fixture
def plugin(registry: Registry) -> ModuleType:
    (found,) = (one for one in registry._manager.get_plugins() if getattr(one, "__file__", "") == str(PLUGIN))
    return found  # type: ignore[no-any-return]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name, in place of the real one; its module."""
    return profanity_package(tmp_path / "site-packages", monkeypatch)


def build(registry: Registry, **fields: Any) -> Judge:
    return registry.build(Judge, {"use": "profanity-check", **fields})


def truth(judge: Judge, *texts: str) -> Truth:
    return judge.judge(Examples(texts))["gold"]


def test_its_value_is_the_log_odds_of_being_clean(registry: Registry, stand_in: Path) -> None:
    value, label = truth(build(registry), "a rose", "a rotten rose", "surely a rose")
    assert value.tolist() == pytest.approx([np.log(3), -np.log(3), -np.log(1e7)], rel=1e-6)
    assert label.tolist() == [1, -1, -1]
    assert label.dtype == np.int8


def test_its_threshold_is_a_probability_of_being_clean(registry: Registry, stand_in: Path) -> None:
    texts = "a rose", "a rotten rose"
    assert truth(build(registry, threshold=0.2), *texts).label.tolist() == [1, 1]
    assert truth(build(registry, threshold=0.75), *texts).label.tolist() == [-1, -1]


def test_it_keeps_the_contract(registry: Registry, stand_in: Path) -> None:
    check_judge(build(registry), registry=registry)
    assert len(truth(build(registry)).value) == 0


def test_another_version_of_the_package_is_another_judge(registry: Registry, stand_in: Path) -> None:
    judge = build(registry)
    judge.check()
    assert judge.reads() == {"alt-profanity-check": "0.7"}


def test_a_package_that_is_not_there_is_asked_for(
    registry: Registry, plugin: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(plugin, "version", missing)
    with pytest.raises(
        DataError, match=r"needs the package alt-profanity-check; pip install 'fairl-bench\[profanity\]"
    ):
        build(registry).check()


def test_a_model_of_another_scikit_learn_is_refused(registry: Registry, stand_in: Path) -> None:
    stand_in.write_text(OTHER_VERSION + PROFANITY)
    with pytest.raises(DataError, match="saved with another scikit-learn than is installed; pip install"):
        truth(build(registry), "a rose")


# --- the package itself


def test_the_real_one_tells_kind_texts_from_rude_ones(registry: Registry) -> None:
    pytest.importorskip("profanity_check", reason="needs alt-profanity-check: tox -e profanity")
    judge = build(registry)
    judge.check()
    check_judge(judge, registry=registry)
    kind, rude = ("Thank you, the cake was lovely.", "I agree."), ("Shut up, you stupid fool.", "What an idiot.")
    value, label = truth(judge, *kind, *rude)
    assert label.tolist() == [1, 1, -1, -1]
    assert value[:2].min() > value[2:].max() + 4


def test_the_real_one_agrees_with_labels_of_toxicity(registry: Registry) -> None:
    pytest.importorskip("profanity_check", reason="needs alt-profanity-check: tox -e profanity")
    path = Path(os.environ.get("FAIRL_DATA", "")) / "rtp_continuations_labeled.jsonl"
    if not path.is_file():
        pytest.skip("data of FAIRL_DATA")
    from fairl_bench.science.classification import auc

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    value = truth(build(registry), *(row["text"] for row in rows)).value
    assert auc(value, [-1 if row["toxic"] else 1 for row in rows]) > 0.85
