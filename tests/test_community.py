"""The files around the code: citation, versions, constraints, changelog, workflows, container."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

from fairl_bench.version import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"]


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name: Version(version) for name, version in pairs}


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    cited = read(ROOT / "CITATION.cff")
    assert cited["version"] == __version__
    assert cited["license"] == PROJECT["project"]["license"]
    (paper,) = cited["references"]
    published = read(ROOT / "results" / "published" / "learning-from-failures.yaml")
    assert published["title"].startswith(paper["title"])


def test_every_dependency_is_pinned_to_a_version_that_the_project_allows() -> None:
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["offline"]]
    pinned = constraints()
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_pins_are_sorted_and_have_no_local_part_so_that_a_gpu_may_use_them() -> None:
    pinned = constraints()
    assert list(pinned) == sorted(pinned)
    assert [name for name, version in pinned.items() if version.local] == []


def test_the_command_that_pins_follows_what_dependencies_need() -> None:
    made = runpy.run_path(str(ROOT / ".ci" / "constraints.py"))
    found = made["pinned"]([Requirement("pytest"), Requirement("nosuch; extra == 'never'")])
    assert {"pytest", "pluggy", "iniconfig"} <= set(found)
    assert "hypothesis" not in found  # of pytest's extra 'dev'
    with pytest.raises(SystemExit, match="nosuch-package is not installed here"):
        made["pinned"]([Requirement("nosuch_package")])


def test_fragments_have_a_type_of_ours_and_the_changelog_a_place_for_them() -> None:
    settings = PROJECT["tool"]["towncrier"]
    types = {one["directory"] for one in settings["type"]}
    fragments = [path for path in (ROOT / settings["directory"]).iterdir() if path.name not in settings["ignore"]]
    assert [
        path.name for path in fragments if not re.fullmatch(rf"(\+[\w-]+|\d+)\.({'|'.join(types)})\.md", path.name)
    ] == []
    assert (ROOT / settings["filename"]).read_text(encoding="utf-8").count(settings["start_string"]) == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_may_write_more_than_it_says_or_run_for_hours(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        assert set(job.get("permissions", {})) <= {"id-token"}


def test_ci_runs_what_a_newcomer_would_and_every_python_that_the_project_names() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "tests.yml")["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["ci"]["steps"]]
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    pythons = re.findall(r"\bpy3(\d+)", re.search(r"env_list = (.*)", tox)[1])  # type: ignore[index]
    assert jobs["tox"]["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in pythons]
    for environment in re.findall(r"tox run -e ([\w,]+)", str(jobs)):
        assert all(name == "py" or f"[testenv:{name}]" in tox for name in environment.split(","))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_have_what_github_asks_for(path: Path) -> None:
    form = read(path)
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    assert {field["type"] for field in form["body"]} <= {"textarea", "input", "dropdown", "markdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in form["body"])


@pytest.mark.parametrize("name", ["bug", "number"])
def test_a_report_of_a_mistake_asks_for_run_json(name: str) -> None:
    form = read(ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml")
    (run,) = [field for field in form["body"] if field["id"] == "run"]
    assert run["attributes"]["label"].startswith("run.json")
    assert run["validations"]["required"] is True


def test_the_container_has_all_that_the_wheel_is_built_of() -> None:
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for name in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        assert f"COPY {name} {name}" in docker
        assert f"!{name}/**" in kept
    for name in re.findall(r"^COPY ([\w.][^/\n]*) \./$", docker, re.M)[0].split():
        assert f"!{name}" in kept.splitlines()
