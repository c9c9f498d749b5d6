from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fairl_bench


def quiet_import(code: str) -> str:
    """Runs ``code`` in a fresh interpreter; which heavy packages it pulled in."""
    check = "\nimport sys\nprint('pulled', *sorted({'torch', 'transformers', 'pandas'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    return ran.stdout.strip().splitlines()[-1]


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(fairl_bench.__file__).read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    seen = {(n.module, alias.asname) for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert seen == {(fairl_bench._HOME_OF[name], name) for name in fairl_bench.__all__}


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(fairl_bench, name) is not None for name in fairl_bench.__all__)


def test_dir_shows_the_public_names() -> None:
    assert set(fairl_bench.__all__) < set(dir(fairl_bench))


def test_an_unknown_name_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="'fairl_bench' has no attribute 'Pears'"):
        _ = fairl_bench.Pears


def test_the_check_for_heavy_imports_can_fail() -> None:
    assert quiet_import("import sys, types; sys.modules['torch'] = types.ModuleType('torch')") == "pulled torch"


def test_importing_every_public_name_pulls_in_nothing_heavy() -> None:
    assert quiet_import("from fairl_bench import *") == "pulled"


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["plugins"], ["run", "--help"]])
def test_a_light_command_pulls_in_nothing_heavy(arguments: list[str]) -> None:
    code = f"from fairl_bench.cli.main import main\ntry:\n    main({arguments})\n"
    code += "except SystemExit as end:\n    assert not end.code"
    assert quiet_import(code) == "pulled"


def test_list_imports_no_part() -> None:
    code = """
import sys
from fairl_bench.cli.main import main
try:
    main(["list"])
except SystemExit:
    pass
parts = [name for name in sys.modules if name.startswith("fairl_bench.builtin.")]
assert not parts, parts
"""
    assert quiet_import(code) == "pulled"


def test_no_room_hides_a_public_name() -> None:
    rooms = {path.stem for path in Path(fairl_bench.__file__).parent.iterdir() if path.suffix in ("", ".py")}
    assert not rooms & set(fairl_bench.__all__)
