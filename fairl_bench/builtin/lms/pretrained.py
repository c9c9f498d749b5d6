"""A language model that exists already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from fairl_bench.builtin.lms.adapter_folder import AdapterFolder, below, is_adapter
from fairl_bench.builtin.lms.gguf_file import GgufFile
from fairl_bench.builtin.lms.model_folder import ModelFolder
from fairl_bench.builtin.lms.packaged_model import PACKAGES, Package, PackagedModel
from fairl_bench.builtin.shared.hub import FileOrFolderOrName, is_file_name, snapshot
from fairl_bench.component import FilePath, Settings
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.errors import DataError, FairlError
from fairl_bench.kinds.lm import LM
from fairl_bench.values.language_models import Model, Site

# neither pickled weights nor those of other frameworks
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def _counted_by_content(value: str) -> str:
    """Return the path of what an artefact is made of as one whose content is in the key, and its place is not."""
    return FilePath(value) if is_file_name(Path(value)) or is_adapter(Path(value)) else value


class Pretrained(LM):
    """A causal language model that is there already: a folder, a name on the hub, a GGUF file, or an adapter of one.

    A folder or a snapshot of the hub is used where it lies; its identity is its content, or the hub's commit.  A GGUF
    file is made into a folder once, its weights as float32, and so is an adapter of peft with its base, whose sum it
    holds.  Weights must be safetensors or GGUF, and no code is run.
    It continues a prompt as the prompt stands, without a chat template.  The suite says how it samples: of the model's
    own generation settings only the end tokens count, each of which ends a completion.
    """

    model: Annotated[str, FileOrFolderOrName, AfterValidator(_counted_by_content)] = Field(
        min_length=1, description="folder or GGUF file, relative to the suite, name on the hub or of a package"
    )
    revision: str | None = Field(None, description="commit or branch on the hub")
    base: LM | None = Field(
        None, description="of an adapter: the model that it belongs to; none: the one that it names itself"
    )

    def upstream(self) -> Mapping[str, Settings]:
        """Return the base of an adapter, as far as it is known."""
        base = self._base()
        return {} if base is None else {"base": base}

    def make(self, site: Site) -> Model:
        """Return where the model lies, or make it in the site's folder: of a GGUF file, or an adapter and its base."""
        self.check()
        return self._form().make(site)

    def reads(self) -> dict[str, str]:
        """Return the digest of the folder's files, or the hub's commit; what is made anew is in the key anyway."""
        if isinstance(self.model, FilePath):
            return {}
        if (package := self._package()) is not None:
            return {"weights": package.sha256}
        place = self._place()
        return {"weights": content_sha256(place) if is_folder(Path(self.model)) else place.name}

    def check(self) -> None:
        """Look for the weights, the tokenizer and the base of an adapter, and read which architecture the model has."""
        form = self._form()
        if isinstance(form, AdapterFolder):
            self._find_base(form.place)
        elif self.base is not None:
            raise DataError(f"{form.what} is no adapter, and has no base; leave 'base' out")
        form.check()

    def remarks(self) -> Sequence[str]:
        """Return remarks: the model names no end token; some of its own generation settings have no effect."""
        return self._form().remarks()

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """Check the prompts' tokens: no more than the model has positions for, and none that it does not know."""
        return self._form().fits(prompts, new)

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens."""
        return self._form().vocabulary()

    def weights(self) -> int | None:
        """Return how many it has: of an adapter, those of its base."""
        return self._form().size()

    def _form(self) -> ModelFolder | GgufFile | PackagedModel | AdapterFolder:
        what, path = f"language model {self.model!r}", Path(self.model)
        if is_file_name(path):
            return GgufFile(path, what)
        if (package := self._package()) is not None:
            return PackagedModel(package, what)
        place = self._place()
        return AdapterFolder(place, what, self._base()) if is_adapter(place) else ModelFolder(place, what)

    def _base(self) -> LM | None:
        """Return the model that an adapter belongs to; None where this is no adapter, or that model is not there."""
        try:
            if self.base is not None or is_file_name(Path(self.model)) or self._package() is not None:
                return self.base
            place = self._place()
            return self._find_base(place) if is_adapter(place) else None
        except FairlError:  # `check` says it
            return None

    def _find_base(self, adapter: Path) -> LM | None:
        """Return the model that an adapter names.  Raises `MissingExtra` where it is not there."""
        named = None if self.base is not None else below(adapter)
        if named is None:
            return self.base
        base, what = (
            type(self).named("pretrained", **named._asdict()),
            f"language model {self.model!r} is an adapter of",
        )
        place = Path(base.model)
        if not (is_file_name(place) or is_folder(place)):
            hint = "name it as 'base: {use: pretrained, model: FOLDER}'"
            missing = f"{what} {base.model!r}, which is no folder beside it,"
            place = snapshot(base.model, base.revision, what=missing, hint=hint, files=_FILES)
        if is_adapter(place):  # it may lead to this one again
            raise DataError(
                f"{what} {base.model!r}, an adapter itself; name that one as its 'base', with its own 'base'"
            )
        return base

    def _package(self) -> Package | None:
        """Return the package that has the model, where its name is of one, and of no folder."""
        return None if is_folder(Path(self.model)) else PACKAGES.get(self.model)

    def _place(self) -> Path:
        if is_folder(Path(self.model)):
            return Path(self.model)
        what = f"language model {self.model!r} is no folder,"
        return snapshot(self.model, self.revision, what=what, hint="name a local folder", files=_FILES)
