"""The metrics of two runs: how often each is right where two methods are compared, and how far apart two rewards are.

No evaluator measures them: they are made of the scores of two runs, and their records have an ``other``.
"""

from __future__ import annotations

from typing import Final

COUNTS: Final = ("both", "only_method", "only_other", "neither")
"""How many examples both have right, only the first, only the second, and neither."""
MCNEMAR: Final = ("mcnemar", "mcnemar_corrected", "mcnemar_p")
"""The statistic of McNemar's test, plain and corrected, and its p."""
AMBIGUITY: Final = ("starc", "spearman", "kendall")
"""How far apart the rewards of two seeds of one method are."""
