"""Prompts as messages of a user, put into a model's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fairl_bench.builtin.shared.hub import FolderOrName, snapshot
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.errors import DataError
from fairl_bench.kinds import Prompts

_FILES = ("tokenizer*", "*.jinja", "special_tokens_map.json", "vocab*", "merges.txt", "*.model", "config.json")


class ChatPrompts(Prompts):
    """Other prompts, each as the message of a user in a model's chat template, up to where the assistant begins.

    The models of a source read the same characters, whichever of them the template is of.  A template runs in the
    sandbox of transformers.
    """

    of: Prompts
    template: Annotated[str, FolderOrName] = Field(
        min_length=1, description="folder, relative to the suite, or name on the hub of the model whose template it is"
    )
    system: str = Field("", description="the system message before each prompt; none where empty")

    def draws(self) -> bool:
        """Return whether the other prompts are drawn at random."""
        return self.of.draws()

    def reads(self) -> dict[str, str]:
        """Return the digest of the template's tokenizer."""
        place = self._place()
        files = sorted(path for pattern in _FILES for path in place.glob(pattern) if path.is_file())
        return (
            {path.name: content_sha256(path) for path in files}
            if is_folder(Path(self.template))
            else {"template": place.name}
        )

    def check(self) -> None:
        """Check the other prompts, and put one into the template."""
        self.of.check()
        self._in_template(["Hello"])

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return up to ``n`` of the other prompts in the template."""
        return self._in_template(self.of.texts(n, rng))

    def _in_template(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return each text as the last message.  Raises `DataError` where there is no template, or it fails."""
        tokenizer = self._tokenizer()
        if not tokenizer.chat_template:
            raise DataError(f"model {self.template!r} has no chat template; name one that has, or leave it out")
        before = [{"role": "system", "content": self.system}] if self.system else []
        messages = [[*before, {"role": "user", "content": text}] for text in texts]
        try:
            rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # a template says in its own way what it does not take, such as a system message
            raise DataError(f"the chat template of {self.template!r} cannot be used: {error}") from error
        return tuple(text.removeprefix(_added_before(tokenizer)) for text in rendered)

    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self._place(), trust_remote_code=False)
        except Exception as error:  # every tokenizer has its own way to be broken
            first = str(error).partition("\n")[0]
            raise DataError(f"the tokenizer of {self.template!r} cannot be read: {first}") from error

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
