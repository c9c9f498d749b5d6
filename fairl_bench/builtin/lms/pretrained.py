"""A language model that exists already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from fairl_bench.builtin.lms.gguf_file import GgufFile
from fairl_bench.builtin.lms.model_folder import ModelFolder
from fairl_bench.builtin.shared.hub import FileOrFolderOrName, is_file_name, snapshot
from fairl_bench.component import FilePath
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.kinds import LM
from fairl_bench.values.language_models import Model, Site

# neither pickled weights nor those of other frameworks
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def _counted_by_content(value: str) -> str:
    """Return the path of a file as one whose content is in the key, and its place is not."""
    return FilePath(value) if is_file_name(Path(value)) else value


class Pretrained(LM):
    """A causal language model that is there already: a folder, a name on the hub, or a GGUF file.

    A folder or a snapshot of the hub is used where it lies; its identity is its content, or the hub's commit.  A GGUF
    file is made into a folder once, its weights as float32.  Weights must be safetensors or GGUF, and no code is run.
    It continues a prompt as the prompt stands, without a chat template.  The suite says how it samples: of the model's
    own generation settings only the end tokens count, each of which ends a completion.
    """

    model: Annotated[str, FileOrFolderOrName, AfterValidator(_counted_by_content)] = Field(
        min_length=1, description="folder or GGUF file, relative to the suite, or name on the hub"
    )
    revision: str | None = Field(None, description="commit or branch on the hub")

    def make(self, site: Site) -> Model:
        """Return where the model lies, or dequantise it into the site's folder."""
        form = self._form()
        form.check()
        return form.make(site)

    def reads(self) -> dict[str, str]:
        """Return the digest of the folder's files, or the hub's commit; that of a file is in the key anyway."""
        if isinstance(self.model, FilePath):
            return {}
        place = self._place()
        return {"weights": content_sha256(place) if is_folder(Path(self.model)) else place.name}

    def check(self) -> None:
        """Look for the weights and the tokenizer, and read which architecture the model has."""
        self._form().check()

    def remarks(self) -> Sequence[str]:
        """Return remarks: the model names no end token; some of its own generation settings have no effect."""
        return self._form().remarks()

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """Check the prompts' tokens: no more than the model has positions for, and none that it does not know."""
        return self._form().fits(prompts, new)

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        return self._form().vocabulary()

    def _form(self) -> ModelFolder | GgufFile:
        what = f"language model {self.model!r}"
        return (
            GgufFile(Path(self.model), what) if isinstance(self.model, FilePath) else ModelFolder(self._place(), what)
        )

    def _place(self) -> Path:
        if is_folder(Path(self.model)):
            return Path(self.model)
        what = f"language model {self.model!r} is no folder,"
        return snapshot(self.model, self.revision, what=what, hint="name a local folder", files=_FILES)
