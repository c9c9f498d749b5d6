"""fairl-bench: a benchmark harness for recovering the reward that an aligned language model has internalised.

What a plugin or a notebook imports.  A name is imported when it is first used; none of them pulls in torch or pandas.
"""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairl_bench.version import __version__ as __version__

if TYPE_CHECKING:  # the one list of public names: type checkers read it, and so does `_homes`
    from pydantic import Field as Field

    from fairl_bench.api import Results as Results
    from fairl_bench.api import audit as audit
    from fairl_bench.api import check as check
    from fairl_bench.api import read_results as read_results
    from fairl_bench.api import run as run
    from fairl_bench.component import Component as Component
    from fairl_bench.component import DataFile as DataFile
    from fairl_bench.component import RunTime as RunTime
    from fairl_bench.component import Secret as Secret
    from fairl_bench.component import Settings as Settings
    from fairl_bench.component import Spec as Spec
    from fairl_bench.errors import DamagedArtefact as DamagedArtefact
    from fairl_bench.errors import DataError as DataError
    from fairl_bench.errors import FairlError as FairlError
    from fairl_bench.errors import StoreError as StoreError
    from fairl_bench.errors import Undefined as Undefined
    from fairl_bench.executor import Attempt as Attempt
    from fairl_bench.executor import Executor as Executor
    from fairl_bench.executor import Job as Job
    from fairl_bench.executor import JobReport as JobReport
    from fairl_bench.executor import JobRunner as JobRunner
    from fairl_bench.executor import Moved as Moved
    from fairl_bench.executor import Workplace as Workplace
    from fairl_bench.guards.truncation import Tokens as Tokens
    from fairl_bench.guards.truncation import report_read as report_read
    from fairl_bench.hookspecs import Register as Register
    from fairl_bench.hookspecs import RunFinished as RunFinished
    from fairl_bench.hookspecs import RunStarted as RunStarted
    from fairl_bench.hookspecs import StageFinished as StageFinished
    from fairl_bench.hookspecs import hookimpl as hookimpl
    from fairl_bench.kinds.aligner import Aligner as Aligner
    from fairl_bench.kinds.aligner import Probe as Probe
    from fairl_bench.kinds.encoder import Encoder as Encoder
    from fairl_bench.kinds.evaluator import Evaluator as Evaluator
    from fairl_bench.kinds.evaluator import Recovered as Recovered
    from fairl_bench.kinds.judge import Judge as Judge
    from fairl_bench.kinds.judge import Judging as Judging
    from fairl_bench.kinds.lm import LM as LM
    from fairl_bench.kinds.lm import Ask as Ask
    from fairl_bench.kinds.lm import AskDraws as AskDraws
    from fairl_bench.kinds.lm import AskLikelihoods as AskLikelihoods
    from fairl_bench.kinds.lm import Candidates as Candidates
    from fairl_bench.kinds.lm import Prompts as Prompts
    from fairl_bench.kinds.method import Detector as Detector
    from fairl_bench.kinds.method import Method as Method
    from fairl_bench.kinds.method import Schedule as Schedule
    from fairl_bench.kinds.source import Origin as Origin
    from fairl_bench.kinds.source import Source as Source
    from fairl_bench.kinds.source import TestSet as TestSet
    from fairl_bench.kinds.upstream import Refits as Refits
    from fairl_bench.material import Material as Material
    from fairl_bench.material import Picture as Picture
    from fairl_bench.metrics import Metric as Metric
    from fairl_bench.metrics import Metrics as Metrics
    from fairl_bench.pairwise import PairwiseMethod as PairwiseMethod
    from fairl_bench.preview.checked import Checked as Checked
    from fairl_bench.progress import report as report
    from fairl_bench.results.given import GivenMaterial as GivenMaterial
    from fairl_bench.reward.function import RecoveredReward as RecoveredReward
    from fairl_bench.reward.load import load_reward as load_reward
    from fairl_bench.reward.saved import SavedRewards as SavedRewards
    from fairl_bench.science.concepts import Interval as Interval
    from fairl_bench.science.failures import FailurePlan as FailurePlan
    from fairl_bench.science.failures import Signal as Signal
    from fairl_bench.science.resampling import CompletionForm as CompletionForm
    from fairl_bench.science.resampling import CompletionSample as CompletionSample
    from fairl_bench.science.resampling import Form as Form
    from fairl_bench.science.resampling import Sample as Sample
    from fairl_bench.science.runs import Batch as Batch
    from fairl_bench.science.streams import stream as stream
    from fairl_bench.suite.registry import Plugin as Plugin
    from fairl_bench.suite.registry import Registry as Registry
    from fairl_bench.values.comparison import Comparison as Comparison
    from fairl_bench.values.comparison import Question as Question
    from fairl_bench.values.comparison import TwoMethods as TwoMethods
    from fairl_bench.values.coordinates import CellName as CellName
    from fairl_bench.values.coordinates import Coordinates as Coordinates
    from fairl_bench.values.coordinates import Group as Group
    from fairl_bench.values.coordinates import Row as Row
    from fairl_bench.values.coordinates import Run as Run
    from fairl_bench.values.coordinates import Setting as Setting
    from fairl_bench.values.coordinates import Within as Within
    from fairl_bench.values.coordinates import World as World
    from fairl_bench.values.data import Examples as Examples
    from fairl_bench.values.data import Floats as Floats
    from fairl_bench.values.data import Labels as Labels
    from fairl_bench.values.data import Pairs as Pairs
    from fairl_bench.values.data import Rows as Rows
    from fairl_bench.values.data import Scored as Scored
    from fairl_bench.values.data import Truth as Truth
    from fairl_bench.values.data import Vectors as Vectors
    from fairl_bench.values.drawn_tokens import DrawnTokens as DrawnTokens
    from fairl_bench.values.evidence import CellEvidence as CellEvidence
    from fairl_bench.values.findings import ConceptFinding as ConceptFinding
    from fairl_bench.values.findings import Findings as Findings
    from fairl_bench.values.findings import Separable as Separable
    from fairl_bench.values.findings import TextFinding as TextFinding
    from fairl_bench.values.findings import WordFinding as WordFinding
    from fairl_bench.values.history import History as History
    from fairl_bench.values.known import Known as Known
    from fairl_bench.values.language_models import Asked as Asked
    from fairl_bench.values.language_models import Completions as Completions
    from fairl_bench.values.language_models import DrawnTexts as DrawnTexts
    from fairl_bench.values.language_models import Model as Model
    from fairl_bench.values.language_models import Sampling as Sampling
    from fairl_bench.values.language_models import Site as Site
    from fairl_bench.values.likelihoods import Continuations as Continuations
    from fairl_bench.values.likelihoods import Likelihoods as Likelihoods
    from fairl_bench.values.realigned import Realigned as Realigned
    from fairl_bench.values.records import Evidence as Evidence
    from fairl_bench.values.records import Measure as Measure
    from fairl_bench.values.records import Record as Record
    from fairl_bench.values.records import measured as measured
    from fairl_bench.values.resources import Resources as Resources
    from fairl_bench.values.rows import Runs as Runs
    from fairl_bench.values.run_facts import Ceiling as Ceiling
    from fairl_bench.values.run_facts import MethodFacts as MethodFacts
    from fairl_bench.values.run_facts import RunFacts as RunFacts
    from fairl_bench.values.sheets import Sheet as Sheet
    from fairl_bench.values.stage import Stage as Stage
    from fairl_bench.values.table import Table as Table
    from fairl_bench.values.training import Head as Head
    from fairl_bench.values.training import Inputs as Inputs
    from fairl_bench.values.training import Preferences as Preferences
    from fairl_bench.values.training import Reward as Reward
    from fairl_bench.values.training import Stop as Stop
    from fairl_bench.values.training import Task as Task
    from fairl_bench.values.training import Training as Training
    from fairl_bench.values.truths import Objective as Objective
    from fairl_bench.values.verdicts import Claim as Claim
    from fairl_bench.values.verdicts import Effect as Effect
    from fairl_bench.values.verdicts import Verdict as Verdict
    from fairl_bench.views import Drawn as Drawn
    from fairl_bench.views import Panel as Panel
    from fairl_bench.views import Report as Report
    from fairl_bench.views import ReportFigure as ReportFigure
    from fairl_bench.views import ReportTable as ReportTable
    from fairl_bench.views import Section as Section
    from fairl_bench.views import Truths as Truths


@cache
def _homes() -> dict[str, str]:
    """The module that defines each public name, as the imports above say."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    (public,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in public.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_homes())
    if name not in _homes():
        raise AttributeError(f"module 'fairl_bench' has no attribute {name!r}")
    return getattr(import_module(_homes()[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes()})
