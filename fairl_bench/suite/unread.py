"""How much of its texts a run would not read, estimated before it starts from the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from fairl_bench.component import parts_within
from fairl_bench.digests import canonical
from fairl_bench.kinds import Encoder, Judge, Source, TestSet
from fairl_bench.suite.read import Study
from fairl_bench.suite.suite import Named
from fairl_bench.values.data import Examples, Pairs

SAMPLE = 200  # pairs or texts


def cut_off(study: Study) -> list[str]:
    """A sentence for each data set and part that would cut texts off, as far as both can be read now."""
    return list(dict.fromkeys(_sentences(study)))


def _sentences(study: Study) -> Iterator[str]:
    seen: set[str] = set()
    for suite in study.variants.values():
        data: list[tuple[str, Source | TestSet]] = [(model.name, model.part) for model in suite.models]
        for name, part in [*data, *suite.testsets.items()]:
            spec = canonical([part.kind, part.plain(), [encoder.part.plain() for encoder in suite.encoders]])
            if spec in seen:
                continue
            seen.add(spec)
            with suppress(Exception):  # a run says what is wrong; an estimate is not worth it
                yield from _of(name, part, suite.encoders)


def _of(name: str, part: Source | TestSet, encoders: Sequence[Named[Encoder]]) -> Iterator[str]:
    """The sentences of one data set."""
    sample = part.peek(SAMPLE)
    if sample is None:
        return
    embed = part.embed if isinstance(part, Source) else "completion"
    examples = sample.examples() if isinstance(sample, Pairs) else sample
    for encoder in encoders:
        yield from _told(encoder.part, f"encoder {encoder.name!r}", name, examples, examples.inputs(embed))
    for judge in parts_within(part):
        if isinstance(judge, Judge):
            yield from _told(judge, f"judge {judge.use!r}", name, examples, examples.text)


def _told(part: Encoder | Judge, who: str, data: str, examples: Examples, texts: Sequence[str]) -> Iterator[str]:
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
        f"{who} would cut off about {share:.0%} of the texts of {data!r} ({of_tokens:.0%} of their tokens){pairs}: "
        f"an estimate from the first {len(texts):,}"
    ).replace("%", " %")
