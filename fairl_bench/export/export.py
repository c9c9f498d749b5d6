"""The command ``export``: a reward as a model folder, a reward or results on the hub."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fairl_bench.errors import DataError, FairlError
from fairl_bench.export.card import card, licence_of
from fairl_bench.export.push import push
from fairl_bench.export.results_card import files, results_card
from fairl_bench.export.reward_folder import To, Written, write_folder
from fairl_bench.results.folder import RECORDS, REWARDS, SUITE
from fairl_bench.reward.about import FILE, read_about
from fairl_bench.reward.function import RecoveredReward


def is_results(folder: Path) -> bool:
    """Whether a folder is that of results, rather than of one reward."""
    return (folder / SUITE).is_file() and (folder / RECORDS).is_file() and not (folder / FILE).exists()


def export_reward(
    reward: RecoveredReward,
    saved: Path,
    folder: Path | None,
    repository: str | None,
    *,
    to: To | None = None,
    public: bool = False,
    licence: str | None = None,
) -> Iterator[str]:
    """Write a saved reward as a model folder and put it into a repository; yields what to tell, one line each.

    Raises `FairlError` where it can be neither.
    """
    if folder is None and repository is None:
        raise FairlError("export needs a FOLDER to write, or --push REPO")
    _refuse_licence(licence)
    about, licence = read_about(saved), licence or licence_of(reward)
    place = saved.resolve()
    results = place.parent.parent if place.parent.name == REWARDS else None

    def describe(written: Written) -> str:
        return card(reward, about, written, results, licence)

    with tempfile.TemporaryDirectory(prefix="fairl-bench-") as room:
        out = folder or Path(room, "model")
        written = write_folder(reward, out, to, describe)
        yield f"{out if folder else repository}: {written.why}"
        if written.constant:
            yield f"a reward is its number plus {written.constant:.6g}, the same for all texts"
        yield f"read again, its numbers are within {max(written.difference, 1e-9):.1g} of the reward's"
        if repository is not None:
            held = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
            yield push(held, repository, kind="model", public=public, title=f"Recovered reward {reward.name}")


def export_results(
    results: Path,
    folder: Path | None,
    repository: str | None,
    *,
    to: To | None = None,
    public: bool = False,
    licence: str | None = None,
) -> Iterator[str]:
    """Put a results folder with a card into a data set of the hub; yields its address.

    Raises `FairlError` where no repository is named, or for what only a reward can have.
    """
    if repository is None or folder is not None or to is not None:
        raise DataError(
            f"{results} is a results folder, and is exported with --push REPO alone; for a model folder name one of "
            f"its rewards, in {results / REWARDS}"
        )
    _refuse_licence(licence)
    held: dict[str, Path | bytes] = {**files(results), "README.md": results_card(results, licence).encode()}
    yield push(held, repository, kind="dataset", public=public, title="Results of fairl-bench")


def _refuse_licence(licence: str | None) -> None:
    """Raise `FairlError` for what is no identifier of a licence."""
    if licence is not None and not re.fullmatch(r"[\w.-]{1,60}", licence):
        raise FairlError(f"--license {licence[:60]!r}: needs an identifier of the hub, such as apache-2.0 or other")
