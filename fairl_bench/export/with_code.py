"""A reward in a model folder with a small modelling file of its own, for what no standard architecture does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

from fairl_bench.export.text_model import Head, TextModel
from fairl_bench.export.tokenizer import Added

FILE: Final = Path(__file__).with_name("modeling_recovered_reward.py")
_OWN: Final = ("_name_or_path", "architectures", "auto_map", "torch_dtype", "transformers_version")


def model_with_code(text: TextModel, head: Head, around: Added, tokenizer: Any) -> Any:
    """The model, with everything that it reads in its configuration."""
    import torch

    from fairl_bench.export.modeling_recovered_reward import (
        RecoveredRewardConfig,
        RecoveredRewardForSequenceClassification,
    )

    layers = head.layers()
    backbone = {name: value for name, value in text.body.config.to_dict().items() if name not in _OWN}
    config = RecoveredRewardConfig(
        backbone=backbone | {"use_cache": False, "model_type": text.body.config.model_type},
        **{name: getattr(text, name) for name in ("layer", "pooling", "counted", "normalise", "longest", "loses")},
        **around._asdict(),
        vector=layers[0][0].shape[1],
        width=head.width,
        num_labels=1,
        id2label={0: "reward"},
        label2id={"reward": 0},
        problem_type="regression",
        pad_token_id=tokenizer.pad_token_id,
    )
    names = (RecoveredRewardConfig.__name__, RecoveredRewardForSequenceClassification.__name__)
    autos = ("AutoConfig", "AutoModelForSequenceClassification")
    config.auto_map = {auto: f"{FILE.stem}.{name}" for auto, name in zip(autos, names, strict=True)}
    model: Any = RecoveredRewardForSequenceClassification(config)
    model.eval()
    model.backbone.load_state_dict(text.body.state_dict())
    linear = [module for module in model.score if isinstance(module, torch.nn.Linear)]
    with torch.no_grad():
        for module, (weight, bias) in zip(linear, layers, strict=True):
            module.weight.copy_(torch.from_numpy(weight))
            module.bias.copy_(torch.from_numpy(bias))
    return model


def put_code(folder: Path) -> None:
    """Put the modelling file beside the weights."""
    shutil.copyfile(FILE, folder / FILE.name)
