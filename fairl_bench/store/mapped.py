"""Arrays that may be larger than the free memory: written without a copy, read by mapping the file.

The format is safetensors'; its own library copies every array on the way in and on the way out.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NAMES: Mapping[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
_ALIGN = 64  # bytes: rows are aligned to vector registers


def save(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Write float32 and int64 arrays as a safetensors file."""
    header, offset = {}, 0
    for name, array in arrays.items():
        kind = next(kind for kind, dtype in _NAMES.items() if dtype == array.dtype)
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % _ALIGN)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            np.ascontiguousarray(array).tofile(file)


def load(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, mapped: their pages are read when they are used, and they are read-only.

    A library that writes all the same changes a copy in memory, never the file.  Protected pages would end the process.
    """
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {name: _mapped(path, 8 + size, entry) for name, entry in header.items()}


def _mapped(path: Path, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    dtype, shape = _NAMES[entry["dtype"]], tuple(entry["shape"])
    if not math.prod(shape):  # an empty array cannot be mapped
        return np.empty(shape, dtype)
    array = np.memmap(path, dtype, mode="c", offset=start + entry["data_offsets"][0], shape=shape)
    array.flags.writeable = False
    return array
