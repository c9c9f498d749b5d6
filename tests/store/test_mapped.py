"""Mapped arrays: the library reads what we write, and we what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fairl_bench.store import mapped

ARRAYS = {
    "vectors": np.arange(12, dtype=np.float32).reshape(4, 3),
    "row": np.array([3, 1, 1], np.int64),
    "none": np.empty((0, 3), np.float32),
}


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    mapped.save(ARRAYS, tmp_path / "a.safetensors")
    found = load_file(tmp_path / "a.safetensors")
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in ARRAYS.items()}
    assert {name: array.dtype for name, array in found.items()} == {n: a.dtype for n, a in ARRAYS.items()}


@pytest.mark.parametrize("metadata", [None, {"a": "b"}])
def test_what_the_library_writes_is_read(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    save_file(ARRAYS, tmp_path / "a.safetensors", metadata)
    found = mapped.load(tmp_path / "a.safetensors")
    assert all(
        np.array_equal(found[name], array) and found[name].shape == array.shape for name, array in ARRAYS.items()
    )


def test_arrays_are_mapped_and_their_file_is_never_changed(tmp_path: Path) -> None:
    mapped.save(ARRAYS, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    vectors = mapped.load(tmp_path / "a.safetensors")["vectors"]
    assert isinstance(vectors, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        vectors += 1
    vectors.flags.writeable = True  # as a library may that does not ask
    vectors += 1
    assert (tmp_path / "a.safetensors").read_bytes() == before


def test_rows_of_another_order_in_memory_are_written_row_by_row(tmp_path: Path) -> None:
    mapped.save({"vectors": np.asfortranarray(ARRAYS["vectors"])}, tmp_path / "a.safetensors")
    assert np.array_equal(mapped.load(tmp_path / "a.safetensors")["vectors"], ARRAYS["vectors"])


def test_data_starts_at_a_multiple_of_64_bytes(tmp_path: Path) -> None:
    mapped.save(ARRAYS, tmp_path / "a.safetensors")
    assert mapped.load(tmp_path / "a.safetensors")["vectors"].offset % 64 == 0
