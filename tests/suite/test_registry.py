from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fairl_bench.errors import PluginError, UnknownName
from fairl_bench.hookspecs import hookimpl
from fairl_bench.kinds import KINDS
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.method import Method
from fairl_bench.suite import registry as engine_registry
from fairl_bench.suite.registry import Registry

GOOD = """
from fairl_bench import Encoder, Field, hookimpl


class Zeros(Encoder):
    dimensions: int = Field(2, ge=1)

    def encode(self, texts, corpus):
        return [[0.0] * self.dimensions for _ in texts]


@hookimpl
def fairl_encoders(register):
    register("{name}", Zeros)
"""
DATACLASS = """
from __future__ import annotations

from dataclasses import dataclass

from fairl_bench import Encoder, hookimpl


@dataclass
class Word:
    text: str
    other: Word | None = None


class Words(Encoder):
    def encode(self, texts, corpus):
        return [[len(Word(text).text)] for text in texts]


@hookimpl
def fairl_encoders(register):
    register("words", Words)
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(source: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        return path

    return write


def good(name: str) -> str:
    return GOOD.replace("{name}", name)


def load(*paths: Path) -> Registry:
    return Registry(paths, installed=False)


# --- drop-ins


def test_a_drop_in_is_found_and_built(write: Write) -> None:
    path = write(good("zeros"))
    registry = load(path)
    assert registry.build(Encoder, {"use": "zeros", "dimensions": 3}).encode(["a"], []) == [[0, 0, 0]]
    plugin = registry.plugin_of("encoder", "zeros")
    assert (plugin.name, plugin.origin, plugin.hooks, plugin.failure) == (
        str(path),
        "drop-in",
        ("fairl_encoders",),
        "",
    )


def test_a_drop_in_may_hold_a_dataclass(write: Write) -> None:
    assert load(write(DATACLASS)).build(Encoder, {"use": "words"}).encode(["abc"], []) == [[3]]


def test_two_drop_ins_of_one_stem_live_side_by_side(write: Write) -> None:
    registry = load(write(good("one"), "a/plugin.py"), write(good("two"), "b/plugin.py"))
    one, two = registry.find("encoder", "one"), registry.find("encoder", "two")
    assert one is not two
    assert {"one", "two"} <= set(registry.names("encoder"))


def test_two_copies_of_one_drop_in_collide_by_name(write: Write) -> None:
    paths = [write(good("zeros"), f"{folder}/plugin.py") for folder in "ab"]
    with pytest.raises(PluginError, match=f"encoder 'zeros' is registered by both {paths[0]} and {paths[1]}"):
        load(*paths)


def test_the_same_file_twice_is_loaded_once(write: Write, tmp_path: Path) -> None:
    path = write(good("zeros"))
    registry = load(path, path, tmp_path / "x" / ".." / "plugin.py")
    assert registry.drop_ins == (path,)
    assert "zeros" in registry.names("encoder")


def test_the_order_of_drop_ins_does_not_matter(write: Write) -> None:
    paths = [write(good("one"), "a.py"), write(good("two"), "b.py")]
    assert list(load(*paths).plugins) == list(load(*reversed(paths)).plugins)


def test_an_edited_drop_in_is_loaded_anew(write: Write) -> None:
    load(write(good("before")))
    assert "after" in load(write(good("after"))).names("encoder")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "plugin PATH is broken: ZeroDivisionError: division by zero"),
        ("import no_such_module", "plugin PATH is broken: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def (", "plugin PATH is broken: SyntaxError: invalid syntax"),
        (
            "from fairl_bench import hookimpl\n@hookimpl\ndef fairl_methods(register):\n    1 / 0",
            "plugin PATH is broken: ZeroDivisionError: division by zero",
        ),
        (
            "from fairl_bench import hookimpl\n@hookimpl\ndef fairl_method(register): ...",
            "plugin PATH has an unknown hook 'fairl_method'; did you mean 'fairl_methods'",
        ),
        (
            "def fairl_encodrs(register): ...",
            "plugin PATH has an unknown hook 'fairl_encodrs'; did you mean 'fairl_encoders'",
        ),
        (
            "from fairl_bench import hookimpl\n@hookimpl\ndef fairl_methods(regster): ...",
            "plugin PATH is broken: PluginValidationError",
        ),
    ],
)
def test_a_broken_drop_in_is_named_with_its_reason(source: str, reason: str, write: Write) -> None:
    path = write(source)
    with pytest.raises(PluginError, match=re.escape(reason.replace("PATH", str(path)))):
        load(path)


def test_a_broken_drop_in_is_broken_the_second_time_too(write: Write) -> None:
    path = write("1 / 0")
    for _ in range(2):
        with pytest.raises(PluginError, match="ZeroDivisionError"):
            load(path)


def test_a_drop_in_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=f"plugin {tmp_path / 'gone.py'} does not exist"):
        load(tmp_path / "gone.py")


def test_a_collision_names_both_plugins(write: Write) -> None:
    a, b = write(good("zeros"), "a.py"), write(good("zeros") + "# b", "b.py")
    with pytest.raises(PluginError, match=f"encoder 'zeros' is registered by both {a} and {b}; rename one"):
        load(a, b)


def test_a_collision_with_a_built_in_names_both(write: Write) -> None:
    path = write(good("tfidf"))
    with pytest.raises(PluginError, match=f"encoder 'tfidf' is registered by both fairl_bench.builtin and {path}"):
        load(path)


def test_a_name_of_another_kind_does_not_collide(write: Write) -> None:
    assert "max-margin" in load(write(good("max-margin"))).names("encoder")


@pytest.mark.parametrize("part", ["Zeros", "Zeros()", "3", "'nowhere:Zeros'", "'os.path:nothing'"])
def test_a_part_of_the_wrong_kind_is_refused(part: str, write: Write) -> None:
    source = good("zeros").replace("fairl_encoders", "fairl_methods").replace('"zeros", Zeros', f'"zeros", {part}')
    registry = load(write(source))
    with pytest.raises(
        PluginError, match=r"method 'zeros' of .*plugin.py (is .*must subclass Method|cannot be loaded)"
    ):
        registry.find("method", "zeros")


# --- names


@pytest.mark.parametrize(
    ("kind", "name", "answer"),
    [
        ("method", "max-margn", "method 'max-margn' is unknown; did you mean 'max-margin'?"),
        ("encoder", "zzz", "encoder 'zzz' is unknown; known: 'causal-lm', 'numbers', 'sentence-transformer', 'tfidf'"),
        ("judge", "toytruth", "judge 'toytruth' is unknown; did you mean 'toy-truth'?"),
    ],
)
def test_an_unknown_name_is_answered_with_near_matches_else_with_all(kind: str, name: str, answer: str) -> None:
    registry = Registry(installed=False)
    with pytest.raises(UnknownName, match=re.escape(answer)):
        registry.find(kind, name)


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_part_can_be_found(kind: str) -> None:
    registry = Registry(installed=False)
    for name in registry.names(kind):
        assert issubclass(registry.find(kind, name), KINDS[kind])


def test_a_registry_imports_no_part() -> None:
    code = "import sys; from fairl_bench.suite.registry import Registry; r = Registry(installed=False); "
    code += "r.names('method'); print(*(m for m in sys.modules if m.startswith('fairl_bench.builtin.')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


# --- installed plugins


def point(name: str, load: Callable[[], Any], version: str = "1.2") -> SimpleNamespace:
    return SimpleNamespace(name=name, load=load, dist=SimpleNamespace(version=version))


def module(name: str, part: object, hook: str = "fairl_methods") -> ModuleType:
    found = ModuleType(name)

    def register_parts(register: Any) -> None:
        register(name, part)

    register_parts.__name__ = hook
    setattr(found, hook, hookimpl(register_parts))
    return found


class Nothing(Method):
    def fit(self, task: object) -> Any:
        raise NotImplementedError


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    def install(*points: SimpleNamespace) -> Registry:
        monkeypatch.setattr(engine_registry, "entry_points", lambda group: {"fairl_bench": points}[group])
        return Registry()

    return install


def test_an_installed_plugin_is_found_with_its_version(install: Callable[..., Registry]) -> None:
    registry = install(point("nice", lambda: module("nice", Nothing)))
    plugin = registry.plugin_of("method", "nice")
    assert (plugin.name, plugin.origin, plugin.version, plugin.hooks) == (
        "nice",
        "installed",
        "1.2",
        ("fairl_methods",),
    )


def fails() -> None:
    raise ImportError("no module named 'cuda'\nand more")


@pytest.mark.parametrize(
    ("load_it", "failure"),
    [
        (fails, "ImportError: no module named 'cuda'"),
        (
            lambda: module("max-margin", Nothing),
            "method 'max-margin' is registered by both fairl_bench.builtin and bad",
        ),
        (lambda: module("x", Nothing, "fairl_metods"), "unknown hook 'fairl_metods'; did you mean 'fairl_methods'"),
    ],
    ids=["import", "collision", "misspelt"],
)
def test_a_broken_installed_plugin_is_reported_and_takes_nothing_down(
    load_it: Callable[[], Any], failure: str, install: Callable[..., Registry]
) -> None:
    registry = install(
        point("aaa", lambda: module("aaa", Nothing)),
        point("bad", load_it, "0.1"),
        point("zzz", lambda: module("zzz", Nothing)),
    )
    assert failure in registry.plugins["bad"].failure
    assert "\n" not in registry.plugins["bad"].failure
    assert registry.plugins["bad"].version == "0.1"
    assert {"aaa", "zzz", "max-margin"} <= set(registry.names("method"))
    assert registry.plugin_of("method", "max-margin").origin == "built-in"


def test_two_installed_plugins_of_one_name_are_reported_and_the_first_stays(install: Callable[..., Registry]) -> None:
    registry = install(point("same", lambda: module("one", Nothing)), point("same", lambda: module("two", Nothing)))
    assert registry.plugin_of("method", "one").failure == ""
    assert "two" not in registry.names("method")
    assert [p.failure for p in registry.plugins.values() if p.failure] == [
        "PluginError: another plugin is named 'same' too"
    ]


def test_a_plugin_that_breaks_half_way_registers_nothing(install: Callable[..., Registry]) -> None:
    half = module("half", Nothing)
    one = half.fairl_methods

    def fairl_methods(register: Any) -> None:
        one(register)
        raise RuntimeError("half way")

    half.fairl_methods = hookimpl(fairl_methods)  # type: ignore[attr-defined]
    registry = install(point("half", lambda: half))
    assert "RuntimeError: half way" in registry.plugins["half"].failure
    assert "half" not in registry.names("method")
