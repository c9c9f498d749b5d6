"""Estimates how much of its texts a run would cut off, from the first of them and before it starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from fairl_bench.component import parts_within
from fairl_bench.digests import canonical
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.suite.read import Study
from fairl_bench.suite.suite import Named
from fairl_bench.values.data import Examples, Pairs

SAMPLE = 200  # pairs or texts


def cut_off(study: Study) -> list[str]:
    """A sentence for each data set and part that would cut texts off, as far as both can be read now."""
    return list(dict.fromkeys(_sentences(study)))


def _sentences(study: Study) -> Iterator[str]:
    """The sentences of every data set, each once."""
    seen: set[str] = set()
    for suite in study.variants.values():
        data: list[tuple[str, Source | TestSet]] = [(model.name, model.part) for model in suite.models]
        for name, part in [*data, *suite.testsets.items()]:
            spec = canonical([part.kind, part.plain(), [encoder.part.plain() for encoder in suite.encoders]])
            if spec in seen:
                continue
            seen.add(spec)
            with suppress(Exception):  # a run says what is wrong; an estimate is not worth it
                yield from _of_data(name, part, suite.encoders)


def _of_data(name: str, part: Source | TestSet, encoders: Sequence[Named[Encoder]]) -> Iterator[str]:
    """The sentences of one data set."""
    sample = part.peek(SAMPLE)
    if sample is None:
        return
    embed = part.embed if isinstance(part, Source) else "completion"
    examples = sample.examples() if isinstance(sample, Pairs) else sample
    for encoder in encoders:
        yield from _cut_off_sentence(encoder.part, f"encoder {encoder.name!r}", name, examples, examples.inputs(embed))
    for judge in parts_within(part):
        if isinstance(judge, Judge):
            yield from _cut_off_sentence(judge, f"judge {judge.use!r}", name, examples, examples.text)


def _cut_off_sentence(
    part: Encoder | Judge, part_name: str, data: str, examples: Examples, texts: Sequence[str]
) -> Iterator[str]:
    """The sentence on the texts that one part would cut off; none where it would read all."""
    tokens = part.would_read(texts)
    if tokens is None:
        return
    lost = [n - len(read) for n, read in zip(tokens.whole, tokens.read, strict=True)]
    short = sum(n > 0 for n in lost)
    if not short:
        return
    share, of_tokens = short / len(lost), sum(lost) / sum(tokens.whole)
    preferred, rejected = examples.pair_rows().T
    same = sum(tokens.read[i] == tokens.read[j] for i, j in zip(preferred, rejected, strict=True))
    pairs = f", and {same / len(preferred):.0%} of the pairs become equal" if same and isinstance(part, Encoder) else ""
    yield (
        f"{part_name} would cut off about {share:.0%} of the texts of {data!r} ({of_tokens:.0%} of their tokens)"
        f"{pairs}: an estimate from the first {len(texts):,}"
    ).replace("%", " %")
