"""The notebooks of ``examples/`` run as they stand, each in a folder of its own; the first has a module to itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SHOWN = {
    "ambiguity": [r"M_fail = 3\.2: (\d+\.\d)% of all directions without a bound", r"within the box"],
    "audit": [r"named", r"unexplained"],
    "failures": [r"\d+ of \d+ pairs are misranked", r"failure-aware"],
    "method": [r"learns: supported", r"better: \w+; gain [+-]0\.\d{3}"],
}
"""By notebook, what its cells put out among other things."""


def said(notebook: Any) -> str:
    """All text that the cells of a notebook have put out."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_saved_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_every_notebook_is_executed() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"quickstart", *SHOWN}


@pytest.mark.parametrize("name", SHOWN)
def test_a_notebook_runs_and_shows_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLES / f"{name}.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    for variable, place in {"FAIRL_STORE": "store", "IPYTHONDIR": "ipython"}.items():
        monkeypatch.setenv(variable, str(tmp_path / place))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = said(notebook)
    assert all(re.search(one, shown) for one in SHOWN[name]), shown
