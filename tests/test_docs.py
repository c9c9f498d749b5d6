"""What the pages say is what the code does."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fairl_bench import RunFinished, hookspecs
from fairl_bench.kinds import KINDS
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.suite.registry import Registry
from fairl_bench.views import ReportTable
from tests.support.pages import blocks, pages

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
HOW_TO = ROOT / "docs" / "how-to"
REFERENCE = ROOT / "docs" / "reference"


def test_the_generated_blocks_of_the_readme_are_up_to_date():
    command = [sys.executable, ROOT / "docs" / "_fill" / "fill.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_changed_block_is_noticed(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import fill

    assert fill.filled("<!-- parts -->\nold\n<!-- end -->", None) != "<!-- parts -->\nold\n<!-- end -->"


def test_the_readme_table_was_generated():
    (block,) = re.findall(r"<!-- short: \S+ -->\n(.*?)<!-- end -->", README, re.S)
    assert "max-entropy" in block
    assert "±" in block


def test_the_table_of_the_readme_is_the_whole_one_shortened(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    from shortened import shortened

    whole, short = (
        re.search(rf"<!-- {block} -->\n(.*?)<!-- end -->", page, re.S)[1]
        for block, page in (
            ("table: detox", (ROOT / "docs" / "start" / "main-job.md").read_text()),
            ("short: detox", README),
        )
    )
    assert shortened(whole) == short


def test_the_readme_fits_two_screens():
    assert len(README.splitlines()) <= 120


def sentences(text: str) -> set[str]:
    """The sentences of a page in Markdown, without code, tables and marks; five words or more."""
    prose = re.sub(r"```.*?```|<!--.*?-->|^[|#].*?$", "\n\n", text, flags=re.S | re.M)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", prose)
    found = (" ".join(one.split()) for one in re.split(r"(?<=[.:?!])\s|\n\s*\n|\n- ", plain))
    return {one.lower() for one in found if len(one.split()) >= 5}


def test_no_sentence_of_the_readme_is_on_the_first_page_of_the_site():
    first = sentences((ROOT / "docs" / "index.md").read_text())
    assert len(first) >= 3
    assert len(sentences(README)) >= 10
    assert not first & sentences(README)
    assert sentences("A `part` is [a page](x.md), always.\n\n| a |") == {"a part is a page, always."}


def test_every_kind_and_a_runs_life_have_documented_hooks():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("fairl_")}
    life = {"fairl_run_started", "fairl_stage_finished", "fairl_run_finished"}
    assert set(hooks) == {f"fairl_{kind.removesuffix('s')}s" for kind in KINDS} | life
    assert all(f"`{name}(" in (REFERENCE / "hooks.md").read_text() for name in hooks)
    assert all(hook.__doc__ for hook in hooks.values())


@pytest.mark.parametrize("name", re.findall(r"\]\(([^):#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(name):
    assert (ROOT / name).exists()


def test_the_commands_of_the_readme_are_the_ones_that_ci_runs():
    assert set(re.findall(r"readme (\w+)\)", (ROOT / ".ci" / "run").read_text())) == set(
        re.findall(r"<!-- command: (\w+) -->", README)
    )


def test_the_follower_on_the_page_of_hooks_is_a_plugin(tmp_path, capsys):
    page = (REFERENCE / "hooks.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (tmp_path / "follow.py").write_text(source)
    (follower,) = Registry([tmp_path / "follow.py"], installed=False).followers("fairl_run_finished")
    follower[1](run=RunFinished("a", tmp_path, None, 3, 2, 1, 0, 0, 4.4))
    assert capsys.readouterr().out == f"\aa: 2 done, 1 failed in 4 s; {tmp_path}\n"


@pytest.mark.parametrize("name", ["how-to/views.md", "reference/plugins.md"])
def test_the_checks_of_a_plugin_on_a_page_run(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / name).read_text()
    sources = [block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "fairl_bench.testing" in block]
    assert len(sources) == 1
    exec(sources[0], {})


def test_the_page_of_views_names_all_that_the_material_has():
    from fairl_bench.material import Material

    page = (HOW_TO / "views.md").read_text()
    named = set(re.findall(r"[`.](?:material)?\.?(\w+)[`(\[]", page.split("## What they give")[0]))
    assert Material.__abstractmethods__ | {"numbers"} <= named


def test_every_field_of_a_verdict_is_on_the_page_of_python():
    from fairl_bench.values.verdicts import Effect, Verdict

    page = (REFERENCE / "python.md").read_text()
    part = page.split("## The fields of a verdict")[1].split("## ")[0]
    assert {*Verdict._fields, "met"} <= set(re.findall(r"`(\w+)`", part))
    assert set(Effect._fields) <= set(re.findall(r"`(?:effect)?\.(\w+)`", part))


def test_the_page_of_inputs_names_what_there_is():
    import fairl_bench
    from fairl_bench.kinds.encoder import Encoder
    from fairl_bench.kinds.source import Source
    from fairl_bench.values.training import Training

    page = (REFERENCE / "inputs.md").read_text()
    assert set(re.findall(r"from fairl_bench import (\w+)", page)) <= set(fairl_bench.__all__)
    assert re.findall(r"equal_vectors: (\w+)", page) == [Training().equal_vectors]
    assert callable(Encoder.would_read)
    assert callable(Source.peek)


def test_every_concept_on_the_page_of_concepts_can_be_built():
    page = (REFERENCE / "concepts.md").read_text()
    blocks = [YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.S)]
    registry = Registry(installed=False)
    specs = [spec for block in blocks if isinstance(block, list) for spec in block]
    assert {spec["use"] for spec in specs} == {"word-list", "regex", "similar-to", "concept", "on-prompts"}
    for spec in specs:
        assert registry.build(Judge, spec).concept
    for block in (block for block in blocks if isinstance(block, dict)):
        report = block.get("report", {})  # an evaluator that keeps evidence for the page has no table
        uses = [registry.build(Evaluator, spec).use for spec in block["evaluate"]]
        assert uses
        assert set(report) <= set(uses)
        for name, spec in report.items():
            registry.build(ReportTable, {**spec, "use": name})


# --- docs/how-to/rewards.md, run from top to bottom

REWARDS = (HOW_TO / "rewards.md").read_text()
PLACE = "results/detox/rewards/toy-neox-minilm-max-entropy-r0-s0"


def of_rewards(kind: str) -> list[str]:
    """The blocks of the page that are to be run, of one kind."""
    found = re.findall(rf"<!-- run: {kind} -->\n```\w+\n(.*?)```", REWARDS, re.S)
    assert found
    return found


@pytest.fixture
def workplace(tmp_path, ran_once, tiny_lm):
    """A folder that has what the page speaks of: a reward, a language model, the command."""
    reward = ran_once[1].folder / "rewards" / "toy-tfidf-max-entropy-r0-s0"
    shutil.copytree(reward, tmp_path / PLACE)
    shutil.copytree(tiny_lm, tmp_path / "models" / "base")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "fairl-bench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fairl_bench "$@"\n')
    (tmp_path / "bin" / "fairl-bench").chmod(0o755)
    return tmp_path


def ran(command, workplace):
    environment = {**os.environ, "PATH": f"{workplace / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=workplace, env=environment, capture_output=True, text=True, check=False)


def test_the_page_on_rewards_names_one_folder():
    assert set(re.findall(r"results/detox/rewards/[\w-]+", REWARDS)) == {PLACE}


def test_the_python_of_the_page_on_rewards_runs(workplace, monkeypatch, capsys):
    from fairl_bench.builtin.shared.training_environment import quiet

    monkeypatch.chdir(workplace)
    with quiet():
        exec("\n".join(of_rewards("python")), {})  # here, where TRL may be imported already
    assert len(json.loads(capsys.readouterr().out.splitlines()[0])) == 2
    assert (workplace / "aligned").is_dir()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page calls curl")
def test_the_commands_of_the_page_on_rewards_run(workplace):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    done = ran(["bash", "-ec", "\n".join(of_rewards("sh")).replace("8000", port)], workplace)
    assert done.returncode == 0, done.stderr
    *plain, with_id, said, answer = done.stdout.splitlines()
    assert len([float(line) for line in plain]) == 2
    # one command scores two texts together and the other one alone, in bfloat16
    assert json.loads(with_id)["reward"] == pytest.approx(float(plain[1]), abs=1e-3)
    assert said.endswith(f"http://127.0.0.1:{port}/get_reward; stop with Ctrl-C")
    assert len(json.loads(answer)["rewards"]) == 1


def test_the_judge_of_the_page_on_rewards_can_be_built(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (block,) = of_rewards("judge")
    judge = Registry(installed=False).build(Judge, YAML(typ="safe", pure=True).load(block))
    judge.check()


# --- every block of code on the pages

DONE = {"run", "load", "file", "audit", "map"}  # run by a test of its own, or generated
NOT_RUN = ROOT / "docs" / "_site" / "not_run.txt"
PLACES = {  # where a block shows a field of another part: the kind of part that stands there
    "base": "lm",
    "expert": "lm",
    "prompts": "prompts",
    "gold": "judge",
}


def code(*languages):
    """The blocks of some languages outside the tutorials."""
    found = [(i, block) for path in pages() for i, block in enumerate(blocks(path)) if block.language in languages]
    return [pytest.param(block, id=f"{block.page}-{i}") for i, block in found]


@pytest.mark.parametrize("block", code("python"))
def test_python_on_a_page_is_run_or_says_why_not(block):
    compile(block.text, block.page, "exec")
    assert block.mark in DONE or (block.mark == "not run" and block.said)


@pytest.mark.parametrize("block", code("yaml"))
def test_yaml_on_a_page_is_what_a_suite_may_hold(block, suite_schema):
    if block.mark == "not run":
        assert block.said
        return
    for key, value in parts_of(YAML(typ="safe", pure=True).load(block.text)):
        suite_schema(key, value)


def parts_of(content):
    """The keys of a block with their values; a list, or a part alone, stands for judges."""
    if isinstance(content, list):
        return [("gold", spec) for spec in content]
    return [("gold", content)] if "use" in content else list(content.items())


@pytest.fixture(scope="module")
def suite_schema():
    """Validates a key of a suite, or of a part within it, by the schema that ``fairl-bench schema`` prints."""
    import jsonschema

    from fairl_bench.suite.schema import json_schema

    drop_ins = [ROOT / "plugins" / f"{name}.py" for name in ("profanity_judge", "extremes_table", "focal_bt")]
    schema = json_schema(Registry(drop_ins, installed=False))
    places = {place: {"$ref": f"#/$defs/{kind}"} for place, kind in PLACES.items()}
    sampling = {"$ref": "#/$defs/source aligned-lm Sampling"}
    everything = {**schema["properties"], **places, "sampling": sampling}

    def validate(key, value):
        # the schema itself is checked by a test of its own, and that takes seconds
        jsonschema.Draft202012Validator({**everything[key], "$defs": schema["$defs"]}).validate(value)

    return validate


def test_what_is_not_run_is_listed_with_its_reason():
    found = [
        f"{block.page}: {block.text.splitlines()[0].strip()}: {block.said}"
        for path in pages(tutorials=True)
        for block in blocks(path)
        if block.mark == "not run"
    ]
    assert NOT_RUN.read_text().splitlines() == found
