"""A judge that is a model of the package Detoxify (Hanu & Unitary 2020, github.com/unitaryai/detoxify)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Annotated, Any, Literal

from pydantic import Field

from fairl_bench.builtin.judges.by_classifier import ByClassifier, Head, head
from fairl_bench.builtin.shared.hub import Beside, snapshot
from fairl_bench.builtin.shared.token_window import tokens_ahead
from fairl_bench.component import RunTime
from fairl_bench.digests import content_sha256, is_folder, stamp
from fairl_bench.errors import DataError, MissingExtra, suggest
from fairl_bench.guards.truncation import Tokens
from fairl_bench.values.data import GOLD, Floats

_BASE = {"original": "bert-base-uncased", "unbiased": "roberta-base", "multilingual": "xlm-roberta-base"}
# the older names of some labels; by these, all of the models share theirs
_NAMES = {"toxic": "toxicity", "identity_hate": "identity_attack", "severe_toxic": "severe_toxicity"}


class Detoxify(ByClassifier):
    """Detoxify's models: the reward is the log-odds of no toxicity; the other labels are subtypes.

    A checkpoint is a pickle.  Only weights and settings are read from it, so that it can run no code; and it is read
    only from a file that the suite names, unless the suite allows the package's own to be downloaded.
    """

    model: Literal["original", "unbiased", "multilingual"] = "original"
    checkpoint: Annotated[str | None, Beside, RunTime] = Field(
        None, min_length=1, description="the model's checkpoint, a file relative to the suite"
    )
    architecture: Annotated[str | None, Beside, RunTime] = Field(
        None, min_length=1, description="folder of config and tokenizer; none: those of the model's base on the hub"
    )
    download: Annotated[bool, RunTime] = Field(False, description="let torch.hub fetch the model's own checkpoint")

    def probabilities(self, texts: Sequence[str]) -> Mapping[str, Floats]:
        """Return, by truth, the probability of each text ``[n]``."""
        path, base = self._checkpoint(), self._base()
        loaded = _load(path, stamp(path), base, stamp(base), None if self.architecture else _BASE[self.model])
        shares = self.classified(loaded, texts)
        names = [GOLD if label == "toxicity" else f"subtype:{label}" for label in loaded.labels]
        return {name: 1 - shares[:, i] if name == GOLD else shares[:, i] for i, name in enumerate(names)}

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """Return what the tokenizer in the folder of the model's base would read."""
        return tokens_ahead(self._base(), texts, self.max_length)

    def reads(self) -> dict[str, str]:
        """Return the digest of the checkpoint, and that of the base's folder or its commit on the hub."""
        checkpoint, base = self._checkpoint(), self._base()
        return {"weights": content_sha256(checkpoint), "base": content_sha256(base) if self.architecture else base.name}

    def _checkpoint(self) -> Path:
        if self.checkpoint is not None:
            return Path(self.checkpoint)
        if self.download:
            return _fetched(self.model)
        raise MissingExtra(
            f"judge 'detoxify' needs the checkpoint of its model {self.model!r}, a pickle, which is not fetched "
            "unasked; name the file under 'checkpoint:', or set 'download: true'"
        )

    def _base(self) -> Path:
        """Return the folder of the configuration and tokenizer, which a checkpoint does not hold."""
        if self.architecture is None:
            name = _BASE[self.model]
            return snapshot(
                name,
                None,
                what=f"model {name!r}, whose config and tokenizer judge 'detoxify' reads,",
                hint="name a folder of them under 'architecture:'",
                files=("*.json", "*.txt", "*.model"),
            )
        if not is_folder(Path(self.architecture)):
            raise DataError(
                f"{self.architecture} is no folder; 'architecture' names one with config.json and a tokenizer"
            )
        return Path(self.architecture)


def _fetched(name: str) -> Path:
    """Return the package's own checkpoint in torch.hub's folder, fetched now if need be; its name holds its hash."""
    import torch
    from detoxify.detoxify import MODEL_URLS

    url = MODEL_URLS[name]
    path: Path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), path.stem.rpartition("-")[2], progress=False)
        except (OSError, RuntimeError) as error:  # not reached; not the hash that its name tells
            raise MissingExtra(
                f"judge 'detoxify' cannot fetch {url}: {error}; name a copy's file under 'checkpoint:'"
            ) from error
    return path


@lru_cache(maxsize=1)  # an aligner asks at every step; a model is too large for more than one to be kept
def _load(path: Path, stamp: object, base: Path, base_stamp: object, expected: str | None) -> Head:
    from detoxify.detoxify import get_model_and_tokenizer
    from transformers.utils import logging

    weights, settings, classes = _read(path)
    model_type = settings.get("model_type")
    if expected is not None and model_type != expected:
        fits = [name for name, known in _BASE.items() if known == model_type]
        hint = f"set 'model: {fits[0]}'" if fits else "name its config and tokenizer under 'architecture:'"
        raise DataError(f"checkpoint {path} is of {model_type!r}, not of {expected!r}; {hint}")
    labels = tuple(_NAMES.get(name, name) for name in classes)
    if "toxicity" not in labels:
        raise DataError(f"checkpoint {path} has no label 'toxicity'; {suggest('toxicity', labels)}")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, tokenizer = get_model_and_tokenizer(
            **{**settings, "model_type": str(base)}, state_dict=weights, huggingface_config_path=str(base)
        )
    except Exception as error:  # every model has its own way to be broken
        raise _unreadable(path, error) from error
    lacking = sorted(set(model.state_dict()) - set(weights))
    if lacking:  # they would be drawn at random
        raise DataError(f"checkpoint {path} is not whole: it has no weights {', '.join(lacking[:2])}; fetch it again")
    return head(model, tokenizer, labels, sigmoid=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return a checkpoint's weights, the settings of its model and the names of its labels."""
    import torch

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        configuration = checkpoint["config"]
        return (
            checkpoint["state_dict"],
            dict(configuration["arch"]["args"]),
            [str(name) for name in configuration["dataset"]["args"]["classes"]],
        )
    except UnpicklingError as error:
        raise DataError(
            f"checkpoint {path} is damaged or holds more than weights and settings, which could run code; "
            "fetch it again, or save its 'state_dict' and 'config' alone"
        ) from error
    except Exception as error:  # a damaged pickle fails in many ways
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    first = (str(error).splitlines() or [""])[0]
    return DataError(f"{path} cannot be read as a Detoxify checkpoint: {type(error).__name__}: {first}")
