"""The true reward in the place of a recovered one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.method import Given, Method
from fairl_bench.kinds.source import Source
from fairl_bench.kinds.upstream import judges_on_base, nested, within
from fairl_bench.values.data import GOLD, Examples, Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task


class Oracle(Method):
    """A judge's own values as the reward; nothing is learnt.  What is to be known in every table and re-alignment."""

    seeded: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    given: ClassVar[Given] = "truth"
    reference: ClassVar[bool] = True

    judge: Judge | None = Field(None, description="its truth 'gold' is the reward; none: the judge of the source")

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # as its judge does
        """Whether the judge does."""
        return self.judge is not None and self.judge.reads_prompts

    def of(self, source: Source) -> Self:
        """Return the oracle with the source's judge.  Raises `DataError` where the source has none."""
        judge = judges_on_base(self.judge, source.base_texts()) or source.judge()
        if judge is None:
            raise DataError(
                f"method {self.use!r} needs a judge of any text, and source {source.use!r} has none; give it a 'judge:'"
            )
        return self.model_copy(update={"judge": judge})

    def upstream(self) -> Mapping[str, Settings]:
        """Return what the judge starts from."""
        return {} if self.judge is None else nested("judge", self.judge)

    def fit(self, task: Task) -> Reward:
        """Return an empty reward: there is nothing to learn."""
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the judge's ``gold`` of each text ``[n]``."""
        if self.judge is None:
            raise DataError(f"method {self.use!r} has no judge; give it a 'judge:'")
        judging = self.judge.ready(within("judge", inputs.upstream))
        return judging(Examples(inputs.text, inputs.prompt))[GOLD].value

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""
