"""The conformance kit: what a plugin's own tests run on its parts, so that they keep the promises the harness makes.

In pytest, beside a drop-in file ``focal_bt.py``::

    from pathlib import Path
    from fairl_bench import Method, Registry
    from fairl_bench.testing import check_method

    def test_focal_bt_keeps_the_contract():
        registry = Registry([Path(__file__).with_name("focal_bt.py")])
        check_method(registry.build(Method, {"use": "focal-bt"}), registry=registry)

Each check returns nothing, or raises `AssertionError` with a sentence that says what to mend.  There is one for each
kind; all of them look whether the part changes what it is given, and whether it gives the same a second time.
"""

from fairl_bench.testing.evaluators import check_evaluator as check_evaluator
from fairl_bench.testing.language_models import check_lm as check_lm
from fairl_bench.testing.language_models import check_prompts as check_prompts
from fairl_bench.testing.methods import check_method as check_method
from fairl_bench.testing.planted import Planted as Planted
from fairl_bench.testing.planted import planted as planted
from fairl_bench.testing.sources import check_source as check_source
from fairl_bench.testing.sources import check_testset as check_testset
from fairl_bench.testing.texts import TEXTS as TEXTS
from fairl_bench.testing.texts import check_encoder as check_encoder
from fairl_bench.testing.texts import check_judge as check_judge
from fairl_bench.testing.training import check_detector as check_detector
from fairl_bench.testing.training import check_schedule as check_schedule
from fairl_bench.testing.views import check_figure as check_figure
from fairl_bench.testing.views import check_panel as check_panel
from fairl_bench.testing.views import check_table as check_table
from fairl_bench.testing.views import planted_material as planted_material
