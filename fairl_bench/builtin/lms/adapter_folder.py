"""An adapter of a language model, as peft saves it: added into its base once, so that the whole lies in one folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fairl_bench.builtin.lms.model_folder import ModelFolder
from fairl_bench.builtin.shared.hub import is_file_name
from fairl_bench.builtin.shared.training_environment import quiet, seeded
from fairl_bench.digests import is_folder
from fairl_bench.errors import DataError, FairlError, MissingExtra
from fairl_bench.kinds.lm import LM
from fairl_bench.values.language_models import Model, Site

ADAPTER = "adapter_config.json"


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter, and not a whole model."""
    return (folder / ADAPTER).is_file()


class Below(NamedTuple):
    """The model that an adapter says it belongs to: a place, or a name on the hub."""

    model: str
    revision: str | None


def below(adapter: Path) -> Below | None:
    """Return the model that an adapter names: one beside it, else a name on the hub; None where it names none."""
    from fairl_bench.science.merged import adapter_settings

    try:
        settings = adapter_settings(adapter, "the adapter")
    except DataError:  # `check` says it
        return None
    name, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    if not isinstance(name, str) or not name:
        return None
    beside = Path(os.path.normpath(adapter / name))
    if is_folder(beside) or is_file_name(beside):
        return Below(str(beside), None)
    return Below(name, revision if isinstance(revision, str) else None)


class AdapterFolder(NamedTuple):
    """A folder with an adapter and the model below it, if one is known; ``what`` names the adapter in messages."""

    place: Path
    what: str
    base: LM | None

    def check(self) -> None:
        """Check the adapter, its tokenizer and its base, and that the two have the same tokens."""
        if find_spec("peft") is None:
            raise MissingExtra(f"{self.what} is an adapter, which needs peft; pip install 'fairl-bench[lora]'")
        from fairl_bench.science.merged import refuse_adapter

        refuse_adapter(self.place, self.what)
        base = self._base()
        try:
            base.check()
        except FairlError as error:
            raise type(error)(f"the base of {self.what}: {error}") from error
        if self._has_tokenizer() and _apart(self.vocabulary(), base.vocabulary()):
            raise DataError(
                f"{self.what} has a tokenizer of other tokens than its base, so that it belongs to another model; name"
                " the model that it was trained on as its 'base'"
            )

    def make(self, site: Site) -> Model:
        """Add the adapter into its base, in the site's folder."""
        from fairl_bench.science.merged import merge

        if "base" not in site.upstream:
            raise DataError(
                f"{self.what} is an adapter, and needs the folder of its base as upstream['base'], got none"
            )
        with quiet(), seeded("adapter"):
            return Model(site.folder, merge(Path(site.upstream["base"]), self.place, site.folder, self.what))

    def remarks(self) -> list[str]:
        """Return the remarks on its base."""
        return list(self._base().remarks())

    def fits(self, prompts: Sequence[str], new: int) -> Sequence[str]:
        """Check the prompts as for its base, which has the same tokens and positions."""
        return self._base().fits(prompts, new)

    def vocabulary(self) -> str:
        """Return the digest of its tokenizer's tokens, or of its base's."""
        own = ModelFolder(self.place, self.what)
        return own.vocabulary() if self._has_tokenizer() else self._base().vocabulary()

    def size(self) -> int | None:
        """Return the number of its base's weights."""
        return self._base().weights()

    def _has_tokenizer(self) -> bool:
        return any(self.place.glob("tokenizer*"))

    def _base(self) -> LM:
        if self.base is None:
            raise DataError(
                f"{self.what} is an adapter that does not say what model it belongs to; name that, as in 'base: {{use:"
                " pretrained, model: FOLDER}'"
            )
        return self.base


def _apart(one: str, other: str) -> bool:
    """Whether two vocabularies differ by more than tokens that were added; one that is not known does not."""
    return bool(one and other) and one.partition(":")[0] != other.partition(":")[0]
