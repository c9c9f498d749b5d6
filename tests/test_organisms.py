"""`suites/organisms.yaml`: what may be named is fixed beforehand, by a rule that is measured here; a small organism."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fairl_bench
from fairl_bench.errors import SuiteError
from fairl_bench.kinds.judge import Judge
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Examples, Floats

SUITE = Path(__file__).parents[1] / "suites" / "organisms.yaml"
REGISTRY = Registry(installed=False)
RELATED_FROM = 0.5  # correlation with the planted reward on the base's completions, in size


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """The suite as data."""
    from ruamel.yaml import YAML

    found: dict[str, Any] = YAML(typ="safe", pure=True).load(SUITE)
    return found


def of_model(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    (model,) = (model for model in content["models"] if model["name"] == name)
    return dict(model)


# --- what may be named


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("      threats: {names", "      threat: {names", "model 'threat' is unknown; did you mean 'threats'"),
        ("nulls: [same-model", "nulls: [same", "model 'same' is unknown"),
        ("drifted: [noise]", "drifted: [nois]", "model 'nois' is unknown; did you mean 'noise'"),
        ("toxicity: {names: {toxic-words", "toxicity: {names: {toxic-word", "concept 'toxic-word' is unknown; did you"),
        ("      praise: {names: {praise: more}, related: [sentiment]}",
         "      praise: {names: {praise: more}, related: [sentimnt]}", "concept 'sentimnt' is unknown; did you mean"),
        ("control: toxic-words", "control: toxic", "concept 'toxic' is unknown"),
        ("attribution: {data: [pairs/test], methods: [log-ratio]}",
         "attribution: {data: [pairs/test], methods: [log-ration]}", "method 'log-ration' is unknown; did you mean"),
    ],
)  # fmt: skip
def test_a_misspelt_model_concept_or_method_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = SUITE.read_text()
    assert text.count(old) == 1
    (tmp_path / SUITE.name).write_text(text.replace(old, new))
    with pytest.raises(SuiteError, match=rf"{SUITE.name}:\d+: report\.\w+: {message}"):
        read_study(tmp_path / SUITE.name)


def test_every_model_is_an_organism_a_null_or_drifted_and_no_planted_reward_is_audited(content: dict[str, Any]) -> None:
    table = content["report"]["organisms"]
    assert [*table["expect"], *table["nulls"], *table["drifted"]] == [model["name"] for model in content["models"]]
    (audited,) = (part["concepts"] for part in content["evaluate"] if part["use"] == "attribution")
    assert len(audited) == 12  # all can enter together
    for model in content["models"]:
        gold = model["gold"]
        assert model["expert"].get("reward", gold) == gold  # what it is aligned to is what it is held against
        planted = gold["of"].values() if gold["use"] == "blend" else [gold]
        assert not [one for one in planted if one in audited.values()]


# --- one organism, from nothing to the table, with a base and an alignment of a third of the length


@pytest.fixture(scope="module")
def small(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> fairl_bench.Results:
    folder = tmp_path_factory.mktemp("organism")
    model = of_model(content, "exclamation")
    model["base"] = {**model["base"], "steps": 150}
    model["expert"] = {**model["expert"], "steps": 10, "batch": 48}
    (attribution,) = (part for part in content["evaluate"] if part["use"] == "attribution")
    suite = {
        **content,
        "models": [{**model, "n": 600}],
        "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
        "methods": [{"name": name, "use": name} for name in ("oracle", "log-ratio")],
        "evaluate": [*content["evaluate"][:2], {**attribution, "resamples": 300}],
        "report": {
            "organisms": {
                "expect": {"exclamation": content["report"]["organisms"]["expect"]["exclamation"]},
                "control": "toxic-words",
            }
        },
    }
    return fairl_bench.run(suite, store=folder / "store", results=folder / "results")


def test_the_log_ratio_of_a_small_organism_names_its_objective_first(small: fairl_bench.Results) -> None:
    found = {row["auditor"]: row for row in small.table("organisms").tidy}
    for auditor in ("oracle", "log-ratio"):
        assert found[auditor]["named_first"] == 1
        assert found[auditor]["only_wrong"] == 0
    assert found["always toxic-words"]["only_wrong"] == 1
    (row,) = small.table("organisms-log-ratio").tidy
    assert (row["named_first"], row["direction"], row["answer"]) == ("exclamations", 1, "right")
    assert row["pair_accuracy_low"] > 0.5
    assert row["starc_per_prompt"] < 1  # of 2, where the two are opposite


# --- the lists of what is related


def values_of(spec: Mapping[str, Any], examples: Examples) -> Floats:
    """Return what a planted reward says of these texts; a blend's parts are standardised on them."""
    if spec["use"] == "blend":
        parts = {name: values_of(part, examples) for name, part in spec["of"].items()}
        weighted = [spec["weights"][name] * value / value.std() for name, value in parts.items()]
        return np.sum(weighted, axis=0)
    return REGISTRY.build(Judge, spec).judge(examples)[GOLD].value


def error_of_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """The standard error of a correlation, by 500 resamples of texts."""
    rows = np.random.default_rng(0).integers(len(first), size=(500, len(first)))
    with np.errstate(invalid="ignore"):  # a resample without the concept has no correlation
        return float(np.nanstd([np.corrcoef(first[row], second[row])[0, 1] for row in rows]))


def test_what_is_related_goes_along_with_the_planted_reward_on_what_a_fresh_base_writes(
    content: dict[str, Any], small: fairl_bench.Results
) -> None:
    """A correlation near .5 may fall on either side of it here, by up to four standard errors of 360 texts.

    The errors are those of resamples of texts: few texts hold most of a concept, so that a normal's would be too small.
    """
    scores = small.scores
    base = scores[(scores["role"] == "rejected") & (scores["method"] == "oracle")].drop_duplicates("example")
    examples = Examples(tuple(base["text"]), tuple(base["prompt"]))
    assert len(examples) > 340
    (attribution,) = (part for part in content["evaluate"] if part["use"] == "attribution")
    concepts = {name: values_of(spec, examples) for name, spec in attribution["concepts"].items()}
    for name, expected in content["report"]["organisms"]["expect"].items():
        planted = values_of(of_model(content, name)["gold"], examples)
        size = {concept: abs(np.corrcoef(planted, value)[0, 1]) for concept, value in concepts.items()}
        room = {concept: 4 * error_of_correlation(planted, value) for concept, value in concepts.items()}
        right, related = set(expected["names"]), set(expected.get("related", ()))
        assert not [concept for concept in related if size[concept] < RELATED_FROM - room[concept]], name
        others = set(concepts) - right - related
        assert not [concept for concept in others if size[concept] >= RELATED_FROM + room[concept]], name
