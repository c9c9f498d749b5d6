"""Plugins that are refused before anything is done, or because they are more than one file."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import pytest
from hostile_plugins import (
    HEAD,
    Case,
    fit,
    put,
    state,
)

from fairl_bench.errors import FairlError
from fairl_bench.pipeline import run
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study

# --- refused before anything is done

REFUSED: dict[str, tuple[str, str]] = {
    "a field called kind": ("class Hostile(Base):\n    kind: str = 'z'", "a field 'kind', a word that suites have"),
    "a field called name": ("class Hostile(Base):\n    name: str = 'z'", "a field 'name', a word that suites have"),
    "a field called use": ("class Hostile(Base):\n    use: str = 'z'", "a field 'use', a word that suites have"),
    "a field called fit": ("class Hostile(Base):\n    score: float = 1.0", "a field 'score', which hides what every"),
    "a list": ("class Hostile(Base):\n    bag: list[float] = []", r"type list\[float\]; .*make it tuple\[float, ...\]"),
    "a set": ("class Hostile(Base):\n    bag: set[str] = set()", r"type set\[str\]; .*make it tuple\[str, ...\]"),
    "a time": (
        "import datetime\nclass Hostile(Base):\n    on: datetime.date = datetime.date.min",
        "the type date; a suite",
    ),
    "a list within": ("class Hostile(Base):\n    bag: tuple[list[int], ...] = ()", r"the type list\[int\]"),
    "numbers as keys": (
        "class Hostile(Base):\n    bag: dict[int, float] = {}",
        "a mapping from int; let it be from str",
    ),
    "an array": (
        "class Hostile(Base):\n    model_config = {'arbitrary_types_allowed': True}\n    bag: np.ndarray = np.ones(3)",
        "the type ndarray; a suite holds",
    ),
    "truths of a text": (
        "class Hostile(Base):\n    def truths(self):\n        return 'gold'",
        "truths gave 'gold'; it needs a set",
    ),
    "a stack of a list": (
        "class Hostile(Base):\n    def stack(self):\n        return []",
        r"stack gave \[\]; it needs a value",
    ),
    "reads of numbers": (
        "class Hostile(Base):\n    def reads(self):\n        return 3",
        "reads gave 3; it needs digests",
    ),
    "seeded of a text": ("class Hostile(Base):\n    seeded = 'no'", "seeded is 'no'; make it True or False"),
    "reads_validation of a number": (
        "class Hostile(Base):\n    reads_validation = 1",
        "reads_validation is 1; make it True",
    ),
    "reads_upstream of a text": ("class Hostile(Base):\n    reads_upstream = ''", "reads_upstream is ''; make it True"),
    "given of another word": (
        "class Hostile(Base):\n    given = 'three models'",
        "given is 'three models'; make it one of 'texts', 'both models', 'one model', 'truth'",
    ),
    "given of a property that is another word": (
        "class Hostile(Base):\n    @property\n    def given(self):\n        return 'models'",
        "given is 'models'; make it one of 'texts', 'both models', 'one model', 'truth'",
    ),
    "reference of a property that fails": (
        "class Hostile(Base):\n    @property\n    def reference(self):\n        return 1 / 0",
        "reference raised ZeroDivisionError: division by zero",
    ),
    "reference of a number": (
        "class Hostile(Base):\n    @property\n    def reference(self):\n        return 1",
        "reference is 1; make it one of True, False",
    ),
    "upstream of a text": (
        "class Hostile(Base):\n    def upstream(self):\n        return {'base': 'gpt2'}",
        "upstream gave {'base': 'gpt2'}; it needs a dict of parts",
    ),
    "upstream of a detector": (
        "import fairl_bench\nclass Mine(fairl_bench.Detector):\n    def failures(self, signal): ...\n"
        "class Hostile(Base):\n    def upstream(self):\n        return {'base': Mine()}",
        r"upstream names Mine\(\) as 'base'; it needs a language model, the likelihoods of texts \(AskLikelihoods\)",
    ),
    "of without a method": (
        "class Hostile(Base):\n    def of(self, source):\n        return None",
        r"method 'hostile': of gave None for source 'jsonl'; it needs a method of the same class, such as self",
    ),
    "an error in of": (
        "class Hostile(Base):\n    def of(self, source):\n        return source.origin().base",
        "method 'hostile': of raised AttributeError: 'NoneType' object has no attribute 'base'",
    ),
    "upstream of a detector after of": (
        "import fairl_bench\nclass Mine(fairl_bench.Detector):\n    def failures(self, signal): ...\n"
        "class Hostile(Base):\n    placed: bool = False\n    def upstream(self):\n"
        "        return {'base': Mine()} if self.placed else {}\n"
        "    def of(self, source):\n        return self.model_copy(update={'placed': True})",
        r"upstream names Mine\(\) as 'base'; it needs a language model",
    ),
    "another kind": ("class Hostile(Encoder):\n    def encode(self, texts, corpus): ...", "it must subclass Method"),
    "no class": ("Hostile = 3", "is 3; it must subclass Method"),
    "not whole": ("class Hostile(Method):\n    pass", "is not whole: Hostile must define fit"),
    "exit at import": ("sys.exit(3)", "is broken: SystemExit: 3"),
    "os._exit at import": ("os._exit(3)", r"is broken: it called os._exit\(3\)"),
    "a base exception at import": ("raise BaseException('x')", "is broken: BaseException: x"),
    "an interruption at import": ("raise KeyboardInterrupt", "is broken: KeyboardInterrupt"),
    "a loop at import": (
        "while True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass",
        "has not finished importing",
    ),
    "an error in a truth": (
        "class Hostile(Base):\n    def truths(self):\n        1 / 0",
        "truths raised ZeroDivisionError",
    ),
}
HOOKS: dict[str, tuple[str, str]] = {
    "no hookimpl": ("def fairl_methods(register):\n    register('hostile', Base)", "without @hookimpl"),
    "another project's hookimpl": (
        "import pluggy\n@pluggy.HookimplMarker('other')\ndef fairl_methods(register): ...",
        "without @hookimpl",
    ),
    "a coroutine": ("@hookimpl\nasync def fairl_methods(register): ...", "make it a plain function"),
    "a generator": ("@hookimpl\ndef fairl_methods(register):\n    yield", "make it a plain function"),
    "twice": (
        "@hookimpl\ndef fairl_methods(register):\n    register('a', Base)\n    register('a', Base)",
        "registered twice by",
    ),
    "a name of spaces": (
        "@hookimpl\ndef fairl_methods(register):\n    register('a b', Base)",
        "a name needs letters, digits",
    ),
    "a name of a path": (
        "@hookimpl\ndef fairl_methods(register):\n    register('../a', Base)",
        "a name needs letters, digits",
    ),
    "a long name": ("@hookimpl\ndef fairl_methods(register):\n    register('a' * 300, Base)", "at most 100 characters"),
    "a name of a number": ("@hookimpl\ndef fairl_methods(register):\n    register(3, Base)", "under the name 3"),
    "an exit": ("@hookimpl\ndef fairl_methods(register):\n    sys.exit()", "is broken: SystemExit"),
    "another argument": ("@hookimpl\ndef fairl_methods(registry): ...", "is broken: PluginValidationError"),
}


@pytest.mark.parametrize("name", [*REFUSED, *HOOKS])
def test_a_plugin_is_refused_with_one_sentence(
    name: str, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRL_IMPORT_SECONDS", "0.3")
    body, sentence = (REFUSED | HOOKS)[name]
    path = put(Case("method", body), world, tmp_path / "case")
    if name in HOOKS:
        (tmp_path / "case" / "hostile.py").write_text(HEAD + body)
    before = state()
    from fairl_bench.engine.planner import plan

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's own, of a field that hides another
        with pytest.raises(FairlError, match=sentence) as refusal:
            plan(read_study(path))
    assert len(str(refusal.value).splitlines()) == 1
    after = state()
    assert {key for key in before if before[key] != after[key]} == set()
    assert capfd.readouterr().out == ""


# --- files beside a drop-in

BESIDE: dict[str, tuple[str, str]] = {
    "an import": (
        "import sys, os; sys.path.insert(0, os.path.dirname(__file__))\nimport beside",
        "imports .*beside.py in line",
    ),
    "an import without a path": (
        "try:\n    import beside\nexcept ImportError:\n    pass",
        "imports .*beside.py in line",
    ),
    "a relative import": ("from . import beside", "broken: ImportError|by a relative import"),
    "a late import": ("def later():\n    import beside", "imports .*beside.py in line 2"),
    "a late import by name": (
        "def later():\n    return importlib.import_module('beside')",
        "imports .*beside.py in line 2",
    ),
    "a run file": (
        "import runpy, os\nrunpy.run_path(os.path.join(os.path.dirname(__file__), 'beside.py'))",
        "runs the code of another",
    ),
    "executed text": (
        "from pathlib import Path\nexec(Path(__file__).with_name('beside.py').read_text())",
        "runs the code of another",
    ),
    "a package": (
        "import sys, os; sys.path.insert(0, os.path.dirname(__file__))\nfrom folder.inner import X",
        "imports .*folder.* in line",
    ),
    "a name that is made": (
        "import sys, os, importlib; sys.path.insert(0, os.path.dirname(__file__))\n"
        "importlib.import_module('be' + 'side')",
        "imports .*beside.py; a drop-in must be one file",
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_drop_in_that_takes_code_from_beside_is_refused(name: str, tmp_path: Path) -> None:
    from fairl_bench.suite.registry import Registry

    (tmp_path / "beside.py").write_text("X = 1\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.py").write_text("X = 1\n")
    (tmp_path / "plugin.py").write_text(BESIDE[name][0])
    for _ in range(2):  # the second time as well
        with pytest.raises(FairlError, match=BESIDE[name][1]):
            Registry([tmp_path / "plugin.py"], installed=False)
    assert not {"beside", "folder"} & set(sys.modules)


def test_a_neighbour_that_is_imported_at_work_fails_the_part(world: Path, tmp_path: Path) -> None:
    case = fit("sys.path.insert(0, os.path.dirname(__file__)); __import__('be' + 'side')\nreturn self.good(task)")
    path = put(case, world, tmp_path / "case")
    (tmp_path / "case" / "beside.py").write_text("X = 1\n")
    for _ in range(2):
        finished = run(read_study(path), FolderStore(tmp_path / "store"), tmp_path / "results")
        (reason,) = finished.outcome.failed.values()
        assert re.search(r"hostile.py imports .*beside.py while it works; a drop-in must be one file", reason)
