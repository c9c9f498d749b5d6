"""What the pages say is what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fairl_bench import RunFinished, hookspecs
from fairl_bench.engine.registry import Registry
from fairl_bench.kinds import KINDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_generated_blocks_of_the_readme_are_up_to_date():
    done = subprocess.run([sys.executable, ROOT / "docs" / "fill.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_changed_block_is_noticed(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import fill

    assert fill.filled("<!-- parts -->\nold\n<!-- end -->", None) != "<!-- parts -->\nold\n<!-- end -->"


def test_the_readme_tables_were_generated():
    blocks = re.findall(r"<!-- table: \S+ -->\n(.*?)<!-- end -->", README, re.S)
    assert len(blocks) == 2
    assert all("max-entropy" in block and "±" in block for block in blocks)


def test_every_kind_and_a_runs_life_have_documented_hooks():
    hooks = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("fairl_")}
    life = {"fairl_run_started", "fairl_stage_finished", "fairl_run_finished"}
    assert set(hooks) == {f"fairl_{kind.removesuffix('s')}s" for kind in KINDS} | life
    assert all(name in (ROOT / "docs" / "hooks.md").read_text() for name in life)
    assert all(hook.__doc__ for hook in hooks.values())


@pytest.mark.parametrize("name", re.findall(r"\]\(([^):#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(name):
    assert (ROOT / name).exists()


def test_the_commands_of_the_readme_are_the_ones_that_ci_runs():
    assert set(re.findall(r"readme (\w+)\)", (ROOT / ".ci" / "run").read_text())) == set(
        re.findall(r"<!-- command: (\w+) -->", README)
    )


def test_the_follower_on_the_page_of_hooks_is_a_plugin(tmp_path, capsys):
    page = (ROOT / "docs" / "hooks.md").read_text()
    (source,) = re.findall(r"```python\n(.*?)```", page, re.S)
    (tmp_path / "follow.py").write_text(source)
    (follower,) = Registry([tmp_path / "follow.py"], installed=False).followers("fairl_run_finished")
    follower[1](run=RunFinished("a", tmp_path, tmp_path / "records.parquet", (), 3, 2, 1, 0, 0, 4.4))
    assert capsys.readouterr().out == f"\aa: 2 done, 1 failed in 4 s; {tmp_path / 'records.parquet'}\n"
    assert all((ROOT / "docs" / name).exists() for name in re.findall(r"\]\(([^):#]+)\)", page))
