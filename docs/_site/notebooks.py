"""The notebooks of ``examples/`` as pages: executed in a folder of their own, their figures beside them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import nbclient
import nbformat
from nbconvert import MarkdownExporter

EXAMPLES = Path(__file__).parents[2] / "examples"


class Page(NamedTuple):
    """A notebook in Markdown, and the files that it shows, by their paths beside it."""

    text: str
    files: Mapping[str, bytes]


def pages(*, execute: bool) -> Iterator[tuple[str, Page]]:
    """Every notebook by its name; ``execute`` runs it before."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "examples")
        shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("results"))
        for path in sorted(folder.glob("*.ipynb")):
            notebook = nbformat.read(path, as_version=4)
            if execute:
                nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
            yield path.stem, _page(path.stem, notebook)


def _page(name: str, notebook: Any) -> Page:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_passing(output)]
    exporter = MarkdownExporter()
    text, resources = exporter.from_notebook_node(notebook, {"output_files_dir": f"{name}_files", "unique_key": name})
    source = f"\n\nThis page is the notebook [`examples/{name}.ipynb`](../../examples/{name}.ipynb), executed.\n"
    title, _, rest = text.lstrip().partition("\n")
    return Page(f"{title}{source}{rest}", resources.get("outputs", {}))


def _is_passing(output: Any) -> bool:
    """Whether it is the progress of a run, or what libraries say on the standard error."""
    return "<progress" in str(output.get("data", {}).get("text/html", "")) or output.get("name") == "stderr"
