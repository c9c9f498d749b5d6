from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fairl_bench import load_reward
from fairl_bench.errors import DataError, PluginError, ResultsError
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import reward_folders
from fairl_bench.results.reward_folders import RewardFolders
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.values.data import Examples

RunSuite = Callable[..., Finished]
Write = Callable[..., Path]
MARGIN = "toy-tfidf-max-margin-r0-s0"
MEAN = "toy-tfidf-mean-difference-r0-sall"


@pytest.fixture
def short(tiny: dict[str, Any]) -> dict[str, Any]:
    """The tiny suite with two methods that need no training, and next to no tables."""
    tiny["methods"] = tiny["methods"][-2:]
    tiny["models"][0]["n"] = 40
    tiny["evaluate"] = [{"use": "fidelity", "data": ["pairs/test"]}]
    return {name: value for name, value in tiny.items() if name not in ("testsets", "report")}


def shelf(folder: Path) -> set[str]:
    return {path.name for path in (folder / "rewards").iterdir()}


def scored(results: Path, cell: str) -> tuple[Examples, np.ndarray]:
    """All texts of a cell with the rewards that its run wrote down."""
    metadata = pq.read_schema(results / "scores" / f"{cell}.parquet").metadata
    world = pq.read_table(results / "examples" / metadata[b"world"].decode())
    texts, prompts = (tuple(world[name].to_pylist()) for name in ("text", "prompt"))
    return Examples(texts, prompts), pq.read_table(results / "scores" / f"{cell}.parquet")["reward"].to_numpy()


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change ``reward.json`` by hand; not through the link that it may share."""
    told = json.loads((folder / "reward.json").read_text())
    change(told)
    (folder / "reward.json").unlink()
    (folder / "reward.json").write_text(json.dumps(told))


# --- what a run leaves


def test_every_finished_reward_has_a_folder_of_the_name_of_its_scores(ran: Finished) -> None:
    assert shelf(ran.folder) == {path.stem for path in (ran.folder / "scores").iterdir()}
    for path in (ran.folder / "rewards").iterdir():
        corpus = set() if "length" in path.name else {"corpus.parquet"}
        assert {one.name for one in path.iterdir()} == {"reward.json", "reward.safetensors"} | corpus


@pytest.mark.parametrize("cell", [MARGIN, MEAN, "toy-tfidf-max-entropy-r0-s1", "toy-tfidf-length-r0-sall"])
def test_a_loaded_reward_gives_the_scores_of_its_run(cell: str, ran: Finished) -> None:
    examples, expected = scored(ran.folder, cell)
    # float32 scores, and vectors that another batch may move in their last bits
    np.testing.assert_allclose(load_reward(ran.folder / "rewards" / cell).values(examples), expected, atol=1e-5)


def test_so_it_does_where_the_prompt_is_embedded_too(run_suite: RunSuite, short: dict[str, Any]) -> None:
    short["models"][0]["embed"] = "prompt+completion"
    finished = run_suite(short)
    for cell in (MEAN, "toy-tfidf-length-r0-sall"):
        reward = load_reward(finished.folder / "rewards" / cell)
        examples, expected = scored(finished.folder, cell)
        np.testing.assert_allclose(reward.values(examples), expected, atol=1e-5)  # as above
        assert reward.embed == "prompt+completion"


def test_so_it_does_where_its_texts_were_embedded_in_shards(run_suite: RunSuite, short: dict[str, Any]) -> None:
    short["encoders"][0]["shards"] = 2
    finished = run_suite(short)
    examples, expected = scored(finished.folder, MEAN)
    reward = load_reward(finished.folder / "rewards" / MEAN)
    np.testing.assert_allclose(reward.values(examples), expected, atol=1e-5)  # as above


def test_a_reward_says_where_it_comes_from(ran: Finished) -> None:
    told = json.loads((ran.folder / "rewards" / MARGIN / "reward.json").read_text())
    assert told["cell"] == {
        "suite": "tiny", "model": "toy", "encoder": "tfidf", "method": "max-margin", "variant": "",
        "replicate": 0, "seed": 0,
    }  # fmt: skip
    assert told["method"]["spec"] == {"use": "max-margin", "margin": 0.8, "resources": None}
    assert told["encoder"]["spec"]["dimensions"] == 16
    assert told["embed"] == "completion"
    assert told["facts"]["epochs"] == 3
    assert load_reward(ran.folder / "rewards" / MARGIN).__name__ == MARGIN


def test_the_texts_of_one_world_lie_on_the_disk_once(ran_once: tuple[Path, Finished]) -> None:
    corpora = list((ran_once[1].folder / "rewards").glob("*/corpus.parquet"))
    assert len(corpora) == 5
    assert len({path.stat().st_ino for path in corpora}) == 1


def test_without_links_files_are_copied(
    run_suite: RunSuite, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    place = run_suite(short).folder / "rewards" / MEAN
    assert (place / "reward.safetensors").stat().st_nlink == 1
    assert load_reward(place)(["a"])


def test_a_full_disk_is_told_and_leaves_nothing_half_written(
    run_suite: RunSuite, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(reward_folders, "_link", full)
    with pytest.raises(
        ResultsError, match=r"the results folder .*results cannot be written: No space left on device; make"
    ):
        run_suite(short)
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"manifest.json", "suite.yaml"}


def test_a_run_with_nothing_to_do_writes_no_reward(
    run_suite: RunSuite, short: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_suite(short)

    def refuse(*_: object) -> None:
        raise AssertionError("a reward was written again")

    monkeypatch.setattr(RewardFolders, "_write", refuse)
    run_suite(short)


def test_a_reward_whose_file_is_lost_is_written_again(run_suite: RunSuite, short: dict[str, Any]) -> None:
    place = run_suite(short).folder / "rewards" / MEAN
    (place / "reward.json").unlink()
    run_suite(short)
    assert load_reward(place)(["a"])


def test_the_reward_of_a_cell_that_is_gone_is_removed(run_suite: RunSuite, short: dict[str, Any]) -> None:
    folder = run_suite(short).folder
    half = folder / ".fairl-bench-half-1234"  # what a killed run leaves
    half.mkdir()
    short["methods"] = short["methods"][:1]
    run_suite(short)
    assert shelf(folder) == {MEAN}
    assert not half.exists()


def test_a_cell_that_changed_has_its_new_reward(run_suite: RunSuite, short: dict[str, Any]) -> None:
    place = run_suite(short).folder / "rewards" / MEAN
    before = load_reward(place)(["you are a numbskull"])
    short["split"] = {"test": 0.5}
    run_suite(short)
    assert load_reward(place)(["you are a numbskull"]) != before


def test_only_leaves_the_other_rewards_alone(
    run_suite: RunSuite, write_suite: Write, short: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    before = shelf(run_suite(short).folder)
    run(read_study(write_suite(short)), store, tmp_path / "results", only={"method": ["length"]})
    assert shelf(tmp_path / "results") == before


def test_a_reward_that_failed_has_no_folder(run_suite: RunSuite, short: dict[str, Any], tmp_path: Path) -> None:
    bad = "from fairl_bench import Method, hookimpl\nclass Bad(Method):\n    def fit(self, task): raise ValueError\n"
    bad += "@hookimpl\ndef fairl_methods(register): register('bad', Bad)\n"
    (tmp_path / "bad.py").write_text(bad)
    short.update(plugins=["bad.py"], methods=[{"name": "bad", "use": "bad"}, *short["methods"]])
    finished = run_suite(short)
    assert finished.outcome.failed
    assert shelf(finished.folder) == {MEAN, "toy-tfidf-length-r0-sall"}


# --- away from its run


def test_a_reward_needs_nothing_but_its_folder(ran: Finished, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "rewards" / MARGIN, tmp_path / "mine")
    expected = load_reward(ran.folder / "rewards" / MARGIN)(["thank you"])
    for name in ("store", "results"):
        shutil.rmtree(tmp_path / name)
    found = load_reward(tmp_path / "mine")
    assert found(["thank you"]) == expected
    assert found.name == "mine"


def test_another_encoder_is_refused(ran: Finished) -> None:
    place = ran.folder / "rewards" / MARGIN
    sentence = (
        "fitted with encoder 'tfidf' of fields.dimensions 16, and here it is 8; a reward holds for its own encoder"
    )
    with pytest.raises(DataError, match=sentence):
        load_reward(place, encoder={"dimensions": 8})
    edit(place, lambda told: told["encoder"]["spec"].update(dimensions=8))
    with pytest.raises(DataError, match=sentence):
        load_reward(place)


def test_a_damaged_file_is_refused(ran: Finished) -> None:
    path = ran.folder / "rewards" / MARGIN / "reward.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"reward.safetensors does not match its checksum; copy the whole folder"):
        load_reward(path.parent)
    path.unlink()
    with pytest.raises(DataError, match=r"reward.safetensors cannot be read: No such file or directory"):
        load_reward(path.parent)


def test_a_folder_without_a_reward_is_refused_and_one_nearby_named(ran: Finished, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"results holds no saved reward: name one such as .*/rewards/toy-tfidf-length"):
        load_reward(ran.folder)
    with pytest.raises(DataError, match=r"toy-tfidf-max-mragin holds no saved reward: name one such as .*/rewards/toy"):
        load_reward(ran.folder / "rewards" / "toy-tfidf-max-mragin")
    with pytest.raises(DataError, match=r"gone/too holds no saved reward: a run writes them to RESULTS/rewards/"):
        load_reward(tmp_path / "gone" / "too")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", r"reward.json is damaged: expecting property name"),
        ("[]", r"reward.json is of another version of fairl-bench: "),
        ('{"format": 2}', r"reward.json is of another version of fairl-bench: format: Input should be 1"),
    ],
)
def test_a_file_that_says_something_else_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "reward.json").write_text(content)
    with pytest.raises(DataError, match=sentence):
        load_reward(tmp_path)


# --- drop-ins

WEIGHED = """
import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np

from fairl_bench import Encoder, Field, RunTime, hookimpl


class Weighed(Encoder):
    model: str = Field("", description="a folder")
    workers: Annotated[int, RunTime] = 0

    def encode(self, texts, corpus):
        weight = float(Path(self.model, "weight").read_text())
        return np.array([[weight * len(text), 1] for text in texts], np.float32)

    def reads(self):
        return {"weights": hashlib.sha256(Path(self.model, "weight").read_bytes()).hexdigest()}


@hookimpl
def fairl_encoders(register):
    register("weighed", Weighed)
"""


@pytest.fixture
def weighed(run_suite: RunSuite, short: dict[str, Any], tmp_path: Path) -> Path:
    """The reward of an encoder of a drop-in, whose weights lie in ``model``."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weight").write_text("2.5")
    (tmp_path / "weighed.py").write_text(WEIGHED)
    model = str(tmp_path / "model")
    short.update(plugins=["weighed.py"], encoders=[{"name": "tfidf", "use": "weighed", "model": model}])
    return run_suite(short).folder / "rewards" / MEAN


def test_a_drop_in_must_be_named(weighed: Path, tmp_path: Path) -> None:
    sentence = r"the encoder 'weighed' of this reward is of plugin weighed.py \(SHA-256 .{12}…\); "
    with pytest.raises(PluginError, match=sentence + r"name it with plugins=\['weighed.py'\], or --plugin"):
        load_reward(weighed)
    assert load_reward(weighed, plugins=[tmp_path / "weighed.py"])(["four"]) != [0.0]


def test_a_drop_in_of_other_content_is_refused(weighed: Path, tmp_path: Path) -> None:
    (tmp_path / "weighed.py").write_text(WEIGHED + "\n# another line\n")
    with pytest.raises(PluginError, match=r"plugin weighed.py \(SHA-256 .{12}…\), and the one here has SHA-256 .{12}…"):
        load_reward(weighed, plugins=[tmp_path / "weighed.py"])


def test_a_drop_in_that_the_reward_does_not_read_need_not_be_named(weighed: Path) -> None:
    reward = load_reward(weighed.parent / "toy-tfidf-length-r0-sall")
    assert reward.encoder is None
    assert [abs(value) for value in reward(["four"])] == [4.0]


def test_weights_may_lie_elsewhere_and_must_be_the_same(weighed: Path, tmp_path: Path) -> None:
    plugins = [tmp_path / "weighed.py"]
    expected = load_reward(weighed, plugins=plugins)(["four"])
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"its encoder 'weighed' cannot be had here: .*No such file"):
        load_reward(weighed, plugins=plugins)
    moved = {"model": str(tmp_path / "moved"), "workers": 2}
    assert load_reward(weighed, plugins=plugins, encoder=moved)(["four"]) == expected
    (tmp_path / "moved" / "weight").write_text("2.6")
    with pytest.raises(DataError, match=r"encoder 'weighed' of reads.weights '\w+.*, and here it is '\w+"):
        load_reward(weighed, plugins=plugins, encoder=moved)
    with pytest.raises(DataError, match="its encoder cannot be built: unknown field 'modell'"):
        load_reward(weighed, plugins=plugins, encoder={"modell": "x"})


# --- encoders that start from a language model


SHAPE = {"layers": 1, "width": 16, "heads": 2, "vocab": 300, "context": 64, "length": 16, "batch": 4, "steps": 4}
TINY_LM: dict[str, Any] = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 60}, **SHAPE}


@pytest.mark.parametrize("kind", ["in the store", "elsewhere"])
def test_a_language_model_that_an_encoder_starts_from_is_found_and_checked(
    kind: str, run_suite: RunSuite, short: dict[str, Any], tmp_path: Path, tiny_lm: Path
) -> None:
    lm = TINY_LM
    if kind == "elsewhere":
        shutil.copytree(tiny_lm, tmp_path / "lm")
        lm = {"use": "pretrained", "model": str(tmp_path / "lm")}
    short["encoders"] = [{"name": "tfidf", "use": "causal-lm", "lm": lm}]
    finished = run_suite(short)
    place = finished.folder / "rewards" / MEAN
    reward = load_reward(place)
    examples, expected = scored(finished.folder, MEAN)
    np.testing.assert_allclose(reward.values(examples), expected, atol=1e-5)  # float32, other batches
    moved = tmp_path / "moved"
    reward.upstream["lm"].rename(moved)
    with pytest.raises(DataError, match=r"from the language model in .*, which is gone; .* --upstream lm=FOLDER"):
        load_reward(place)
    again = load_reward(place, upstream={"lm": str(moved)})
    np.testing.assert_allclose(again.values(examples), expected, atol=1e-5)  # as above
    (moved / "config.json").write_text((moved / "config.json").read_text() + " ")
    with pytest.raises(DataError, match=r"a language model of SHA-256 \w{12}…, and the one in .*moved has \w{12}…"):
        load_reward(place, upstream={"lm": str(moved)})


def test_a_run_that_needs_its_language_model_no_more_does_not_miss_it(
    run_suite: RunSuite, short: dict[str, Any], store: Store
) -> None:
    short["encoders"] = [{"name": "tfidf", "use": "causal-lm", "lm": TINY_LM}]
    finished = run_suite(short)
    (model,) = (key for key, stage in finished.plan.stages.items() if stage.kind == "lm")
    shutil.rmtree(store.path(model))
    run_suite(short)
    assert shelf(finished.folder) == {MEAN, "toy-tfidf-length-r0-sall"}
    shutil.rmtree(finished.folder / "rewards")
    assert not run_suite(short).outcome.done
    assert not (finished.folder / "rewards").exists()
