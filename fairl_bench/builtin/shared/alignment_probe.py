"""How a language model changes during its alignment: held-out prompts, completed at some of the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairl_bench.data import Floats
from fairl_bench.kinds import Probe
from fairl_bench.science.streams import stream

FILE: Final = "along.parquet"


class AlignmentProbe:
    """Completes held-out prompts while a model is trained; ``scratch`` keeps the results when a run is interrupted.

    ``along.parquet`` beside the weights: ``step``, ``row`` of the prompt, ``prompt``, ``text``, ``reward`` of the
    training, ``kl_k1`` and ``kl_k3`` from the base (nats a completion), ``surprise`` under the base (nats), ``tokens``.
    Every look of a replicate completes the same prompts with the same random numbers, whatever the reward and the seed.
    """

    def __init__(
        self,
        probe: Probe,
        steps: int,
        base: Path,
        model: Any,
        tokenizer: Any,
        reward: Callable[[Sequence[str], Sequence[str]], Floats],
        scratch: Path,
        replicate: int,
    ) -> None:
        self.steps = {round(steps * i / probe.times) for i in range(probe.times + 1)}
        self.base, self.model, self.tokenizer = base, model, tokenizer
        self.reward, self.scratch = reward, scratch
        texts = probe.prompts.texts(probe.n, stream("prompts/probe", replicate))
        self.row = [i % len(texts) for i in range(probe.n)]
        self.prompts = [texts[i] for i in self.row]
        self.uniform = np.stack([stream("probe", replicate, i).random(probe.max_new_tokens) for i in range(probe.n)])

    def look(self, step: int) -> None:
        """Complete the prompts, if this is one of the steps to look at."""
        if step not in self.steps:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        training, use_cache = self.model.training, self.model.config.use_cache
        self.model.eval()
        columns = self._seen()
        self.model.train(training)
        self.model.config.use_cache = use_cache
        half = self.scratch / "look.parquet"
        pq.write_table(pa.table({"step": [step] * len(self.prompts), **columns}), half)
        half.replace(self._place(step))

    def keep(self, folder: Path) -> None:
        """Write ``along.parquet`` into the folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # a list of tables, not a data set: in the order of the steps
        pq.write_table(
            pa.concat_tables([pq.read_table(self._place(step)) for step in sorted(self.steps)]), folder / FILE
        )

    def _place(self, step: int) -> Path:
        return self.scratch / f"look-{step}.parquet"

    def _seen(self) -> dict[str, Any]:
        from fairl_bench.science.endings import endings
        from fairl_bench.science.generation import draw, load, written
        from fairl_bench.science.likelihood import divergence

        base, _ = load(self.base)  # anew at each look: between looks the memory is the trainer's
        ends = endings(base, self.tokenizer)  # a trainer may have other ones, for itself
        texts = [""] * len(self.prompts)
        numbers = {name: np.zeros(len(self.prompts)) for name in ("kl_k1", "kl_k3", "surprise", "tokens")}
        base.to(self.model.device)
        for drawn in draw(self.model, self.tokenizer, self.prompts, self.uniform, ends=ends):
            far = divergence(self.model, base, drawn, ends)
            for column, values in zip(numbers.values(), far, strict=True):
                column[drawn.rows] = values.cpu().numpy()
            for i, text in zip(drawn.rows, written(self.tokenizer, drawn), strict=True):
                texts[i] = text
        reward = self.reward(self.prompts, texts)
        return {"row": self.row, "prompt": self.prompts, "text": texts, "reward": reward, **numbers}
