"""The suite of an audit: ordinary, as plain data, to be saved, edited and run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fairl_bench.audits.columns import columns_of
from fairl_bench.audits.concepts import IN_THE_BOX
from fairl_bench.audits.few import LEAST_PROMPTS
from fairl_bench.audits.models import is_served, model_spec, whole_path
from fairl_bench.audits.request import MOST_PAIRS, AuditRequest
from fairl_bench.errors import FairlError

_DATA: Final = "pairs/test"  # held out: no method has learnt from it
_SPLIT: Final = {"by": "auto", "validation": 0.1, "test": 0.5}
_SPLIT_TOLD: Final = {"by": "auto", "validation": 0.1, "test": 0.6}  # what the two models say needs no training
_SPLIT_QUICK: Final = {"by": "auto", "validation": 0.05, "test": 0.9}  # and nothing else is asked
_ENCODER: Final = {"name": "minilm", "use": "sentence-transformer", "model": "all-MiniLM-L6-v2"}
_WITHOUT_VECTORS: Final = {"name": "words", "use": "tfidf"}  # quick, for a reward that reads no vectors
_LOG_RATIO: Final = {"name": "log-ratio", "use": "log-ratio"}
_DISTILLED: Final = {"name": "log-ratio-distilled", "use": "log-ratio-distilled"}
_MAX_ENTROPY: Final = {"name": "max-entropy", "use": "max-entropy", "temperature": 1.0}
_MEAN_DIFFERENCE: Final = {"name": "mean-difference", "use": "mean-difference"}
_LENGTH: Final = {"name": "length", "use": "length"}


def audit_suite(request: AuditRequest) -> dict[str, Any]:
    """The suite of an audit as plain data; its paths are absolute, so that it can lie anywhere.

    Raises `FairlError` for what is not there: a file, a model, a server.
    """
    request.check()
    of_models = request.pairs is None
    model = _models(request) if of_models else _pairs(request)
    told = of_models and all(_tells_likelihoods(model[role], request) for role in ("base", "expert"))
    served = of_models and any(is_served(str(of)) for of in (request.base, request.expert))
    methods = _methods(request, told=told, served=served)
    suite: dict[str, Any] = {"name": request.named()}
    if request.plugins:
        suite["plugins"] = [whole_path(path) for path in request.plugins]
    suite |= {
        "seeds": [0],
        "models": [model],
        "split": _split(methods),
        "encoders": [_WITHOUT_VECTORS if told and request.quick and not served else _ENCODER],
        "head": {"use": request.head or "mlp"},
        "training": {"epochs": request.size.epochs},
        "methods": methods,
        "evaluate": _evaluators(request, told=told),
        "report": _report(told=told),
    }
    return suite


def _models(request: AuditRequest) -> dict[str, Any]:
    """Two models that complete the same prompts."""
    base, expert = (
        model_spec(str(model), chat=request.chat, api_key_env=request.api_key_env)
        for model in (request.base, request.expert)
    )
    return {
        "name": request.subject(),
        "use": "aligned-lm",
        "base": base,
        "expert": expert,
        "prompts": _prompts(request),
        "n": request.n or request.size.pairs,
        "sampling": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": request.size.tokens},
        "identical": "drop",
        "embed": "completion",
    }


def _prompts(request: AuditRequest) -> dict[str, Any]:
    """The prompts of the file; of a chat in the template of the expert, unless its server has one."""
    name = Path(str(request.prompts)).name.removesuffix(".gz")
    use = "jsonl-prompts" if name.endswith((".jsonl", ".ndjson")) else "text-prompts"
    prompts = {"use": use, "path": whole_path(str(request.prompts))}
    _refuse_few(prompts, str(request.prompts))
    if not request.chat or is_served(str(request.expert)):
        return prompts
    return {"use": "chat", "of": prompts, "template": whole_path(str(request.expert))}


def _refuse_few(spec: Mapping[str, Any], path: str) -> None:
    """Raise `FairlError` for fewer prompts than bounds can be told from."""
    import numpy as np

    from fairl_bench.kinds.lm import Prompts
    from fairl_bench.suite.registry import Registry

    prompts = set(Registry(()).build(Prompts, spec).texts(LEAST_PROMPTS, np.random.default_rng(0)))
    if len(prompts) < LEAST_PROMPTS:
        raise FairlError(
            f"--prompts: {path} holds {len(prompts)} different prompts, and an audit needs at least {LEAST_PROMPTS}, "
            "most of which are held out; add prompts"
        )


def _pairs(request: AuditRequest) -> dict[str, Any]:
    """What two models have written already, or what somebody has preferred."""
    path = Path(str(request.pairs))
    use, columns = columns_of(path, request.columns)
    limit = request.n or (request.size.pairs * 4 if request.quick else MOST_PAIRS)
    return {
        "name": request.subject(),
        "use": use,
        "path": whole_path(path),
        "columns": columns,
        "limit": limit,
        "identical": "drop",
        "empty": "drop",
        "embed": "completion",
    }


def _tells_likelihoods(model: Mapping[str, Any], request: AuditRequest) -> bool:
    """Whether a language model can be asked how likely a text is, so that the log-ratio of the two is known."""
    from fairl_bench.kinds.lm import LM
    from fairl_bench.suite.registry import Registry

    return not Registry(request.plugins).build(LM, dict(model)).refuses_likelihoods()


def _methods(request: AuditRequest, *, told: bool, served: bool) -> list[Mapping[str, Any]]:
    """The rewards that are read: what the models say where they can be asked, else what their texts say."""
    if not told:
        return [_MAX_ENTROPY, _MEAN_DIFFERENCE, _LENGTH]
    log_ratio, distilled = ({**method, **_tokens(request)} for method in (_LOG_RATIO, _DISTILLED))
    if not request.quick:
        return [log_ratio, distilled, _MAX_ENTROPY]
    return [log_ratio, _MAX_ENTROPY] if served else [log_ratio]  # a server may refuse in the end


def _split(methods: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """How pairs are divided: the more is held out, the less has to be learnt."""
    if methods[0]["use"] != _LOG_RATIO["use"]:
        return _SPLIT
    return _SPLIT_TOLD if len(methods) > 1 else _SPLIT_QUICK


def _evaluators(request: AuditRequest, *, told: bool) -> list[Mapping[str, Any]]:
    concepts = {**(IN_THE_BOX if request.concepts is None else request.concepts), **request.more}
    evaluators: list[Mapping[str, Any]] = [
        {"use": "classification", "data": [_DATA], "label": "preferred"},
        {"use": "attribution", "data": [_DATA], "concepts": concepts},
        {"use": "words", "data": [_DATA]},
    ]
    by_token = {"use": "token-log-ratio", "data": [_DATA], **_tokens(request)}
    return [*evaluators, by_token] if told else evaluators


def _tokens(request: AuditRequest) -> dict[str, str]:
    """How texts are read by the two models, where it is not as they were drawn."""
    return {"tokens": request.tokens} if request.tokens != "drawn" else {}


def _report(*, told: bool) -> dict[str, Any]:
    report: dict[str, Any] = {
        "findings": {"data": _DATA},
        "table1": {"data": [_DATA], "truth": "preferred", "metrics": ["pair_accuracy"]},
        "attribution": {"data": [_DATA]},
        "words": {"data": [_DATA]},
    }
    return report | ({"ceiling": {"data": [_DATA]}} if told else {})
