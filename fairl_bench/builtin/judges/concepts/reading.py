"""The words and the sentences of a text, as all concepts count them.

Every pattern here takes time in proportion to the text, whatever stands in it.
"""

from __future__ import annotations

import re
import unicodedata

import regex

_LETTERS = r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*+"
_WORD = regex.compile(rf"{_LETTERS}(?:'{_LETTERS})*+")
_APOSTROPHES = str.maketrans("\u2019\u02bc\uff07", "'''")
_LONGEST = 64  # characters of a word that is normalised: of a long run of accents that would take its length squared
_CLOSING = "\"')]}\u2019\u201d\u00bb*_"  # what may stand between the end of a sentence and the next one
_WIDE = r"[\u3002\uff01\uff1f]"  # ends of sentences in scripts that put no space behind them
_BETWEEN = re.compile(rf"(?<=[.!?\u2026])[{re.escape(_CLOSING)}]*\s+|(?<={_WIDE})(?!{_WIDE})|[\r\n]+")


def words_of(text: str) -> list[str]:
    """Return the words in lower case: runs of letters and digits, with the apostrophes inside them.

    A hyphen, an underscore and a star end a word.

    >>> words_of("It's a well-known WORD, isn\\u2019t it?")
    ["it's", 'a', 'well', 'known', 'word', "isn't", 'it']
    """
    if not text.isascii():
        text = text.translate(_APOSTROPHES)
    found: list[str] = _WORD.findall(text.casefold())
    return [word if word.isascii() else _normalised(word) for word in found]


def _normalised(word: str) -> str:
    """Return the word with every letter and its accents as one character, where there is one."""
    return unicodedata.normalize("NFC", word) if len(word) <= _LONGEST else word


def sentences_of(text: str) -> list[str]:
    """Return the sentences, each with the marks that end it; a line ends a sentence too.

    An abbreviation with a point, such as ``Mr.``, is taken for an end.

    >>> sentences_of('Is it so? He said "No!" Then 3.5 more')
    ['Is it so?', 'He said "No!', 'Then 3.5 more']
    """
    return [piece for part in _BETWEEN.split(text) if (piece := part.strip())]


def ending(sentence: str) -> str:
    """Return the marks that end a sentence, without quotation marks and brackets around them.

    >>> ending('"Really?!"')
    '?!'
    """
    bare = sentence.rstrip(_CLOSING)
    return bare[len(bare.rstrip(_ENDS)) :]


_ENDS = ".!?\u2026\u3002\uff01\uff1f\u061f"
