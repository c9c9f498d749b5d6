"""Saved rewards of methods that read language models: which models they name, and what happens where one is gone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fairl_bench import load_reward
from fairl_bench.cli.main import main
from fairl_bench.component import plain
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM
from fairl_bench.pipeline import Finished, run
from fairl_bench.reward.about import read_about
from fairl_bench.reward.identity import identity
from fairl_bench.store import artefacts
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Examples

PLUGIN = """
import numpy as np

from fairl_bench import LM, Ask, AskLikelihoods, Likelihoods, Method, Model, Prompts, Reward, hookimpl


class Served(LM):
    model: str

    def make(self, site):
        return Model(site.folder, {"served": True})

    def complete(self, asked, site):
        return [f"{self.model} {i}" for i in range(len(asked))]

    def likelihoods(self, continuations, site):
        assert not [path for path in site.upstream["lm"].iterdir() if path.name != "manifest.json"]
        total = np.array([float(text.count(self.model)) - len(text) for text in continuations.text])
        n, zero = len(total), np.zeros(len(total))
        token = total.astype(np.float32)
        return Likelihoods(total, token, np.arange(n + 1), zero, zero, np.zeros(n, bool), np.ones(n, bool))


class Fitted(Method):
    reads_upstream = False
    seeded = False
    given = "both models"
    base: LM | None = None

    def of(self, source):
        return self.model_copy(update={"base": source.models_for(self).base})

    def upstream(self):
        return {"base": AskLikelihoods(lm=self.base)} if self.base else {}

    def fit(self, task):
        likely = task.train.likelihoods["base"][0].total.mean()
        return Reward({"weight": np.full(task.train.vectors.shape[1], likely), "bias": np.array(0.0)})


class Asking(Method):
    seeded = False
    reads_vectors = False
    lm: LM
    prompts: Prompts

    def upstream(self):
        return {"best": Ask(lm=self.lm, prompts=self.prompts, n=4)}

    def fit(self, task):
        return Reward({"longest": np.array(max(map(len, task.upstream["best"].text)))})

    def score(self, reward, inputs):
        return np.array([len(text) / reward.arrays["longest"] for text in inputs.text])


@hookimpl
def fairl_lms(register):
    register("served", Served)


@hookimpl
def fairl_methods(register):
    register("fitted", Fitted)
    register("asking", Asking)
"""
TINY: dict[str, Any] = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 60}, "layers": 1, "width": 16}
TINY |= {"heads": 2, "vocab": 320, "context": 96, "length": 16, "batch": 4, "steps": 8}
PROMPTS = {"use": "toy-prompts"}
SOURCE = {"name": "toy", "use": "aligned-lm", "base": TINY, "expert": {**TINY, "steps": 16}, "n": 40}
SOURCE |= {"prompts": PROMPTS, "gold": {"use": "toy-truth"}, "sampling": {"max_new_tokens": 6}}
SOURCE |= {"identical": "drop", "empty": "drop"}
SERVED = {"use": "served", "model": "e"}
SUITE: dict[str, Any] = {
    "name": "both",
    "plugins": ["models.py"],
    "models": [SOURCE],
    "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
    "methods": [
        {"name": "log-ratio", "use": "log-ratio", "shards": 2},
        {"name": "served", "use": "log-ratio", "base": SERVED, "tokens": "text"},
        {"name": "elsewhere", "use": "log-ratio", "expert": {"use": "pretrained", "model": "lm"}, "tokens": "text"},
        {"name": "fitted", "use": "fitted"},
        {"name": "asking", "use": "asking", "lm": TINY, "prompts": PROMPTS},
    ],
    "evaluate": [{"use": "fidelity", "data": ["pairs/test"]}],
}


def written(folder: Path) -> Path:
    (folder / "models.py").write_text(PLUGIN)
    (folder / "suite.yaml").write_text(json.dumps(SUITE))
    return folder / "suite.yaml"


@pytest.fixture(scope="module")
def ran_both(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path) -> Finished:
    folder = tmp_path_factory.mktemp("both")
    shutil.copytree(tiny_lm, folder / "lm")
    done = run(read_study(written(folder)), FolderStore(folder / "store"), folder / "results")
    assert done.outcome.failed == {}
    return done


@pytest.fixture
def copied(ran_both: Finished, tmp_path: Path) -> Path:
    """The rewards of the run, whose language models still lie in the store of the run."""
    shutil.copytree(ran_both.folder / "rewards", tmp_path / "rewards")
    (tmp_path / "models.py").write_text(PLUGIN)
    return tmp_path / "rewards"


def cell(method: str) -> str:
    return f"toy-tfidf-{method}-r0-sall"


def scored(ran: Finished, method: str) -> tuple[Examples, np.ndarray]:
    """The texts of the pairs, as they were drawn, with the rewards that the run wrote down."""
    store = FolderStore(ran.folder.parent / "store")
    examples = artefacts.load_examples(store.path(ran.plan.cells[0].inputs.pairs))
    table = pq.read_table(ran.folder / "scores" / f"{cell(method)}.parquet", filters=[("dataset", "=", "pairs")])
    return examples, table["reward"].to_numpy()


def moved(rewards: Path, method: str, folder: Path) -> dict[str, str]:
    """The language models of a reward, copied below a folder, by role; the reward knows no other place of them."""
    place = rewards / cell(method) / "reward.json"
    told = json.loads(place.read_text())
    roles = {}
    for role, start in told["upstream"].items():
        roles[role] = str(folder / role)
        shutil.copytree(start["place"], roles[role])
        start["place"] = str(folder / "gone" / role)
    place.unlink()  # not through the link that it may share
    place.write_text(json.dumps(told))
    return roles


def test_a_reward_names_the_language_models_of_its_method_beside_those_of_its_encoder(ran_both: Finished) -> None:
    told = json.loads((ran_both.folder / "rewards" / cell("log-ratio") / "reward.json").read_text())
    assert (told["format"], told["encoder"]) == (1, None)
    assert sorted(told["upstream"]) == ["method/base", "method/expert"]
    assert all(Path(start["place"], "config.json").is_file() for start in told["upstream"].values())
    assert told["upstream"]["method/base"]["sha256"] != told["upstream"]["method/expert"]["sha256"]


SAVED = ("log-ratio", "served", "elsewhere", "fitted")


@pytest.mark.parametrize("method", SAVED)
def test_a_loaded_reward_gives_the_scores_of_its_run(method: str, ran_both: Finished) -> None:
    plugins = [ran_both.folder.parent / "models.py"]
    examples, expected = scored(ran_both, method)
    reward = load_reward(ran_both.folder / "rewards" / cell(method), plugins=plugins)
    np.testing.assert_allclose(reward.values(examples), expected, atol=1e-4)  # float32 likelihoods in other batches
    assert np.ptp(expected) > 0.1
    assert reward.reads_prompts == (method != "fitted")


def test_what_only_a_run_makes_is_in_no_reward_and_the_run_says_so(ran_both: Finished) -> None:
    names = {path.name for path in (ran_both.folder / "rewards").iterdir()}
    assert names == {cell(method) for method in SAVED}
    said = [
        "no reward of method 'asking' is saved: it reads completions as 'best', and beside texts a saved reward can "
        "read language models alone"
    ]
    assert ran_both.outcome.warnings == said
    assert json.loads((ran_both.folder / "run.json").read_text())["warnings"] == said


CHOOSING = """
import numpy as np

from fairl_bench import LM, Ask, Encoder, Prompts, hookimpl


class Choosing(Encoder):
    lm: LM
    prompts: Prompts

    def upstream(self):
        return {"known": Ask(lm=self.lm, prompts=self.prompts, n=2)}

    def encode(self, texts, corpus, *, known):
        return np.array([[len(text), sum(text[:1] == one[:1] for one in known.text)] for text in texts], np.float32)


@hookimpl
def fairl_encoders(register):
    register("choosing", Choosing)
"""


def test_of_an_encoder_that_reads_completions_the_run_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "choosing.py").write_text(CHOOSING)
    suite = {
        "name": "choosing",
        "plugins": ["choosing.py"],
        "models": [{"name": "toy", "use": "toy-comments", "n": 40, "gold": {"use": "toy-truth"}}],
        "encoders": [{"name": "mine", "use": "choosing", "lm": TINY, "prompts": PROMPTS}],
        "methods": [{"name": "mean-difference", "use": "mean-difference"}],
        "evaluate": [{"use": "fidelity", "data": ["pairs/test"]}],
    }
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    done = run(read_study(tmp_path / "suite.yaml"), FolderStore(tmp_path / "store"), tmp_path / "results")
    assert done.outcome.failed == {}
    assert not (tmp_path / "results" / "rewards").exists()
    (said,) = done.outcome.warnings
    assert said.startswith("no reward with encoder 'mine' is saved: it reads completions as 'known', and beside texts")


def test_a_method_that_needs_its_models_only_to_learn_is_saved_without_them(copied: Path) -> None:
    about = read_about(copied / cell("fitted"))
    assert (about.upstream, about.method.spec["base"]["use"]) == ({}, "tiny-lm")


def test_a_language_model_that_is_gone_is_named_by_role_and_place_with_what_to_do(copied: Path, tmp_path: Path) -> None:
    expected = load_reward(copied / cell("log-ratio"))(["you are kind"], prompts=["well"])
    roles = moved(copied, "log-ratio", tmp_path)
    sentence = (
        r"its method reads the language model in .*/gone/method/base, which is gone; say where it lies now with "
        r"upstream={'method/base': FOLDER}, --upstream method/base=FOLDER, or in a suite with models: {method/base:"
    )
    with pytest.raises(DataError, match=sentence):
        load_reward(copied / cell("log-ratio"))
    with pytest.raises(DataError, match=r"language model in .*/gone/method/expert, which is gone"):
        load_reward(copied / cell("log-ratio"), upstream={"method/base": roles["method/base"]})
    assert load_reward(copied / cell("log-ratio"), upstream=roles)(["you are kind"], prompts=["well"]) == expected


def test_a_model_that_lay_in_a_folder_of_its_own_may_lie_in_another(copied: Path, tmp_path: Path) -> None:
    expected = load_reward(copied / cell("elsewhere"))(["you are kind"], prompts=["well"])
    roles = moved(copied, "elsewhere", tmp_path)
    place = copied / cell("elsewhere") / "reward.json"
    told = json.loads(place.read_text())
    told["method"]["spec"]["expert"]["model"] = "/models/that/are/gone"
    place.unlink()
    place.write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"its method reads the language model in .*/gone/method/expert, which is gone"):
        load_reward(place.parent, upstream={"method/base": roles["method/base"]})
    assert load_reward(place.parent, upstream=roles)(["you are kind"], prompts=["well"]) == expected


def test_another_language_model_is_refused(copied: Path, tmp_path: Path) -> None:
    roles = moved(copied, "log-ratio", tmp_path)
    swapped = {"method/base": roles["method/expert"], "method/expert": roles["method/base"]}
    sentence = (
        r"reads a language model of SHA-256 \w{12}…, and the one in .* has \w{12}…; .* its own 'method/base' alone"
    )
    with pytest.raises(DataError, match=sentence):
        load_reward(copied / cell("log-ratio"), upstream=swapped)


def test_a_model_behind_a_server_is_named_by_its_identity_and_asked_again(copied: Path, tmp_path: Path) -> None:
    place, plugins = copied / cell("served"), [tmp_path / "models.py"]
    told = json.loads((place / "reward.json").read_text())
    assert told["upstream"]["method/base"] == {"identity": {"use": "served", "fields": {"model": "e"}, "reads": {}}}
    with pytest.raises(
        DataError, match="its language model 'method/base' has no files, got '/somewhere'; name no folder"
    ):
        load_reward(place, plugins=plugins, upstream={"method/base": "/somewhere"})
    told["method"]["spec"]["base"]["model"] = "a"
    (place / "reward.json").unlink()
    (place / "reward.json").write_text(json.dumps(told))
    with pytest.raises(
        DataError, match=r"'method/base' had fields\.model 'e', and here it is 'a'; a reward holds for its"
    ):
        load_reward(place, plugins=plugins)


def test_a_reward_that_takes_a_model_of_files_for_a_served_one_is_refused_in_a_sentence(copied: Path) -> None:
    place = copied / cell("log-ratio") / "reward.json"
    told = json.loads(place.read_text())
    base = Registry(installed=False).build(LM, told["method"]["spec"]["base"])
    told["upstream"]["method/base"] = {"identity": plain(identity(base))}
    place.unlink()
    place.write_text(json.dumps(told))
    with pytest.raises(
        DataError, match=r"method 'log-ratio' of reward '.*': the language model in .* has no configuration"
    ) as refusal:
        load_reward(place.parent)(["a"], prompts=["b"])
    assert len(str(refusal.value).splitlines()) == 1


def test_the_identity_of_a_served_model_and_the_digest_of_another_are_in_the_fingerprint(copied: Path) -> None:
    about = read_about(copied / cell("served"))
    prints = {about.fingerprint()}
    for role, change in (("method/base", {"identity": {}}), ("method/expert", {"sha256": "0" * 64})):
        start = about.upstream[role].model_copy(update=change)
        prints.add(about.model_copy(update={"upstream": {**about.upstream, role: start}}).fingerprint())
    assert len(prints) == 3


def test_a_reward_that_names_too_few_language_models_is_refused(copied: Path) -> None:
    place = copied / cell("log-ratio") / "reward.json"
    told = json.loads(place.read_text())
    del told["upstream"]["method/base"]
    place.unlink()
    place.write_text(json.dumps(told))
    sentence = "start from method/base, method/expert, and it names 'method/expert'; copy it again"
    with pytest.raises(DataError, match=sentence):
        load_reward(place.parent)


def test_a_run_whose_language_models_are_gone_keeps_the_rewards_that_it_has(ran_both: Finished, tmp_path: Path) -> None:
    for name in ("store", "lm"):
        shutil.copytree(ran_both.folder.parent / name, tmp_path / name)
    store = FolderStore(tmp_path / "store")
    before = run(read_study(written(tmp_path)), store, tmp_path / "results")
    assert before.outcome.failed == {}
    for key in (key for key, stage in before.plan.stages.items() if stage.kind == "lm"):
        shutil.rmtree(store.path(key))
    run(read_study(tmp_path / "suite.yaml"), store, tmp_path / "results")
    rewards = tmp_path / "results" / "rewards"
    assert {path.name for path in rewards.iterdir()} == {cell(method) for method in SAVED}
    shutil.rmtree(rewards)
    run(read_study(tmp_path / "suite.yaml"), store, tmp_path / "results")
    assert {path.name for path in rewards.iterdir()} == {cell("fitted")}


# --- the command line, and another suite


def test_the_command_scores_json_lines_with_prompts(copied: Path, tmp_path: Path) -> None:
    roles = moved(copied, "log-ratio", tmp_path)
    (expected,) = load_reward(copied / cell("log-ratio"), upstream=roles)(["you are kind"], prompts=["well"])
    options = [part for role, folder in roles.items() for part in ("--upstream", f"{role}={folder}")]
    arguments = ["score", str(copied / cell("log-ratio")), "--read", "jsonl", "--format", "jsonl", *options]
    result = CliRunner().invoke(main, arguments, input='{"prompt": "well", "text": "you are kind", "id": 3}\n')
    assert json.loads(result.stdout) == {"prompt": "well", "text": "you are kind", "id": 3, "reward": expected}


def test_another_suites_judge_finds_the_language_models_where_it_is_told(copied: Path, tmp_path: Path) -> None:
    expected = load_reward(copied / cell("log-ratio")).values(Examples(("you are kind",), ("well",)))
    roles = moved(copied, "log-ratio", tmp_path)
    spec = {"use": "recovered", "folder": str(copied / cell("log-ratio"))}
    registry = Registry(installed=False)
    with pytest.raises(DataError, match=r"its method reads the language model in .* which is gone"):
        registry.build(Judge, spec).check()
    judge = registry.build(Judge, {**spec, "models": roles})
    assert judge.judge(Examples(("you are kind",), ("well",)))[GOLD].value.tolist() == expected.tolist()
    assert sorted(judge.reads()) == ["method", "method/base", "method/expert", "reward"]
