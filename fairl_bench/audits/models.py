"""A language model as the command line names it: a folder, a file, a name on the hub, or the URL of a server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from fairl_bench.errors import FairlError, suggest

_SERVERS: Final = ("http://", "https://")
_SECONDS: Final = 10.0  # that a server has to name its models


def is_served(model: str) -> bool:
    """Whether a server is meant.

    >>> is_served("http://localhost:8000/v1"), is_served("./expert")
    (True, False)
    """
    return model.startswith(_SERVERS)


def model_spec(model: str, *, chat: bool, api_key_env: str | None) -> dict[str, Any]:
    """The spec of a language model.  Raises `FairlError` where it is not there, or does not say which one it is."""
    if is_served(model):
        return _served(model, chat=chat, api_key_env=api_key_env)
    path = Path(model)
    if not path.exists() and (path.is_absolute() or model.startswith((".", "~")) or path.suffix in (".gguf",)):
        raise FairlError(f"model {model!r} does not exist; name a folder, a .gguf file, a name on the hub or a URL")
    return {"use": "pretrained", "model": whole_path(model)}


def whole_path(place: Path | str) -> str:
    """A path that means the same wherever the suite lies that names it; what is no path here stays as it is."""
    return str(Path(place).resolve()) if Path(place).exists() else str(place)


def _served(model: str, *, chat: bool, api_key_env: str | None) -> dict[str, Any]:
    """The spec of a model behind a server, which is asked for its models; ``URL#MODEL`` chooses one of several."""
    url, _, name = model.partition("#")
    answer = _asked(url.rstrip("/"), api_key_env)
    names = [entry["id"] for entry in answer]
    if not name and len(names) != 1:
        raise FairlError(f"{url} serves {len(names)} models ({', '.join(names[:8])}); name one as {url}#MODEL")
    if name and names and name not in names:
        raise FairlError(f"{url} does not serve {name!r}; {suggest(name, names)}")
    spec = {"use": "completions-api", "url": url, "model": name or names[0], "server": _kind(answer)}
    spec |= {"api": "chat"} if chat else {}
    return spec | ({"api_key_env": api_key_env} if api_key_env else {})


def _kind(answer: list[dict[str, Any]]) -> str:
    """The kind of server, by whom it says its models are owned.

    >>> _kind([{"id": "m", "owned_by": "llamacpp"}]), _kind([{"id": "m"}])
    ('llama.cpp', 'openai')
    """
    owners = {str(entry.get("owned_by", "")).lower() for entry in answer}
    kinds = {"vllm": "vllm", "llamacpp": "llama.cpp", "llama.cpp": "llama.cpp"}
    return next((kinds[owner] for owner in owners if owner in kinds), "openai")


def _asked(url: str, api_key_env: str | None) -> list[dict[str, Any]]:
    """The models that a server says it has.  Raises `FairlError` where nobody answers, or not so."""
    import httpx2

    key = os.environ.get(api_key_env, "").strip() if api_key_env else ""
    if api_key_env and not key:
        raise FairlError(f"the key of {url} is not set; set it: {api_key_env}=... fairl-bench audit ...")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx2.get(f"{url}/models", headers=headers, timeout=_SECONDS, follow_redirects=False)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        why = "it does not answer" if isinstance(error, httpx2.TimeoutException) else "nobody answers there"
        raise FairlError(
            f"{url} cannot be asked for its models: {why}; start the server, or correct the URL"
        ) from error
    if answer.status_code in (401, 403):
        raise FairlError(f"{url} wants a key; name the environment variable that holds it with --api-key-env")
    try:
        models = json.loads(answer.content[:1_000_000])["data"]
        found = [entry for entry in models if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    except (ValueError, LookupError, TypeError) as error:
        said = f"{url}/models gave no list of models (status {answer.status_code})"
        raise FairlError(f"{said}; give the base URL as OpenAI's clients take it, /v1 included") from error
    if not found:
        raise FairlError(f"{url} serves no model; start one there")
    return found
