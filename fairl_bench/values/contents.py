"""The names of numbers about what texts contain, concepts and words, as evaluators give and tables read them."""

from __future__ import annotations

from typing import Final

CONCEPT: Final = "concept:"
"""The beginning of the truth of a number that is about a concept; its name follows."""
SHARE: Final = "concept_share"
SLOPE: Final = "concept_slope"
AUC: Final = "concept_auc"
ALONE: Final = "concept_alone"
"""The share of a reward that a concept explains as the only one."""
BESIDE: Final = "concept_beside"
"""The share that it adds to all others."""
DETECTABLE: Final = "detectable_share"
"""The share with which a concept would have been named four times in five; without a truth, half of them would."""
REST: Final = "unexplained_share"
"""The share of a reward that no concept explains; it has no truth."""
ENDS: Final = ("", "_low", "_high")
"""What follows the name of a number of an attribution: nothing, or which end of its interval it is."""

DOSE_RESPONSE: Final = "dose-response"
"""The name of an attribution's evidence of mean rewards by quantile of a concept."""
DOSE_COLUMNS: Final = ("data", "concept", "least", "most", "mean", "texts", "reward", "low", "high")
"""Its columns: a row is a group of texts, what they have of the concept at least, at most and in the mean, how many
they are, and the mean of their rewards, centred within prompts and in standard deviations, with its 95 % interval."""

WORD: Final = "word:"
"""The beginning of the truth of a number that is about a word or a bigram, which follows."""
TOLD_APART: Final = "words_told_apart"
FDR: Final = 0.05
"""The false discovery rate of the list of words that are told apart."""
