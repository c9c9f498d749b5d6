"""Files to a repository of the Hugging Face hub, by its own client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from fairl_bench.errors import FairlError


class PushError(FairlError):
    """A repository that cannot be written."""


def push(
    files: Mapping[str, Path | bytes], repository: str, *, kind: Literal["model", "dataset"], public: bool, title: str
) -> str:
    """Put files into a repository in one commit, and return its address.

    The repository is made where it is not there, private unless ``public``; one that is there stays what it is.  The
    place is ``HF_ENDPOINT``, the token ``HF_TOKEN`` or that of ``hf auth login``; it is never written or shown.  Raises
    `PushError` where the hub refuses, or cannot be reached.
    """
    import os

    from huggingface_hub import CommitOperationAdd, HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise PushError(f"{repository} cannot be written: HF_HUB_OFFLINE is set; unset it for this command")
    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, token=os.environ.get("HF_TOKEN") or None)
    operations = [CommitOperationAdd(name, content) for name, content in sorted(files.items())]
    try:
        made = hub.create_repo(repository, repo_type=kind, private=not public, exist_ok=True)
        hub.create_commit(made.repo_id, operations, commit_message=title, repo_type=kind)
    except Exception as error:  # of the hub, of its client, or of the network
        raise PushError(f"{repository} cannot be written: {_why(error)}") from error
    return str(made)


def _why(error: Exception) -> str:
    """What the hub says, and what to do."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    advice = {
        401: "set HF_TOKEN to a token of yours that may write",
        403: "the token may not write there; name a repository of your own, NAME/REPO, or use another token",
        404: "name a repository as NAME/REPO",
    }.get(status or 0, "look at the name, the token in HF_TOKEN and the network")
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{said.rstrip('.:')[:200]}; {advice}"
