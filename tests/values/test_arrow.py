"""Arrow columns that are made without pandas are those that pyarrow makes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from fairl_bench.values.arrow import array_of, arrow_table, column_of, masked, numbers, texts


@pytest.mark.parametrize("values", [[], ["a"], ["", "é", "x" * 300], [None, "b", None], ["\0", "line\nend"]])
def test_a_column_of_texts_is_pyarrows(values: Sequence[str | None]) -> None:
    column = texts(values)
    column.validate(full=True)
    assert column.equals(pa.array(values, pa.string()))


def test_half_of_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError, match="ud800"):
        texts(["a", "\ud800"])


@pytest.mark.parametrize("type", [pa.int16(), pa.int64(), pa.float64()])
@pytest.mark.parametrize("values", [[], [1, 2, 3], [None, 7, None] * 9])
def test_a_column_of_numbers_is_pyarrows(values: Sequence[int | None], type: pa.DataType) -> None:
    column = column_of(values, type)
    column.validate(full=True)
    assert column.equals(pa.array(values, type))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32, np.float64])
def test_an_array_keeps_its_type_and_comes_back_read_only(dtype: type[np.generic]) -> None:
    array = np.arange(12).astype(dtype)[::2]
    column = numbers(array)
    assert column.equals(pa.array(array))
    twice = pa.concat_tables([arrow_table({"a": column}), arrow_table({"a": column.slice(1, 3)})])["a"]
    back = array_of(twice)
    assert back.dtype == dtype
    assert back.tolist() == [*array.tolist(), *array[1:4].tolist()]
    with pytest.raises(ValueError, match="read-only"):
        back[0] = 1


def test_what_is_not_known_is_null() -> None:
    column = masked(np.array([3, 4, 5]), np.array([True, False, True]))
    assert column.to_pylist() == [3, None, 5]


def test_no_pandas_is_imported() -> None:
    code = (
        "import sys, numpy as np, pyarrow as pa; from fairl_bench.values.arrow import *\n"
        "columns = {'t': texts(['a', None]), 'n': numbers(np.arange(2)), 'm': column_of([1, None], pa.int16())}\n"
        "table = arrow_table(columns)\n"
        "array_of(table['n']); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
