"""fairl-bench: a benchmark harness for recovering the reward that an aligned language model has internalised.

What a plugin or a notebook imports.  Names are imported when first used; none of them pulls in torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fairl_bench.version import __version__ as __version__

if TYPE_CHECKING:
    from pydantic import Field as Field

    from fairl_bench.component import Component as Component
    from fairl_bench.component import DataFile as DataFile
    from fairl_bench.component import RunTime as RunTime
    from fairl_bench.component import Secret as Secret
    from fairl_bench.component import Settings as Settings
    from fairl_bench.data import Asked as Asked
    from fairl_bench.data import Completions as Completions
    from fairl_bench.data import Examples as Examples
    from fairl_bench.data import Head as Head
    from fairl_bench.data import Inputs as Inputs
    from fairl_bench.data import Model as Model
    from fairl_bench.data import Pairs as Pairs
    from fairl_bench.data import Resources as Resources
    from fairl_bench.data import Reward as Reward
    from fairl_bench.data import Sampling as Sampling
    from fairl_bench.data import Scored as Scored
    from fairl_bench.data import Site as Site
    from fairl_bench.data import Task as Task
    from fairl_bench.data import Truth as Truth
    from fairl_bench.errors import DataError as DataError
    from fairl_bench.errors import FairlError as FairlError
    from fairl_bench.errors import Undefined as Undefined
    from fairl_bench.hookspecs import RunFinished as RunFinished
    from fairl_bench.hookspecs import RunStarted as RunStarted
    from fairl_bench.hookspecs import StageFinished as StageFinished
    from fairl_bench.hookspecs import hookimpl as hookimpl
    from fairl_bench.kinds import LM as LM
    from fairl_bench.kinds import Aligner as Aligner
    from fairl_bench.kinds import Ask as Ask
    from fairl_bench.kinds import Detector as Detector
    from fairl_bench.kinds import Encoder as Encoder
    from fairl_bench.kinds import Evaluator as Evaluator
    from fairl_bench.kinds import Judge as Judge
    from fairl_bench.kinds import Method as Method
    from fairl_bench.kinds import Prompts as Prompts
    from fairl_bench.kinds import Schedule as Schedule
    from fairl_bench.kinds import Source as Source
    from fairl_bench.kinds import TestSet as TestSet
    from fairl_bench.pairwise import PairwiseMethod as PairwiseMethod
    from fairl_bench.progress import report as report
    from fairl_bench.records import Measure as Measure
    from fairl_bench.records import Record as Record
    from fairl_bench.records import measured as measured
    from fairl_bench.reward.load import load_reward as load_reward
    from fairl_bench.science.failures import Signal as Signal
    from fairl_bench.science.streams import stream as stream
    from fairl_bench.truncation import Tokens as Tokens
    from fairl_bench.truncation import report_read as report_read

_HOMES = {
    "pydantic": ("Field",),
    "fairl_bench.component": ("Component", "DataFile", "RunTime", "Secret", "Settings"),
    "fairl_bench.data": (
        "Asked",
        "Completions",
        "Examples",
        "Head",
        "Inputs",
        "Model",
        "Pairs",
        "Resources",
        "Reward",
        "Sampling",
        "Scored",
        "Site",
        "Task",
        "Truth",
    ),
    "fairl_bench.reward.load": ("load_reward",),
    "fairl_bench.errors": ("DataError", "FairlError", "Undefined"),
    "fairl_bench.hookspecs": ("RunFinished", "RunStarted", "StageFinished", "hookimpl"),
    "fairl_bench.kinds": (
        "Aligner",
        "Ask",
        "Detector",
        "Encoder",
        "Evaluator",
        "Judge",
        "LM",
        "Method",
        "Prompts",
        "Schedule",
        "Source",
        "TestSet",
    ),
    "fairl_bench.pairwise": ("PairwiseMethod",),
    "fairl_bench.progress": ("report",),
    "fairl_bench.truncation": ("Tokens", "report_read"),
    "fairl_bench.records": ("Measure", "Record", "measured"),
    "fairl_bench.science.failures": ("Signal",),
    "fairl_bench.science.streams": ("stream",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'fairl_bench' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
