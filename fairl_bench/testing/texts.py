"""Promises of what reads texts: encoders and judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.errors import FairlError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge
from fairl_bench.testing.promises import answer, check_spec, close, must, same
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.truths import objective_of

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry

TEXTS = (
    "Thank you, that was kind.",
    "What a rotten idea, and you know it.",
    "Could we meet on Tuesday instead? The train is late and the road is closed, so I would rather wait a while.",
    "Déjà vu: 東京 – naïve café ☕",
    "Thank you, that was kind.",
    "ok",
    "THE SAME WORDS IN ANOTHER ORDER ARE ANOTHER TEXT",
    "another text are in order the same words another",
)
"""What `check_encoder` reads: short, long, not ASCII, and one text twice."""


def check_encoder(
    encoder: Encoder, texts: Sequence[str] = TEXTS, *, tolerance: float = 1e-5, registry: Registry | None = None
) -> None:
    """A finite float32 row a text that depends on the text alone, up to ``tolerance``, whatever its company."""
    corpus = tuple(texts) if encoder.fitted else ()
    rows = encoder.encode(tuple(texts), corpus)
    before = np.array(rows)
    must(
        isinstance(rows, np.ndarray) and rows.ndim == 2 and len(rows) == len(texts),
        f"encode gave {type(rows).__name__} of shape {list(np.shape(rows))} for {len(texts)} texts; return [n, d]",
    )
    must(rows.dtype == np.float32, f"encode gave {rows.dtype}; return float32")
    must(bool(np.isfinite(rows).all()), "encode gave NaN or infinity; keep vectors finite")
    must(bool(np.ptp(rows, axis=0).any()), "encode gave every text the same row; let it depend on the text")
    must(same(encoder.encode(tuple(texts), corpus), rows), "encoded twice, the texts got other rows; fix its seed")
    first = [texts.index(text) for text in texts]
    must(close(rows[first], rows, tolerance), "equal texts got other rows; let a row depend on its text alone")
    backwards = np.array(encoder.encode(tuple(texts)[::-1], corpus)[::-1])
    must(same(rows, before), "its next call changed the rows it gave before; return a new array each time")
    must(close(backwards, rows, tolerance), "the texts in another order got other rows; return them as they came")
    single = np.concatenate([encoder.encode((text,), corpus) for text in texts])
    must(
        close(single, rows, tolerance),
        "a text alone got another row than in company; learn from corpus alone, not from the texts",
    )
    _check_no_text(encoder, corpus)
    check_spec(encoder, registry)


def _check_no_text(encoder: Encoder, corpus: tuple[str, ...]) -> None:
    """No text at all gives no row, or is refused with a sentence."""
    try:
        shape = np.shape(encoder.encode((), corpus))
    except (FairlError, ValueError):
        return
    except Exception as error:
        raise AssertionError(f"no text at all raised {error!r}; return no row, or raise DataError") from error
    must(shape[:1] == (0,), f"no text at all gave shape {list(shape)}; return no row, or raise DataError")


def check_judge(
    judge: Judge,
    texts: Sequence[str] = TEXTS,
    *,
    tolerance: float = 1e-5,
    registry: Registry | None = None,
    **upstream: object,
) -> None:
    """The truth ``gold`` of every text, which depends on the text alone, up to ``tolerance``; known ones finite.

    That of a concept has no label, and a finite value for every text, the empty one included.  One that does not say
    that it `reads_prompts` says the same of a text behind any prompt.  A judge of several objectives gives a truth for
    each.  ``upstream`` has the answers to what its `upstream` asks for.
    """
    n = len(texts)

    def judged(some: Sequence[str], prompts: Sequence[str] = ()) -> dict[str, Truth]:
        examples = Examples(tuple(some), tuple(prompts))
        truths = answer(judge, lambda: judge.ready(upstream)(examples), examples=examples, upstream=upstream)
        return {name: Truth(np.array(value), np.array(label)) for name, (value, label) in truths.items()}

    truths = judged(texts)
    must(GOLD in truths, f"judge gave the truths {sorted(truths)}; it must give 'gold'")
    given, named = {objective_of(name) for name in truths} - {""}, set(judge.objectives())
    must(given == named, f"judge gave the objectives {sorted(given)}, and objectives() names {sorted(named)}")
    for name, (value, label) in truths.items():
        shapes = [list(value.shape), list(label.shape)]
        must(shapes == [[n], [n]], f"the truth {name!r} has shapes {shapes} for {n} texts; give one of each a text")
        must(bool(np.isin(label, (-1, 0, 1)).all()), f"labels of {name!r} must be 1, -1 or 0 (unknown)")
        must(bool(np.isfinite(value[label != 0]).all()), f"known values of {name!r} must be finite")
    if judge.concept:
        value, label = judged((*texts, ""))[GOLD]
        must(bool((label == 0).all()), "a concept gave labels; it says how much, so let every label be 0")
        must(bool(np.isfinite(value).all()), "a concept gave NaN or infinity; give 0 where a text has none of it")
    for some, back, why in (
        (texts, slice(None), "judged twice, the texts got other values; keep nothing from one call to the next"),
        (texts[::-1], slice(None, None, -1), "in another order the texts got other values; judge each by itself"),
    ):
        other = judged(some)
        same = all(close(other[name].value[back], truths[name].value, tolerance) for name in truths)
        must(other.keys() == truths.keys() and same, why)
    if not judge.reads_prompts:
        behind = judged(texts, [f"Say more of number {i}." for i in range(n)])
        same = all(close(behind[name].value, truths[name].value, tolerance) for name in truths)
        must(same, "behind a prompt the texts got other values; declare reads_prompts = True")
    check_spec(judge, registry)
