"""The card of a results folder as a data set on the hub: Table 1, and what lies beside it."""

from __future__ import annotations

from pathlib import Path

from fairl_bench.errors import ResultsError
from fairl_bench.export.card import one_line
from fairl_bench.guards.secrets import hidden
from fairl_bench.results.folder import ResultsFolder
from fairl_bench.results.results import read_results
from fairl_bench.tables.formats import as_markdown


def files(folder: Path) -> dict[str, Path]:
    """The files that a run wrote, by their place: what the manifest lists, and the manifest.

    Somebody else's files in the folder are not among them.  Raises `ResultsError` where there is no manifest.
    """
    manifest = ResultsFolder(folder).manifest
    if manifest is None:
        raise ResultsError(f"{folder} has no manifest.json, which lists what is of the run; run the suite again")
    names = [name for name, entry in manifest.files.items() if entry.sha256]
    return {name: folder / name for name in (*sorted(names), "manifest.json")}


def results_card(folder: Path, licence: str | None) -> str:
    """The card as Markdown, with its front matter.  Raises `ResultsError` for a folder that is none."""
    results = read_results(folder)
    table = results.tables.get("table1")
    shown = [as_markdown(table).rstrip()] if table is not None else ["The suite asks for no Table 1; see `tables/`."]
    lines = [
        "---",
        f"license: {licence or 'unknown'}",
        "tags: [reward-model, inverse-reinforcement-learning, fairl-bench]",
        "viewer: false",
        "---",
        "",
        f"# Results of the suite {one_line(results.name)}",
        "",
        "Rewards that [fairl-bench](https://github.com/fairl-bench/fairl-bench) recovered from preference pairs, and "
        "how far they are from the truth.",
        "",
        *shown,
        "",
        "`suite.yaml` is the whole suite, `records.parquet` every number, `scores/` and `examples/` what they are made "
        "of, `rewards/` the rewards themselves, `report.html` all of it as a page. Read it with",
        "",
        "```python",
        "from huggingface_hub import snapshot_download",
        "from fairl_bench import read_results",
        "",
        'print(read_results(snapshot_download(REPO, repo_type="dataset")).tables)',
        "```",
        "",
        "The texts in it have the licence of the data that they come from.",
    ]
    return hidden("\n".join(lines) + "\n")
