"""A language model that exists already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fairl_bench.builtin.hub import FolderOrName, digest, is_folder, snapshot
from fairl_bench.data import Model, Site
from fairl_bench.errors import DataError
from fairl_bench.kinds import LM

# neither pickled weights nor those of other frameworks
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


class Pretrained(LM):
    """A causal language model from a folder or the hub, used where it lies.

    Identity is the folder's content or the hub's commit.  Its weights must be safetensors, and no code of it is run.
    """

    model: Annotated[str, FolderOrName] = Field(
        min_length=1, description="folder, relative to the suite, or name on the hub"
    )
    revision: str | None = Field(None, description="commit or branch on the hub")

    def make(self, site: Site) -> Model:
        """Where it lies."""
        self.check()
        return Model(self._place())

    def reads(self) -> dict[str, str]:
        """The digest of the folder's files, or the hub's commit."""
        place = self._place()
        return {"weights": digest(place) if is_folder(Path(self.model)) else place.name}

    def check(self) -> None:
        """Look for its weights and its tokenizer, and read of what architecture it is."""
        place = self._place()
        for pattern, what in (("config.json", "configuration"), ("*.safetensors", "weights"), ("token*", "tokenizer")):
            if not any(place.glob(pattern)):
                raise DataError(
                    f"language model {self.model!r} has no {what}: {place} holds no {pattern}; name one that does"
                )
        self._architecture(place)

    def _architecture(self, place: Path) -> None:
        """Raises `DataError` where transformers knows no causal language model of this kind."""
        from transformers import AutoConfig
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

        try:
            found = AutoConfig.from_pretrained(place, trust_remote_code=False).model_type
        except Exception as error:  # every configuration has its own way to be broken
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(f"language model {self.model!r} cannot be read: {first}") from error
        if found not in KNOWN:
            raise DataError(f"language model {self.model!r} is a {found!r}, which writes no text; name a causal one")

    def _place(self) -> Path:
        if is_folder(Path(self.model)):
            return Path(self.model)
        what = f"language model {self.model!r} is no folder,"
        return snapshot(self.model, self.revision, what=what, hint="name a local folder", files=_FILES)
