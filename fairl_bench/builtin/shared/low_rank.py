"""Low-rank adapters by peft: the part of a language model that is trained where all of it would be too much."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.errors import DataError, MissingExtra


class Lora(Settings):
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685): ``W + alpha / rank * B A`` in the place of a weight W."""

    rank: int = Field(16, ge=1, description="rows of A and columns of B")
    alpha: int = Field(32, ge=1, description="strength: the product of B and A counts alpha / rank times")
    modules: Literal["all-linear"] | tuple[str, ...] = Field(
        "all-linear", description="what has an adapter: every linear layer of the blocks, or layers by their names"
    )


def check_lora(what: str) -> None:
    """Raise `MissingExtra` where peft is not installed."""
    if find_spec("peft") is None:
        raise MissingExtra(
            f"{what} with 'train: lora' needs peft; pip install 'fairl-bench[lora]', or set 'train: all'"
        )


def adapted(model: Any, lora: Lora, what: str, task: Literal["CAUSAL_LM", "SEQ_CLS"]) -> Any:
    """Return the model within an adapter that changes nothing yet; ``what`` names the model in messages.

    Raises `DataError` where it has no layer of such a name.
    """
    check_lora(what)
    from peft import LoraConfig, TaskType, get_peft_model

    modules = lora.modules if isinstance(lora.modules, str) else list(lora.modules)
    settings = LoraConfig(
        task_type=TaskType[task], r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=modules
    )
    try:
        return get_peft_model(model, settings)
    except ValueError as error:
        named = modules if isinstance(modules, str) else ", ".join(modules)
        raise DataError(
            f"{what} has no layer for an adapter by the name of {named!r}; name linear layers that it has, or set "
            "'modules: all-linear'"
        ) from error


def added_in(adapter: Any, model: Any, base: Path | None = None, lora: Lora | None = None) -> None:
    """Add an adapter into the model that it is around, in place.

    Where the model was narrowed for the training, ``base`` is the folder of its whole weights: the sum is made of
    these, in float32, since the rounding of a narrow one would count as a change.
    """
    if base is None or lora is None:
        adapter.merge_and_unload()
        return
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    from fairl_bench.science.language_model import read

    whole, _ = read(base)
    again = adapted(whole, lora, f"the language model in {base}", "CAUSAL_LM")
    set_peft_model_state_dict(again, get_peft_model_state_dict(adapter))
    again.merge_and_unload()
    adapter.unload()
    model.float().load_state_dict(whole.state_dict())
