"""A budget of distance: how far a model in training may go from its base, and the way back to within it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import Field

from fairl_bench.builtin.shared.held_out import HeldOut
from fairl_bench.component import Settings
from fairl_bench.errors import DataError

_STATES: Final = 5
"""The last states of a training that are kept: by its own completions a model is beyond the budget two steps later."""


class Budget(Settings):
    """How far an aligned model may be from its base: the last step within it is kept."""

    kl: float = Field(gt=0, description="nats a completion, on held-out prompts")


class Within:
    """Keeps the weights of the last steps, and puts back the last ones that are within the budget.

    The completions of each step were drawn before it, from prompts that are new: their KL says at no cost when to stop.
    Which step is kept, the held-out prompts decide.  Raises `DataError` without any of these.
    """

    def __init__(self, budget: Budget, model: Any, folder: Path, held_out: HeldOut | None) -> None:
        if held_out is None:
            raise DataError(
                "a budget of KL is measured on held-out prompts, and there are none that are not trained on; give more"
                " prompts, take fewer steps, or set 'held_out' above 0"
            )
        self.kl, self.model, self.folder, self.held_out = budget.kl, model, folder, held_out
        self.beyond: int | None = None
        folder.mkdir(exist_ok=True)

    def goes_on(self, step: int, kl: float) -> bool:
        """Keep the weights after a step whose completions, drawn before it, were so far; False: it is the last."""
        from safetensors.torch import save_file

        half = self.folder / "half"
        save_file({name: weight.detach().contiguous() for name, weight in self._trained()}, half)
        half.replace(self._place(step))
        self._place(step - _STATES).unlink(missing_ok=True)
        if kl > self.kl:
            self.beyond = step - 1
        return self.beyond is None

    def put_back(self, steps: int) -> int:
        """Put back the weights of the last step within the budget, and return which that is.

        Raises `DataError` where none of the kept ones is.
        """
        last = steps if self.beyond is None else self.beyond - 1
        for step in range(last, max(steps - _STATES, 0), -1):
            self._put(step)
            if self.held_out.look().kl <= self.kl:
                return step
        raise DataError(
            f"after {max(last, 1)} of {steps} steps the model is further than {self.kl:g} nats from its base, and so it"
            " is after the steps before that are kept; lower 'lr', or allow more"
        )

    def _put(self, step: int) -> None:
        from safetensors.torch import load_file

        weights = load_file(self._place(step))
        for name, weight in self._trained():
            weight.data.copy_(weights[name])

    def _trained(self) -> list[tuple[str, Any]]:
        return [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]

    def _place(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"
