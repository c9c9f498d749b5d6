"""Prompts in a chat template: what a model reads, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from gguf_files import write_gguf

from fairl_bench.builtin.lms.chat_prompts import ChatPrompts
from fairl_bench.builtin.lms.packaged_model import PACKAGES, Package
from fairl_bench.builtin.prompts import TextPrompts
from fairl_bench.errors import DataError

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture
def chatting(tiny_lm: Path, tmp_path: Path) -> Path:
    return with_template(tiny_lm, tmp_path / "chatting", TEMPLATE)


def with_template(lm: Path, folder: Path, template: str) -> Path:
    shutil.copytree(lm, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
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
    with pytest.raises(DataError, match=r"has no chat template; name one that has, or set 'chat: auto'"):
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


# --- when a template is used


def test_where_there_is_no_template_auto_leaves_the_prompts(tiny_lm: Path, chatting: Path, tmp_path: Path) -> None:
    plain = prompts(tmp_path, tiny_lm, chat="auto")
    assert texts(plain) == ("How are you?",)
    (remark,) = plain.remarks()
    assert remark.endswith("has no chat template: the prompts of 'chat' stand as they are")

    assert texts(prompts(tmp_path, chatting, chat="auto")) == texts(prompts(tmp_path, chatting))


def test_never_asks_for_no_template(tmp_path: Path) -> None:
    part = prompts(tmp_path, tmp_path / "nowhere", chat="never")
    assert texts(part) == ("How are you?",)
    assert (part.remarks(), part.reads()) == ([], {})


# --- where a template is


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a language model that can be written as a GGUF file."""
    from fairl_bench.builtin.lms.tiny import TinyLM
    from fairl_bench.builtin.testsets import ToyTexts
    from fairl_bench.values.language_models import Site

    corpus = ToyTexts.named("toy-comments", n=80, shift=0.0)
    shape = {"layers": 2, "width": 64, "heads": 2, "vocab": 320, "context": 64, "length": 16, "batch": 4}
    lm = TinyLM.named("tiny-lm", corpus=corpus, steps=8, architecture="llama", **shape)
    return lm.make(Site(tmp_path_factory.mktemp("lm"), tmp_path_factory.mktemp("scratch"))).folder


@pytest.fixture
def both(llama: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A folder with a template, and a GGUF file of the same model."""
    folder = with_template(llama, tmp_path / "llama", TEMPLATE)
    return folder, write_gguf(folder, tmp_path / "llama.gguf", values={"tokenizer.chat_template": TEMPLATE})


def test_a_gguf_file_has_its_template_in_its_header(both: tuple[Path, Path], tmp_path: Path) -> None:
    folder, file = both
    part = prompts(tmp_path, file, system="Be kind.")
    assert texts(part) == texts(prompts(tmp_path, folder, system="Be kind."))
    assert part.reads() == {}


def test_a_model_of_a_package_is_named_as_it_is_elsewhere(
    both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny_chat").mkdir()
    shutil.copy(both[1], tmp_path / "tiny_chat" / "chat.gguf")
    monkeypatch.setitem(PACKAGES, "tiny-chat", Package((("tiny_chat", "chat.gguf"),), "0" * 64, "pip install tiny"))
    monkeypatch.syspath_prepend(tmp_path)

    part = prompts(tmp_path, Path("tiny-chat"))

    assert texts(part) == texts(prompts(tmp_path, both[0]))
    assert part.reads() == {"template": "0" * 64}


# --- where a turn ends


def test_a_turn_that_ends_with_no_end_token_of_the_model_is_told(tiny_lm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    ending = TEMPLATE.replace("\n", "{{ eos_token }}\n")
    assert prompts(tmp_path, with_template(tiny_lm, tmp_path / "ending", ending)).remarks() == []

    folder = with_template(tiny_lm, tmp_path / "running", TEMPLATE.replace("\n", "<|turn|>\n"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<|turn|>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    (remark,) = prompts(tmp_path, folder).remarks()
    assert "ends a turn with '<|turn|>', which is no end token of its model" in remark


def test_a_template_without_a_model_is_enough(chatting: Path, tmp_path: Path) -> None:
    expected = texts(prompts(tmp_path, chatting))
    for name in ("config.json", "generation_config.json", "model.safetensors"):
        (chatting / name).unlink(missing_ok=True)

    part = prompts(tmp_path, chatting)

    assert texts(part) == expected
    assert part.remarks() == []


# --- what reads what was written


def test_judges_read_the_completion_alone(
    cli: Callable[..., Result], write_suite: Callable[..., Path], tiny_lm: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    folder = with_template(tiny_lm, tmp_path / "model", TEMPLATE.replace("\n", "{{ eos_token }}\n"))
    lm = {"use": "pretrained", "model": str(folder)}
    chat = {"use": "chat", "of": {"use": "toy-prompts"}, "template": str(folder)}
    suite: dict[str, Any] = {
        "name": "chat",
        "seeds": [0],
        "models": [
            {"name": "m", "use": "aligned-lm", "base": lm, "expert": lm, "prompts": chat, "n": 40,
             "gold": {"use": "characters"}, "sampling": {"max_new_tokens": 12}}
        ],
        "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
        "training": {"epochs": 1},
        "methods": [{"name": "length", "use": "length"}],
        "evaluate": [{"use": "fidelity", "data": ["pairs/test"]}],
        "report": {"table1": {"data": ["pairs/test"], "truth": "gold", "metrics": ["starc"]}},
    }  # fmt: skip

    ran = cli("run", write_suite(suite))

    assert ran.exit_code == 0, ran.stderr
    results = tmp_path / "results" / "chat"
    rows, truths = (pq.read_table(results / name / "m-r0.parquet").to_pylist() for name in ("examples", "truths"))
    assert rows
    assert [truth["value"] for truth in truths if truth["truth"] == "gold"] == [len(row["text"]) for row in rows]
    for row in rows:
        assert row["prompt"].endswith("<|assistant|>")
        assert not any(mark in row["text"] for mark in ("<|", "|>", row["prompt"]))
