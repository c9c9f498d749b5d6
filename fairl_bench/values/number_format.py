"""The numbers in which a model computes, and which of them are fast on the processor of this machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

_PROCESSOR = Path("/proc/cpuinfo")
_COMPUTES_IN_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux calls it on x86 (two) and ARM


def fastest() -> Literal["float32", "bfloat16"]:
    """Return ``bfloat16`` where the processor multiplies in it, else ``float32``.

    A processor without such instructions imitates them, at a seventh of the speed of float32 (MiniLM, AVX2 alone).
    Where the system is not Linux the answer is ``float32``, which is right everywhere and fast enough.
    """
    return "bfloat16" if _COMPUTES_IN_BFLOAT16 & _features(_PROCESSOR) else "float32"


@cache
def _features(file: Path) -> frozenset[str]:
    """Return what Linux says that the first core can do; nothing where there is no such file."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    named = [line.partition(":") for line in lines]
    return next(
        (frozenset(told.split()) for name, _, told in named if name.strip() in ("flags", "Features")), frozenset()
    )


def _settled(chosen: str) -> str:
    return fastest() if chosen == "auto" else chosen


NumberFormat = Annotated[Literal["auto", "float32", "bfloat16"], AfterValidator(_settled)]
"""A field of it never holds ``auto``: it is replaced where the suite is read, so that keys and records say which."""

NUMBERS = "auto: bfloat16 where this machine's processor computes in it, else float32"
"""The description of such a field."""
