"""A concept: a judge that says how much of something a text has."""

from fairl_bench import Judge, Truth, hookimpl


class Capitals(Judge):
    """The share of a text's letters that are capitals; 0 where it has none."""

    concept = "capitals"

    def judge(self, examples):
        return {"gold": Truth.numbers(share(text) for text in examples.text)}


def share(text):
    letters = [letter for letter in text if letter.isalpha()]
    return sum(map(str.isupper, letters)) / max(len(letters), 1)


@hookimpl
def fairl_judges(register):
    register("capitals", Capitals)
