"""Columns of Arrow tables from plain values and arrays.

`pyarrow.array` imports pandas, be there a data frame or not, which takes a fifth of a second in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

Values = Sequence[Any] | NDArray[Any]
_MOST_BYTES = 2**31 - 1  # of the texts of one array


def arrow_table(columns: Mapping[str, pa.Array]) -> pa.Table:
    """The table of these columns."""
    import pyarrow as pa

    return pa.Table.from_arrays(list(columns.values()), list(columns))


def column_of(values: Values, type: pa.DataType) -> pa.Array:
    """A column of texts or numbers ``[n]``; None is null.  Raises `UnicodeEncodeError` for what is no text."""
    import pyarrow as pa

    return texts(values) if type == pa.string() else numbers(values, type)


def texts(values: Values) -> pa.Array:
    """A column of texts ``[n]``; None is null."""
    import pyarrow as pa

    written = [b"" if text is None else text.encode() for text in values]
    offsets = np.zeros(len(written) + 1, np.int64)
    np.cumsum([len(text) for text in written], out=offsets[1:])
    if offsets[-1] > _MOST_BYTES:
        return pa.array(values, pa.string())
    buffers = [_nulls(values), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(written))]
    return pa.Array.from_buffers(pa.string(), len(written), buffers)


def numbers(values: Values, type: pa.DataType | None = None) -> pa.Array:
    """A column of numbers ``[n]``, of the type of their array unless another is asked for; None is null."""
    import pyarrow as pa

    if isinstance(values, np.ndarray):
        nulls, array = None, np.ascontiguousarray(values, None if type is None else type.to_pandas_dtype())
    else:
        assert type is not None
        nulls, array = _nulls(values), np.array([value or 0 for value in values], type.to_pandas_dtype())
    return pa.Array.from_buffers(type or pa.from_numpy_dtype(array.dtype), len(array), [nulls, pa.py_buffer(array)])


def masked(values: NDArray[Any], known: NDArray[np.bool_]) -> pa.Array:
    """A column of numbers ``[n]`` of which those that are not ``known`` are null."""
    import pyarrow as pa

    buffers = [_bits(known), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), buffers)


def _nulls(values: Values) -> pa.Buffer | None:
    """The bits of the values that are not None; None where all are there."""
    known = np.fromiter((value is not None for value in values), bool, len(values))
    return None if known.all() else _bits(known)


def _bits(known: NDArray[np.bool_]) -> pa.Buffer:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(known, bitorder="little"))


def array_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """The numbers of a column without nulls ``[n]``, read-only; `pyarrow.ChunkedArray.to_numpy` imports pandas too."""
    dtype = np.dtype(column.type.to_pandas_dtype())
    chunks = [
        np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * dtype.itemsize)
        for chunk in column.chunks
        if len(chunk)
    ]
    found = chunks[0] if len(chunks) == 1 else np.concatenate([np.empty(0, dtype), *chunks])
    found.flags.writeable = False
    return found
