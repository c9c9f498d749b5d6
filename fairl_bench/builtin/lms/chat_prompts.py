"""Prompts as messages of a user, put into a model's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import AfterValidator, Field

from fairl_bench.builtin.lms.gguf_file import GgufFile
from fairl_bench.builtin.lms.model_folder import ModelFolder
from fairl_bench.builtin.lms.packaged_model import PACKAGES, Package, PackagedModel
from fairl_bench.builtin.shared.hub import FileOrFolderOrName, is_file_name, snapshot
from fairl_bench.component import FilePath
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.errors import DataError, FairlError
from fairl_bench.kinds.lm import Prompts

_TOKENIZER = ("tokenizer*", "*.jinja", "special_tokens_map.json", "vocab*", "merges.txt", "*.model", "config.json")
_FILES = (*_TOKENIZER, "generation_config.json")  # which names end tokens
_SAID: Final = "That is 42"


def _counted_by_content(value: str) -> str:
    """Return the path of a file as one whose content is in the key, and its place is not."""
    return FilePath(value) if is_file_name(Path(value)) else value


class ChatPrompts(Prompts):
    """Other prompts, each as the message of a user in a model's chat template, up to where the assistant begins.

    The models of a source read the same characters, whichever of them the template is of.  A template runs in the
    sandbox of transformers.
    """

    of: Prompts
    template: Annotated[str, FileOrFolderOrName, AfterValidator(_counted_by_content)] = Field(
        min_length=1,
        description="the model whose template it is: folder or GGUF file, relative to the suite, name on the hub or of "
        "a package",
    )
    chat: Literal["auto", "always", "never"] = Field(
        "always", description="auto: only where the model has a template; never: the prompts stand as they are"
    )
    system: str = Field("", description="the system message before each prompt; none where empty")

    def draws(self) -> bool:
        """Return whether the other prompts are drawn at random."""
        return self.of.draws()

    def reads(self) -> dict[str, str]:
        """Return the digest of the template's tokenizer; that of a file is in the key anyway."""
        if self.chat == "never" or isinstance(self.template, FilePath):
            return {}
        if (package := self._package()) is not None:
            return {"template": package.sha256}
        place = self._place()
        if not is_folder(Path(self.template)):
            return {"template": place.name}
        files = sorted(path for pattern in _TOKENIZER for path in place.glob(pattern) if path.is_file())
        return {path.name: content_sha256(path) for path in files}

    def check(self) -> None:
        """Check the other prompts, and put one into the template."""
        self.of.check()
        self._in_template(["Hello"])

    def remarks(self) -> Sequence[str]:
        """Return remarks: there is no template; the model goes on after the token that ends a turn in it."""
        if self.chat == "never":
            return []
        if not self._templated():
            return [f"model {self.template!r} has no chat template: the prompts of 'chat' stand as they are"]
        end = self._end_of_turn()
        if end is None or end in self._ends():
            return []
        token = self._tokenizer().convert_ids_to_tokens(end)
        return [
            f"the chat template of {self.template!r} ends a turn with {token!r}, which is no end token of its model, so"
            " that completions go on after it; add it to 'eos_token_id' in the model's generation_config.json"
        ]

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return up to ``n`` of the other prompts in the template."""
        return self._in_template(self.of.texts(n, rng))

    def _in_template(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return each text as the last message.  Raises `DataError` where there is no template, or it fails."""
        if not self._templated():
            return tuple(texts)
        added = _added_before(self._tokenizer())
        return tuple(self._rendered(text).removeprefix(added) for text in texts)

    def _rendered(self, text: str, answer: str | None = None) -> str:
        """Return a user's message in the template, up to where the assistant begins or to the end of its ``answer``."""
        said = [("system", self.system)] * bool(self.system) + [("user", text)]
        messages = [{"role": role, "content": content} for role, content in said]
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
        try:
            rendered = self._tokenizer().apply_chat_template(
                messages, tokenize=False, add_generation_prompt=answer is None
            )
        except Exception as error:  # a template says in its own way what it does not take, such as a system message
            raise DataError(f"the chat template of {self.template!r} cannot be used: {error}") from error
        return str(rendered)

    def _templated(self) -> bool:
        """Return whether prompts are put into a template.  Raises `DataError` where they must be and there is none."""
        if self.chat == "never":
            return False
        found = bool(self._tokenizer().chat_template)
        if not found and self.chat == "always":
            raise DataError(
                f"model {self.template!r} has no chat template; name one that has, or set 'chat: auto' to use one only"
                " where there is one"
            )
        return found

    def _end_of_turn(self) -> int | None:
        """Return the special token that the template puts behind what the assistant says; None where it puts none."""
        tokenizer, behind = self._tokenizer(), self._rendered("Hello", _SAID).rpartition(_SAID)[2]
        ids = tokenizer(behind, add_special_tokens=False)["input_ids"]
        special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_encoder.values()}
        return ids[0] if ids and ids[0] in special else None

    def _ends(self) -> tuple[int, ...]:
        """Return the end tokens of the model; those of its tokenizer where there is nothing else of it."""
        form = self._form()
        try:
            return form.ends()
        except FairlError:  # a folder with a tokenizer alone
            end = form.tokenizer().eos_token_id
            return () if end is None else (end,)

    def _tokenizer(self) -> Any:
        return self._form().tokenizer()

    def _form(self) -> ModelFolder | GgufFile | PackagedModel:
        what = f"model {self.template!r}"
        if is_file_name(Path(self.template)):
            return GgufFile(Path(self.template), what)
        if (package := self._package()) is not None:
            return PackagedModel(package, what)
        return ModelFolder(self._place(), what)

    def _package(self) -> Package | None:
        """Return the package that has the model, where its name is of one, and of no folder."""
        return None if is_folder(Path(self.template)) else PACKAGES.get(self.template)

    def _place(self) -> Path:
        if is_folder(Path(self.template)):
            return Path(self.template)
        return snapshot(
            self.template,
            None,
            what=f"chat template {self.template!r} is no folder,",
            hint="name a local folder",
            files=_FILES,
        )


def _added_before(tokenizer: Any) -> str:
    """Return the start token as text, where the tokenizer itself puts it before every text: once is enough."""
    start = tokenizer.bos_token
    ids = tokenizer("a")["input_ids"]
    return str(start) if start and ids and ids[0] == tokenizer.bos_token_id else ""
