"""A reward in a standard architecture of transformers: a language model with a score layer, read at the last token."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from fairl_bench.errors import DataError
from fairl_bench.export.text_model import Head, TextModel


def not_standard(text: TextModel, head: Head) -> str:
    """What a standard architecture does not do that this reward does, for the end of a sentence; empty: nothing."""
    if head.width is not None:
        return f"its head has a hidden layer of {head.width} units"
    if text.pooling != "last":
        return f"its vectors are pooled as {text.pooling!r}, not read at the last token"
    if text.layer != -1:
        return f"its vectors are those of layer {text.layer}, not of the last one"
    if text.normalise:
        return "its vectors are scaled to unit length ('normalise: false' in the encoder would not)"
    return ""


def classifier(text: TextModel, head: Head, tokenizer: Any) -> Any:
    """The model for sequences of one label; its score layer has no bias, so that ``head.bias`` is left out.

    Raises `DataError` where transformers has no such form of the language model.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = deepcopy(text.body.config)
    config.num_labels, config.id2label, config.label2id = 1, {0: "reward"}, {"reward": 0}
    config.problem_type = "regression"  # a pipeline then gives the number as it is
    try:
        kind: Any = AutoModelForSequenceClassification
        model = kind.from_config(config, dtype=torch.float32).eval()
        body, score = getattr(model, model.base_model_prefix), model.score
        body.load_state_dict(text.body.state_dict())
    except (AttributeError, RuntimeError, ValueError) as error:
        raise DataError(f"transformers has no such form of a {config.model_type!r}") from error
    if not isinstance(score, torch.nn.Linear) or score.bias is not None:
        raise DataError(f"the score layer of a {config.model_type!r} is another one")
    with torch.no_grad():
        score.weight.copy_(torch.from_numpy(head.layers()[0][0]))
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model
