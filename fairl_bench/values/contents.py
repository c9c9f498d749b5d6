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
CHOICE: Final = "concept_choice"
"""What it adds to all others in telling which text of a pair is preferred, of what all concepts tell."""
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

TOKEN: Final = "token:"
"""The beginning of the truth of a number that is about a token, which follows as `written_token` writes it."""
TOKEN_RATIO: Final = "token_log_ratio"
END_OF_TEXT: Final = "\u220e"
"""Stands for the token with which a text ends."""
TEXT_COLUMNS: Final = ("data", "example", "why", "log_ratio", "margin", "pair", "side", "prompt", "text")
"""The columns of the texts that were chosen to be looked at: a row is a text and why it was chosen."""
PARTS_MOST: Final = "parts most"
"""Of a pair: the two models differ most about which of its texts is likelier."""
MIDDLE: Final = "middle"
"""Of a pair: they differ about it as much as about half of the pairs."""
HIGHEST: Final = "highest"
LOWEST: Final = "lowest"
PIECES: Final = "tokens"
"""The name of the evidence of their tokens."""
PIECE_COLUMNS: Final = ("data", "example", "begin", "end", "base", "expert")
"""Its columns: a row is a token of a text, its characters, and its log-probability under both models, in nats."""

WORD: Final = "word:"
"""The beginning of the truth of a number that is about a word or a bigram, which follows."""
TOLD_APART: Final = "words_told_apart"
FDR: Final = 0.05
"""The false discovery rate of the list of words that are told apart."""


_SPACES: Final = {" ": "\u2423", "\n": "\u23ce", "\t": "\u21e5"}


def written_token(token: str) -> str:
    """A token with signs for its spaces, and the numbers of letters that cannot be seen.

    >>> written_token(" kind\\n"), written_token("\\u202e")
    ('␣kind⏎', '\\\\u202e')
    """
    return "".join(
        _SPACES.get(letter) or (letter if letter.isprintable() else f"\\u{ord(letter):04x}") for letter in token
    )
