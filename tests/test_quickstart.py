"""The notebook of ``examples/``: it runs as it stands, and its run gives the records of the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pandas as pd
import pytest
from click.testing import Result

import fairl_bench

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder that a copy of the notebook has worked in, and the notebook with its outputs."""
    folder = tmp_path_factory.mktemp("examples")
    for path in (NOTEBOOK, EXAMPLES / "quickstart.yaml"):
        shutil.copy(path, folder)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRL_STORE", str(folder / "store"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
        client.execute()
    return folder, notebook


def outputs(notebook: Any, starts: str) -> list[Mapping[str, Any]]:
    """What the cell that starts so has put out, by MIME type."""
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith(starts)]
    return [output.get("data", {"text/plain": output.get("text")}) for output in cell.outputs]


def test_the_notebook_is_saved_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_the_notebook_gives_the_records_of_the_command_line(
    executed: tuple[Path, Any], cli: Callable[..., Result], tmp_path: Path
) -> None:
    folder, _ = executed
    assert cli("run", folder / "quickstart.yaml", "--results", "theirs").exit_code == 0
    ours = fairl_bench.read_results(folder / "results" / "quickstart")
    theirs = fairl_bench.read_results(tmp_path / "theirs")
    pd.testing.assert_frame_equal(ours.records, theirs.records, check_exact=True)
    assert ours.tables == theirs.tables


def test_the_notebook_shows_tables_figures_and_progress(executed: tuple[Path, Any]) -> None:
    _, notebook = executed
    (checked,) = outputs(notebook, "import fairl_bench")
    assert "quickstart.yaml: fine; 25 cells" in checked["text/plain"]
    progress, results = outputs(notebook, 'results = fairl_bench.run("quickstart.yaml")')
    assert "<progress" in progress["text/html"]
    assert "results of suite &#x27;quickstart&#x27;" in results["text/html"]
    (table,) = outputs(notebook, 'results.table("table1")')
    assert "<caption>Table 1</caption>" in table["text/html"]
    (figure,) = outputs(notebook, 'results.figure("leaderboard")')
    assert "<svg" in figure["image/svg+xml"]
    assert "squared-hinge" in outputs(notebook, "suite = {")[-1]["text/html"]


def test_the_reward_of_the_notebook_prefers_the_kind_text(executed: tuple[Path, Any]) -> None:
    _, notebook = executed
    (rewards,) = outputs(notebook, "reward = with_plugin.rewards.load")
    kind, rude = map(float, rewards["text/plain"].strip("[]").split(","))
    assert kind > rude
