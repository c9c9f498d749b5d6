"""Rows of a prompt with several ranked or rated answers, and rows of one rated answer each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.sources.layouts.compared import Answer, Answered, pairs_of_answers, quality
from fairl_bench.builtin.sources.layouts.layout import SUBTYPES, LaidOut, Layout, Reading, Sample, at
from fairl_bench.builtin.sources.layouts.messages import prompt_text
from fairl_bench.errors import DataError
from fairl_bench.textfiles import brief

_LISTS = ("answers", "completions", "responses", "outputs", "candidates")
_TEXTS = ("answer", "response", "completion", "output", "text", "content")
_SCORES = ("overall_score", "helpfulness", "score", "rating", "reward", "quality")
_QUALITY = "how good an answer is, such as 'score' or 'rank'"


def _qualities(sample: Sample, named: Mapping[str, str]) -> dict[str, str]:
    """Return the column that says how good an answer is: a rank, or a score."""
    if {"rank", "score"} & named.keys():
        return {}
    if rank := sample.first(("rank",), int, float, str):
        return {"rank": rank}
    score = sample.first(_SCORES, int, float, str)
    return {"score": score} if score else {}


def _lacks(roles: Mapping[str, str], needed: Mapping[str, str]) -> list[str]:
    missing = [what for role, what in needed.items() if role not in roles]
    return missing if {"rank", "score"} & roles.keys() else [*missing, _QUALITY]


class Answers(Layout):
    """A prompt, and a list of its answers with the rank or the score of each (Nectar, UltraFeedback)."""

    name = "answers"
    roles = frozenset({"answers", "answer", "score", "rank", "prompt"})
    settings = frozenset({"compare"})

    def find(self, sample: Sample, named: Mapping[str, str]) -> dict[str, str]:
        """Return the column of the list, and what its entries call a text and a rank or a score."""
        lists = (named["answers"],) if "answers" in named else _LISTS
        column = next((name for name in lists if _entries(sample, name).rows), None)
        if column is None:
            return {}
        within = _entries(sample, column)
        text = within.first(_TEXTS, str)
        return {"answers": column, **({"answer": text} if text else {}), **_qualities(within, named)}

    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return what is missing of the list and of its entries."""
        needed = {"answers": "a list of answers, such as 'completions'"}
        if "answers" in roles:
            needed["answer"] = f"the text within {roles['answers']!r}, such as 'response'"
        return _lacks(roles, needed)

    def subtype(self, sample: Sample, roles: Mapping[str, str]) -> str | None:
        """Return the column of subtypes in the entries, else in the rows."""
        return _entries(sample, roles.get("answers", "")).first(SUBTYPES, str, dict) or super().subtype(sample, roles)

    def pairs(self, rows: Sequence[Row], how: Reading) -> LaidOut:
        """Return the pairs of each row's answers."""
        return pairs_of_answers([self._answered(row, how) for row in rows], how)

    def _answered(self, row: Row, how: Reading) -> Answered:
        column = how.roles["answers"]
        value = row.value(column)
        if not isinstance(value, list | tuple) or not all(isinstance(one, Mapping) for one in value):
            raise DataError(f"{row.place}: column {column!r} needs a list of answers, got {brief(value)}")
        answers = []
        for number, entry in enumerate(value):
            within = Row(f"{row.place}, {column} {number}", dict(entry), row.texts)
            text = within.text(how.roles["answer"], empty=True)
            of_entry = how.subtype(within)
            answers.append(
                Answer(within, text, quality(within, how), how.subtype(row) if of_entry is None else of_entry)
            )
        return Answered(prompt_text(how.prompt(row), row), how.group(row), row, answers)


class AnswerRows(Layout):
    """One answer of a prompt in each row, with its rank or score (HelpSteer); rows of one prompt belong together."""

    name = "answer-rows"
    roles = frozenset({"answer", "score", "rank", "prompt"})
    settings = frozenset({"compare"})

    def find(self, sample: Sample, named: Mapping[str, str]) -> dict[str, str]:
        """Return the column of the answer, and that of its rank or score."""
        text = sample.first(_TEXTS, str)
        return {**({"answer": text} if text else {}), **_qualities(sample, named)}

    def lacks(self, roles: Mapping[str, str]) -> list[str]:
        """Return what is missing of prompt, answer, and rank or score."""
        needed = {"prompt": "the prompt, such as 'prompt'", "answer": "an answer's text, such as 'response'"}
        return _lacks(roles, needed)

    def pairs(self, rows: Sequence[Row], how: Reading) -> LaidOut:
        """Return the pairs of the answers of each prompt."""
        prompts: dict[str, Answered] = {}
        for row in rows:
            prompt = prompt_text(how.prompt(row), row)
            # without a prompt an answer is alone
            one = prompts.setdefault(prompt or row.place, Answered(prompt, how.group(row), row, []))
            text = row.text(how.roles["answer"], empty=True)
            one.answers.append(Answer(row, text, quality(row, how), how.subtype(row)))
        return pairs_of_answers(list(prompts.values()), how)


def _entries(sample: Sample, column: str) -> Sample:
    """Return the entries of the lists in a column; none where they are no objects."""
    values: list[Any] = [at(row.values, column) for row in sample.rows]
    lists = [value for value in values if isinstance(value, list | tuple)]
    return Sample([Row("", dict(entry)) for value in lists for entry in value if isinstance(entry, Mapping)])
