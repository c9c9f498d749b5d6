"""The numbers noted during a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fairl_bench.values.coordinates import Coordinates
from fairl_bench.values.data import Floats


class History(NamedTuple):
    """The numbers noted while one run trained, by epoch from 1."""

    cell: Coordinates
    series: Mapping[str, Floats]  # by name, one number an epoch
