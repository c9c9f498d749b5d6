"""Which numbers are fast is read off the processor once, where a suite is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer
from fairl_bench.values import number_format

SKYLAKE = "processor\t: 0\nflags\t\t: fpu avx2 avx512f\n"
SAPPHIRE = "processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n"
GRAVITON = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"


@pytest.mark.parametrize(
    ("told", "fast"),
    [(SKYLAKE, "float32"), (SAPPHIRE, "bfloat16"), (GRAVITON, "bfloat16"), ("", "float32"), (None, "float32")],
)
def test_auto_is_what_the_processor_computes_in(
    told: str | None, fast: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if told is not None:
        file.write_text(told)
    monkeypatch.setattr(number_format, "_PROCESSOR", file)
    encoder = SentenceTransformer(dtype="auto")
    assert encoder.dtype == encoder.plain()["dtype"] == fast  # the key and the record say which
    assert SentenceTransformer(dtype="float32").dtype == "float32"
