"""`suites/organisms.yaml`: what may be named is fixed beforehand, by a rule that is measured here."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairl_bench.errors import SuiteError
from fairl_bench.suite.read import read_study

SUITE = Path(__file__).parents[1] / "suites" / "organisms.yaml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "      threats: {names",
            "      threat: {names",
            "report.organisms: model 'threat' is unknown; did you mean 'threats'",
        ),
        ("[same-model, constant]", "[same, constant]", "report.organisms: model 'same' is unknown"),
        ("drifted: [noise]", "drifted: [nois]", "report.organisms: model 'nois' is unknown; did you mean 'noise'"),
        (
            "{toxic-words: less}",
            "{toxic-word: less}",
            "report.organisms: concept 'toxic-word' is unknown; did you mean",
        ),
        (
            "      praise: {names: {praise: more}, related: [sentiment]}",
            "      praise: {names: {praise: more}, related: [sentimnt]}",
            "report.organisms: concept 'sentimnt' is unknown; did you mean",
        ),
        ("control: toxic-words", "control: toxic", "report.organisms: concept 'toxic' is unknown"),
        (
            "methods: [log-ratio]",
            "methods: [log-ration]",
            "report.attribution: method 'log-ration' is unknown; did you",
        ),
    ],
)
def test_a_misspelt_model_or_concept_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = SUITE.read_text()
    assert text.count(old) == 1
    (tmp_path / SUITE.name).write_text(text.replace(old, new))
    with pytest.raises(SuiteError, match=message):
        read_study(tmp_path / SUITE.name)
