"""Other people's files in a results folder, damage to it, and what lies there."""

from __future__ import annotations

from pathlib import Path

MINE = ("tables/thesis.tex", "figures/photo.png", "rewards/my-model/reward.json", "scores/mine.parquet", "notes.txt")


def plant(folder: Path, names: tuple[str, ...] = MINE) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"mine: {name}")


def untouched(folder: Path, names: tuple[str, ...] = MINE) -> bool:
    return all((folder / name).read_text() == f"mine: {name}" for name in names)


def content(folder: Path) -> dict[str, bytes]:
    passing = ("run.json", "manifest.json", "report.html")  # they say when a run was
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in passing]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # not through a link to the store
    path.write_bytes(data)
