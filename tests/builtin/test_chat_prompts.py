"""Prompts in a chat template: what a model reads, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fairl_bench.builtin.chat_prompts import ChatPrompts
from fairl_bench.builtin.prompts import TextPrompts
from fairl_bench.errors import DataError

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def chatting(tiny_lm: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "chatting"
    shutil.copytree(tiny_lm, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))
    return folder


def prompts(tmp_path: Path, template: Path, **fields: str) -> ChatPrompts:
    path = tmp_path / "prompts.txt"
    path.write_text("How are you?\n", encoding="utf-8")
    of = TextPrompts.named("text-prompts", path=str(path))
    return ChatPrompts.named("chat", of=of, template=str(template), **fields)


def texts(part: ChatPrompts) -> tuple[str, ...]:
    part.check()
    return part.texts(5, np.random.default_rng(0))


def test_a_prompt_is_the_message_of_a_user(chatting: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    start = AutoTokenizer.from_pretrained(chatting).bos_token or ""

    assert texts(prompts(tmp_path, chatting)) == (f"{start}<|user|>How are you?\n<|assistant|>",)
    said = texts(prompts(tmp_path, chatting, system="Be kind."))
    assert said == (f"{start}<|system|>Be kind.\n<|user|>How are you?\n<|assistant|>",)


def test_a_start_token_stands_there_once(with_start: Path, tmp_path: Path) -> None:
    """The tokenizer puts it before every text, and so does the template."""
    folder = tmp_path / "both"
    shutil.copytree(with_start, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))

    (text,) = texts(prompts(tmp_path, folder))

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == (1 if tokenizer.bos_token else 0)


def test_a_model_without_a_template_is_refused(tiny_lm: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no chat template; name one that has, or leave it out"):
        prompts(tmp_path, tiny_lm).check()


def test_what_a_template_does_not_take_is_told(chatting: Path, tmp_path: Path) -> None:
    path = chatting / "tokenizer_config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "chat_template": "{{ raise_exception('no system message') }}"}))

    with pytest.raises(DataError, match="cannot be used: no system message"):
        prompts(tmp_path, chatting, system="Be kind.").check()


def test_another_template_is_another_identity(chatting: Path, tmp_path: Path) -> None:
    before = prompts(tmp_path, chatting).reads()
    path = chatting / "tokenizer_config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "chat_template": TEMPLATE.replace("assistant", "model")}))

    assert prompts(tmp_path, chatting).reads() != before
