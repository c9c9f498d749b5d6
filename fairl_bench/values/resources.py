"""The resources that the work of a part needs: cores, memory, time."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.component import RunTime, Settings


def size_in_bytes(size: str) -> int:
    """The bytes of a size like ``8GB`` (MB, GB, TB, in powers of ten).  Raises `ValueError` for any other text.

    >>> size_in_bytes("0.5GB")
    500000000
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(MB|GB|TB)", size)
    if match is None or not float(match[1]):
        raise ValueError(size)
    return round(float(match[1]) * {"MB": 10**6, "GB": 10**9, "TB": 10**12}[match[2]])


def _a_size(text: str) -> str:
    try:
        size_in_bytes(text)
    except ValueError:
        reason = f"needs a size like 500MB or 8GB, got {text!r}"
        raise PydanticCustomError("size", "{reason}", {"reason": reason}) from None
    return text


Size = Annotated[str, AfterValidator(_a_size)]
"""An amount of memory, like ``8GB``."""


class Resources(Settings):
    """The resources that the work of a part needs, and the limits at which it is ended; no number depends on them."""

    num_cpus: float = Field(
        1.0, gt=0, description="cores: so many of --jobs, or of a cluster's node; a share of one, or whole ones"
    )
    num_gpus: float = Field(0.0, ge=0, description="GPUs of a cluster's node: a share of one, or whole ones")
    memory: Size | None = Field(None, description="what a cluster's node must have left, like 8GB")
    time_limit: float | None = Field(None, gt=0, description="seconds; a stage that takes longer is ended and fails")
    memory_limit: Size | None = Field(
        None,
        description="what its process may hold, libraries too; a stage that takes more is ended and fails",
    )

    @field_validator("num_cpus", "num_gpus")
    @classmethod
    def _whole_above_one(cls, number: float) -> float:
        """Refuse what no scheduler hands out."""
        if number > 1 and not number.is_integer():
            reason = f"needs a share of one or a whole number, got {number:g}"
            raise PydanticCustomError("share", "{reason}", {"reason": reason})
        return number


Needs = Annotated[
    Resources | None,
    RunTime,
    Field(description="what its stages ask of a machine, and where they are ended; in no key"),
]
"""The field ``resources`` of a kind whose work is a stage of its own."""
