"""The tokenizer of an exported reward: it adds no token by itself, and its chat template spells what the reward reads.

TRL reads without the tokens that a tokenizer adds, pipelines with them, and a conversation is spelled by a template.
With a tokenizer that adds none, all of them read the same.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from fairl_bench.errors import DataError
from fairl_bench.export.text_model import Joining, TextModel

PADDING: Final = "<|fairl-bench-padding|>"
_CONTENT = (
    "{%- macro spelled(content) -%}{%- if content is string -%}{{ content }}{%- elif content -%}"
    "{%- for part in content -%}{{ part.text }}{%- endfor -%}{%- endif -%}{%- endmacro -%}"
)
_BOTH = (
    "{%- set read = namespace(prompt='') -%}{%- for message in messages[:-1] -%}"
    "{%- set read.prompt = read.prompt ~ ('' if loop.first else '\\n') ~ spelled(message.content) -%}{%- endfor -%}"
    "{%- set prompt = read.prompt -%}{%- set text = spelled(messages[-1].content) | trim -%}"
)
_JOINED: dict[Joining, str] = {
    "completion": "text",
    "space": "(prompt ~ ' ' ~ text) | trim",
    "joint": "prompt ~ (' ' if prompt and text and not prompt[-1:].isspace() else '') ~ text",
}


class Added(NamedTuple):
    """The tokens that a reward's own tokenizer puts around a text, and the one that it reads where there is none."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    instead: int


def added(text: TextModel) -> Added:
    """What is read around every text.  Raises `DataError` for a tokenizer that is not plain about it."""
    tokenizer = text.tokenizer
    whole, own = (tokenizer("a b", add_special_tokens=special)["input_ids"] for special in (True, False))
    at = next((i for i in range(len(whole) - len(own) + 1) if whole[i : i + len(own)] == own), None)
    if at is None or not own:
        raise DataError("its tokenizer reads a text otherwise where it adds its own tokens, which no folder can hold")
    starts, ends = whole[:at], whole[at + len(own) :]
    if text.end is not None and (not ends or ends[-1] != text.end):
        ends = [*ends, text.end]
    known = (tokenizer.bos_token_id, tokenizer.eos_token_id, 0)
    return Added(tuple(starts), tuple(ends), next(int(token) for token in known if token is not None))


def exported(text: TextModel, joined: Joining, around: Added, *, spells: bool) -> Any:
    """The tokenizer for a folder, with a token for padding that no text ends in.

    Where it ``spells``, its chat template puts the tokens around a text, and ``eos_token`` is the last of them; else
    the model does that by itself, and ``eos_token`` is the padding, which it does not read.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    if not getattr(text.tokenizer, "is_fast", False):
        raise DataError("its tokenizer has no tokenizer.json; save it again as a fast one of transformers")
    content = json.loads(text.tokenizer.backend_tokenizer.to_str())
    content |= {"post_processor": None, "truncation": None, "padding": None}
    tokenizer: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=Tokenizer.from_str(json.dumps(content)),
        unk_token=text.tokenizer.unk_token,
        padding_side="right",
        truncation_side="right" if text.loses == "end" else "left",
        model_max_length=text.longest,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.add_special_tokens({"pad_token": _padding(text, around)})
    end = around.ends[-1] if spells and around.ends else tokenizer.pad_token_id
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    tokenizer.chat_template = template(text.tokenizer, joined, around if spells else None)
    return tokenizer


def _padding(text: TextModel, around: Added) -> str:
    """The tokenizer's own padding, where that stands for nothing else; a new token otherwise."""
    own = text.tokenizer
    used = {own.bos_token_id, own.eos_token_id, own.unk_token_id, *around.starts, *around.ends, around.instead}
    return PADDING if own.pad_token_id is None or own.pad_token_id in used else own.pad_token


def template(tokenizer: Any, joined: Joining, around: Added | None) -> str:
    """The chat template: what the reward reads of a conversation, whose last message is the completion.

    The messages before it are the prompt, joined by line breaks, as `fairl_bench.reward.function.text_of` does.
    """
    before, behind, instead = "", "", ""
    if around is not None:
        before, behind = (_spelled(tokenizer, ids) for ids in (around.starts, around.ends))
        instead = "" if before or behind else _spelled(tokenizer, (around.instead,))
    text = f"{{%- set read_text = {_JOINED[joined]} -%}}"
    return (
        f"{_CONTENT}{_BOTH}{text}{before}{{{{ read_text }}}}"
        + (f"{{%- if not read_text -%}}{instead}{{%- endif -%}}" if instead else "")
        + behind
    )


def _spelled(tokenizer: Any, ids: tuple[int, ...]) -> str:
    """The text of special tokens, as an expression of Jinja."""
    names = "".join(tokenizer.convert_ids_to_tokens(list(ids)))
    return f"{{{{ {json.dumps(names, ensure_ascii=False)} }}}}" if names else ""
