"""A reward is written as a model folder: which kind of folder it gets, and why."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fairl_bench.errors import DataError
from fairl_bench.export import check, sentences
from fairl_bench.export.check import Asked
from fairl_bench.export.classifier import classifier, not_standard
from fairl_bench.export.text_model import Head, TextModel, joining, text_model
from fairl_bench.export.tokenizer import added, exported
from fairl_bench.export.with_code import model_with_code, put_code
from fairl_bench.guards.permissions import all_as_their_folder
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.values.data import Floats

To = Literal["transformers", "sentence-transformers"]
Kind = Literal["standard", "code", "sentences"]


class Written(NamedTuple):
    """What a reward was written as."""

    kind: Kind
    why: str  # one sentence
    constant: float  # a reward less the number of the folder
    difference: float  # the largest one found when the folder was read again, the constant taken off
    longest: int | None  # most tokens that are read
    loses: Literal["end", "beginning"]
    dtype: str  # what the run computed in


def write_folder(reward: RecoveredReward, folder: Path, to: To | None, card: Callable[[Written], str]) -> Written:
    """Write a reward into a new folder, with what ``card`` says of it as its ``README.md``.

    Without ``to`` it is the best kind of folder: a standard architecture, a sentence-transformers model, or one with
    a modelling file.  Raises `DataError` for a reward that none of them can hold, and for a folder that is not empty.
    """
    from fairl_bench.builtin.shared.training_environment import quiet

    refuse_full(folder)
    with _beside(folder) as half, quiet():
        written = _sentences(reward, half) if _is_of_sentences(reward, to) else _transformers(reward, half)
        (half / "README.md").write_text(card(written), encoding="utf-8")
        all_as_their_folder(half)
        if folder.exists():
            folder.rmdir()
        half.rename(folder)
    return written


def refuse_full(folder: Path) -> None:
    """Raise `DataError` where something lies in the place of a folder that is to be written."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise DataError(f"{folder} is there already, and is not an empty folder; name a new one, or remove it")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder beside another, which it becomes when it is whole; removed at the end where it did not.

    Raises `DataError` where the disk refuses.
    """
    half = folder.absolute().with_name(f".fairl-bench-half-{uuid.uuid4().hex[:8]}")
    try:
        half.mkdir(parents=True)
        yield half
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}; name another folder") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _is_of_sentences(reward: RecoveredReward, to: To | None) -> bool:
    return to == "sentence-transformers" or (to is None and sentences.is_of_sentences(reward))


def _sentences(reward: RecoveredReward, folder: Path) -> Written:
    model = sentences.with_head(reward)
    longest = model.max_seq_length
    sentences.save(model, folder)
    asked = Asked.of(reward)
    why = "a sentence-transformers model whose one number is the reward; it needs no code of its own"
    written = Written("sentences", why, 0.0, 0.0, longest, "end", str(getattr(reward.encoder, "dtype", "float32")))
    return _checked(written, asked, check.read_by_sentences(folder, asked, joining(reward)))


def _transformers(reward: RecoveredReward, folder: Path) -> Written:
    """A standard architecture where that gives the reward's numbers, else a folder with code."""
    text, head = text_model(reward)
    why = not_standard(text, head)
    if not why:
        try:
            return _standard(reward, text, head, folder)
        except DataError as error:
            why = str(error)
            for path in folder.iterdir():
                path.unlink()
    return _with_code(reward, text, head, folder, why)


def _standard(reward: RecoveredReward, text: TextModel, head: Head, folder: Path) -> Written:
    around = added(text)
    tokenizer = exported(text, joining(reward), around, spells=True)
    if check.tokens_differ(text, tokenizer, around, spells=True):
        raise DataError("its tokenizer reads a text otherwise behind a start token that stands in the text")
    model = classifier(text, head, tokenizer)
    model.save_pretrained(folder)
    _save(tokenizer, folder)
    why = f"a standard architecture, {type(model).__name__}, which any program that knows transformers loads"
    written = Written("standard", why, head.bias, 0.0, text.longest, text.loses, text.dtype)
    asked = Asked.of(reward, long=not (text.loses == "beginning" and around.starts))  # its start would be cut off
    return _checked(written, asked, check.read_by_classifier(folder, asked, code=False))


def _with_code(reward: RecoveredReward, text: TextModel, head: Head, folder: Path, because: str) -> Written:
    around = added(text)
    tokenizer = exported(text, joining(reward), around, spells=False)
    if check.tokens_differ(text, tokenizer, around, spells=False):
        raise DataError(f"reward {reward.name!r}: its tokenizer cannot be written so that it adds no tokens of its own")
    model_with_code(text, head, around, tokenizer).save_pretrained(folder)
    put_code(folder)
    _save(tokenizer, folder)
    why = f"a model with a modelling file of its own, used only with trust_remote_code=True: {because}"
    written = Written("code", why, 0.0, 0.0, text.longest, text.loses, text.dtype)
    asked = Asked.of(reward)
    return _checked(written, asked, check.read_by_classifier(folder, asked, code=True))


def _save(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer so that transformers 4 and 5 both know its class."""
    tokenizer.save_pretrained(folder)
    place = folder / "tokenizer_config.json"
    settings = json.loads(place.read_text(encoding="utf-8"))
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": tokenizer.chat_template}
    place.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _checked(written: Written, asked: Asked, read: Iterator[tuple[str, Floats]]) -> Written:
    """The same with the largest difference.  Raises `DataError` where that is more than rounding."""
    largest = 0.0
    for how, found in read:
        apart = asked.difference(found, written.constant)
        if not apart <= asked.most() and written.dtype == "float32":
            folder = "a standard architecture" if written.kind == "standard" else "the folder"
            raise DataError(f"{folder} gives other numbers {how}, up to {apart:.2g} from the reward's")
        largest = max(largest, apart)
    return written._replace(difference=largest)
