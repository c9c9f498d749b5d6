"""The kinds of part, one verb each.  A plugin subclasses one of these and registers the class under a name."""

from fairl_bench.component import Component
from fairl_bench.executor import Executor
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.kinds.method import Detector, Method, Schedule
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.views import Panel, ReportFigure, ReportTable

KINDS: dict[str, type[Component]] = {
    kind.kind: kind
    for kind in (
        *(Source, TestSet, Prompts, LM, Judge, Encoder, Method, Detector, Schedule, Evaluator),
        *(ReportTable, ReportFigure, Panel, Executor),
    )
}
