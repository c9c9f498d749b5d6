"""Which files a key covers: a drop-in's own, and every source file of an installed plugin's package."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairl_bench.digests import digest
from fairl_bench.engine.keys import identity
from fairl_bench.kinds.method import Method
from fairl_bench.suite import part_code as sources
from fairl_bench.suite.part_digest import source_digest
from fairl_bench.suite.registry import Registry

PART = """
from fairl_bench import Method, Reward
from {package} import {other}

class Part(Method):
    def fit(self, task):
        return Reward({{}})
"""
HOOK = """
from fairl_bench import hookimpl

@hookimpl
def fairl_methods(register):
    register("part", "{package}.parts:Part")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin that is installed in place: the folder of its package."""
    package, info = tmp_path / "src" / "own_plugin", tmp_path / "site-packages" / "own_plugin-1.dist-info"
    (package / "deep").mkdir(parents=True)
    info.mkdir(parents=True)
    (package / "__init__.py").write_text(HOOK.format(package="own_plugin"))
    (package / "parts.py").write_text(PART.format(package="own_plugin", other="numbers"))
    (package / "numbers.py").write_text("from own_other import SCALE\n")
    (package / "deep" / "more.py").write_text("X = 1\n")
    (package / "notes.txt").write_text("x")
    (tmp_path / "src" / "own_other.py").write_text("SCALE = 1.0\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[fairl_bench]\nown = own_plugin\n")
    (info / "direct_url.json").write_text(
        json.dumps({"url": (tmp_path / "src").as_uri(), "dir_info": {"editable": True}})
    )
    for place in ("src", "site-packages"):
        monkeypatch.syspath_prepend(str(tmp_path / place))
    caches = (sources.editable, sources._installed, sources._edited, sources._companions, sources.distributed)
    for one in caches:
        one.cache_clear()
    yield package
    for one in caches:
        one.cache_clear()
    for name in [name for name in sys.modules if name.startswith(("own_plugin", "own_other"))]:
        del sys.modules[name]


def key() -> str:
    """The identity of the plugin's part, its class found anew."""
    source_digest.cache_clear()
    sources._edited.cache_clear()
    for name in [name for name in sys.modules if name.startswith(("own_plugin", "own_other"))]:
        del sys.modules[name]
    registry = Registry()
    return digest(identity(registry.build(Method, {"use": "part"}), registry))


@pytest.mark.parametrize(
    "edited", ["__init__.py", "parts.py", "numbers.py", "deep/more.py", "deep/new.py", "../own_other.py"]
)
def test_an_edit_of_any_source_file_of_an_installed_plugin_is_another_key(installed: Path, edited: str) -> None:
    before = key()
    assert key() == before
    file = installed / edited
    file.write_text((file.read_text() if file.exists() else "") + "# edited\n")
    assert key() != before


def test_what_is_no_source_is_not_in_the_key(installed: Path) -> None:
    before = key()
    (installed / "notes.txt").write_text("y")
    (installed / "__pycache__").mkdir(exist_ok=True)
    (installed / "__pycache__" / "x.py").write_text("")
    assert key() == before


def test_a_drop_in_that_imports_an_editable_package_has_its_files_in_the_key(installed: Path, tmp_path: Path) -> None:
    drop_in = PART.format(package="own_plugin", other="numbers")
    drop_in += (
        "\nfrom fairl_bench import hookimpl\n@hookimpl\ndef fairl_methods(register):\n    register('mine', Part)\n"
    )
    (tmp_path / "drop.py").write_text(drop_in)

    def mine() -> str:
        source_digest.cache_clear()
        sources._edited.cache_clear()
        registry = Registry([tmp_path / "drop.py"], installed=False)
        return digest(identity(registry.build(Method, {"use": "mine"}), registry))

    before = mine()
    (installed / "deep" / "more.py").write_text("X = 2\n")
    assert mine() != before


def test_a_file_of_python_or_of_a_package_is_not_loose(tmp_path: Path) -> None:
    assert not sources.loose(Path(json.__file__))
    assert not sources.loose(Path(pytest.__file__))
    assert not sources.loose(Path(sources.__file__))
    assert sources.loose(tmp_path / "x.py")
    assert sources.loose(Path(__file__).parents[2] / "plugins" / "ohem.py")  # beside us, and no part of us


def test_imports_are_found_wherever_they_stand() -> None:
    tree = ast.parse(
        "import a.b\nfrom c.d import e\ndef f():\n    import g\n    from . import h\nimport_module('i.j')\n"
        "__import__('k')\nif TYPE_CHECKING:\n    import l\nelse:\n    import m\nimport_module(name)\n"
    )
    assert [one.name for one in sources.imports(tree)] == ["a", "c", "g", ".", "i", "k", "m"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("exec(open('x').read())", ["exec"]),
        ("exec(compile(Path('x').read_text(), 'x', 'exec'))", ["exec", "compile"]),
        ("runpy.run_path('x')", ["run_path"]),
        ("exec('1')", []),
        ("eval(expression)", ["eval"]),
        ("open('x').read()", []),
    ],
)
def test_running_the_code_of_a_file_is_seen(text: str, found: list[str]) -> None:
    assert [one.call for one in sources.code_runs(ast.parse(text))] == found
