"""Suites, drop-ins and published numbers by name, from a checkout and as a wheel has them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import fairl_bench
from fairl_bench.engine.planner import plan
from fairl_bench.errors import SuiteError
from fairl_bench.suite.named_files import KINDS, first_sentence, located, shipped
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IN_WHEEL: dict[str, str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["sources"]
SUITE = """\
name: mine
extends: plugins
plugins: [char_hash, focal_bt.py]
encoders:
  - {name: char-hash, use: char-hash}
methods:
  - {name: max-entropy, use: max-entropy}
  - {name: focal-bt, use: focal-bt}
evaluate:
  - {use: fidelity, data: [pairs/test], truth: gold}
report: {}
"""


def test_every_file_of_the_three_folders_has_a_name() -> None:
    for what, kind in KINDS.items():
        assert sorted(shipped(what).values()) == sorted((ROOT / kind.folder).rglob(f"*{kind.suffix}"))
    assert {"detox", "paper/pythia-410m"} <= set(shipped("suite"))
    assert "focal_bt" in shipped("plugin")
    assert set(shipped("published")) == {"learning-from-failures"}


def test_every_shipped_file_says_what_it_is() -> None:
    for what in KINDS:
        for file in shipped(what).values():
            assert len(first_sentence(file)) > 20, file


@pytest.mark.parametrize("name", ["detox", "detox.yaml", "paper/gemma3-270m"])
def test_a_name_is_that_of_a_shipped_suite(name: str, tmp_path: Path) -> None:
    assert located("suite", name, tmp_path) == ROOT / "suites" / f"{name.removesuffix('.yaml')}.yaml"


@pytest.mark.parametrize("name", ["detox", "detox.yaml"])
def test_a_file_of_that_name_wins(name: str, tmp_path: Path) -> None:
    (tmp_path / "detox.yaml").write_text("name: own\n")
    assert located("suite", name, tmp_path) == tmp_path / "detox.yaml"


@pytest.mark.parametrize("name", ["../suites/detox", "paper/../detox", "paper/../../plugins/ohem", "/detox", "nul\0"])
def test_no_name_leads_out_of_the_shipped_folders(name: str, tmp_path: Path) -> None:
    assert located("suite", name, tmp_path) == tmp_path / name


def test_a_suite_extends_and_names_drop_ins_without_a_path(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE)
    study = read_study(tmp_path / "mine.yaml")
    assert study.suite.seeds == (0, 1)
    assert study.registry.drop_ins == (ROOT / "plugins" / "char_hash.py", ROOT / "plugins" / "focal_bt.py")
    assert study.suite.plain()["plugins"] == [
        str(ROOT / "plugins" / f"{name}.py") for name in ("char_hash", "focal_bt")
    ]


def test_a_registry_takes_names_too() -> None:
    assert "focal-bt" in Registry(["focal_bt"]).names("method")  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("extends: plugins", "extends: detoks", "2: 'extends' names 'detoks', which does not exist beside this file; "
         "did you mean 'detox'"),
        ("focal_bt.py", "focal-bt", "3: plugin 'focal-bt' does not exist; did you mean 'focal_bt'"),
        ("focal_bt.py", "gone.py", "3: plugin 'gone.py' does not exist$"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_told_the_nearest(old: str, new: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE.replace(old, new))
    with pytest.raises(SuiteError, match=f"mine.yaml:{said}"):
        read_study(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("check detoks", "error: suite 'detoks' does not exist; did you mean 'detox' or 'methods'? 'fairl-bench list"),
        ("run gone", "error: suite 'gone' does not exist; 'fairl-bench list suites' lists what comes with the package"),
        (
            "list capital --plugin capital",
            "plugin 'capital' does not exist; did you mean 'capitals'? 'fairl-bench plug",
        ),
        (
            "published gone",
            "error: file of published numbers 'gone' does not exist; 'fairl-bench list published' lists",
        ),
        ("list suits", "error: kind 'suits' is unknown; did you mean 'suites'?"),
    ],
)
def test_the_command_line_tells_what_there_is(cli: Callable[..., Result], arguments: str, said: str) -> None:
    ran = cli(*arguments.split())
    assert ran.exit_code == 2
    assert said in ran.stderr


def test_the_command_line_says_which_file_a_name_is(cli: Callable[..., Result], tmp_path: Path) -> None:
    ran = cli("check", "plugins")
    assert ran.stderr.splitlines()[0] == f"plugins: {ROOT / 'suites' / 'plugins.yaml'}"
    assert "fine; 8 cells" in ran.stdout
    (tmp_path / "plugins.yaml").write_text(SUITE.replace("plugins\n", "../plugins\n", 1))
    assert cli("check", "plugins").stderr.splitlines()[0] == "plugins: plugins.yaml"


def test_what_comes_with_the_package_is_listed(cli: Callable[..., Result]) -> None:
    assert "\n  detox                         The main job: the paper's experiment" in cli("list", "suites").stdout
    assert "\n  learning-from-failures        The numbers of" in cli("list", "published").stdout
    assert "\n  focal_bt                      Focal Bradley-Terry: pairs that are ranked" in cli("plugins").stdout
    assert "focal-bt" in cli("list", "method", "--plugin", "focal_bt").stdout


def test_python_takes_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fairl_bench.check("plugins", store=tmp_path / "store").cells == 8


# --- as a wheel has them


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with this one, as the wheel of this checkout would fill it."""
    place = tmp_path_factory.mktemp("installed") / "site-packages"
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fairl_bench", place / "fairl_bench", ignore=left_out)
    for source, target in IN_WHEEL.items():
        shutil.copytree(ROOT / source, place / target, ignore=left_out)
    return place


def test_a_wheel_has_the_folders_that_are_looked_for() -> None:
    assert {kind.folder: f"fairl_bench/shipped/{kind.folder}" for kind in KINDS.values()} == IN_WHEEL


NAMES = ("log-ratio", "methods", "plugins", "mine")


def keys(name: str, folder: Path) -> list[str]:
    return sorted(plan(read_study(located("suite", name, folder))).stages)


FROM_WHEEL = f"""
import json
from pathlib import Path
from fairl_bench.cli.main import main
from fairl_bench.engine.planner import plan
from fairl_bench.suite.named_files import located
from fairl_bench.suite.read import read_study
found = {{name: sorted(plan(read_study(located("suite", name))).stages) for name in {NAMES}}}
Path("keys.json").write_text(json.dumps(found))
main(["published"])
"""


def test_a_wheel_alone_has_all_that_is_named_and_the_keys_of_the_checkout(site: Path, tmp_path: Path) -> None:
    """``../plugins/x.py`` within suites is found too: what a checkout has computed is not computed again."""
    (tmp_path / "mine.yaml").write_text(SUITE)
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", FROM_WHEEL]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "keys.json").read_text())
    assert found == {name: keys(name, tmp_path) for name in NAMES}
    assert len(found["methods"]) > 100
    assert "contradict the source's own numbers" in ran.stdout
