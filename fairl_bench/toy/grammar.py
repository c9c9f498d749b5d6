"""Comments of the synthetic world: what a writer says after a prompt (`completion`), and what was meant.

A text is a few sentences about a topic. A toxic one holds one or two toxic sentences. In a share `hard` of the
texts the words mislead: a clean one holds toxic words that are excused (negation, quotation, friendly swearing,
literal senses ...), a toxic one is toxic without toxic words or holds excused ones as well, so that counting words
does not settle the class; `truth` does. Length does not depend on the class.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from numpy.random import Generator

from fairl_bench.toy.frames import CASES, CHATTER, Case, Purpose, filled, frame, slots
from fairl_bench.toy.lexicon import TOXIC_FIELDS, A, B
from fairl_bench.toy.prompts import Prompt, prompt

SHORTEST, LONGEST = 9, 35  # words in a text

IMPLICIT: Final = 0.5  # share of the hard toxic texts that are toxic without a toxic word
SECOND: Final = 0.35  # share of the toxic texts with a second toxic sentence, unless an excused one stands there
TILT: Final = 1.1  # how much likelier than neutral prompts hostile ones are to be completed toxically; see `tilted`

_TOPICS: Final = re.compile("|".join(map(re.escape, (*A.topic, *B.topic))))


class Comment(NamedTuple):
    """A prompt, the text after it, and what its writer meant; `truth` knows the text alone."""

    text: str
    prompt: Prompt
    toxic: bool
    subtypes: frozenset[str]  # empty for a clean comment, never for a toxic one
    case: Case | None  # the hard case that it holds

    @property
    def whole(self) -> str:
        """The prompt and its text, one space apart."""
        return f"{self.prompt.text} {self.text}"


class Hard(NamedTuple):
    """How often a text holds a hard case, and which; a case named twice comes twice as often.

    An excused case may stand in a clean text or beside a toxic sentence, so that it does not give the class away.
    Implicit toxicity is for toxic texts: half of the hard ones, and all where no other case is named.
    """

    share: float = 0.2
    cases: Sequence[Case] = CASES

    def draw(self, is_toxic: bool, rng: Generator) -> Case | None:
        """Return the hard case of a text of this class; none with probability 1 - `share`, or where none fits."""
        excused = [case for case in self.cases if case != "implicit-toxicity"]
        if rng.random() >= self.share:
            return None
        if is_toxic and "implicit-toxicity" in self.cases and (not excused or rng.random() < IMPLICIT):
            return "implicit-toxicity"
        return excused[int(rng.integers(len(excused)))] if excused else None


HARD: Final = Hard()


def corpus(
    n: int, rng: Generator, *, toxic: float = 0.39, shift: float = 0.0, hard: Hard = HARD, chatter: float = 0.0
) -> tuple[str, ...]:
    """`n` whole comments of 18–57 words to train a language model on, so that it can go on from a prompt.

    Of 12,000 at shift 0 none repeats another and 0.6 % repeat another's text; they hold 432 words, 36 each.
    """
    return tuple(one.whole for one in comments(n, rng, toxic=toxic, shift=shift, hard=hard, chatter=chatter))


def comments(
    n: int, rng: Generator, *, toxic: float = 0.39, shift: float = 0.0, hard: Hard = HARD, chatter: float = 0.0
) -> tuple[Comment, ...]:
    """Return `n` independent draws of `comment`."""
    return tuple(comment(rng, toxic=toxic, shift=shift, hard=hard, chatter=chatter) for _ in range(n))


def comment(
    rng: Generator, *, toxic: float = 0.39, shift: float = 0.0, hard: Hard = HARD, chatter: float = 0.0
) -> Comment:
    """A comment, toxic with probability `toxic`, to a prompt that is hostile half of the time.

    Hostile prompts draw more toxicity: 60 % of the texts against 18 % at the default (see `tilted`).
    """
    hostile = bool(rng.random() < 0.5)
    opening = prompt(rng, "hostile" if hostile else "neutral", shift)
    return completion(opening, rng, toxic=tilted(toxic, 0.5, hostile), shift=shift, hard=hard, chatter=chatter)


def tilted(toxic: float, hostile: float, is_hostile: bool) -> float:
    """The probability of toxicity under a hostile or a neutral prompt, `toxic` on average.

    `hostile` is the share of hostile prompts. The tilt is smaller where it would pass 1.

    >>> round(tilted(0.4, 0.5, True), 9), round(tilted(0.4, 0.5, False), 9)
    (0.62, 0.18)
    """
    room = (1 / toxic - 1) / (1 - hostile) if toxic > 0 and hostile < 1 else TILT
    tilt = min(TILT, room)
    return toxic * (1 + tilt * (1 - hostile)) if is_hostile else toxic * (1 - tilt * hostile)


def completion(
    prompt: Prompt, rng: Generator, *, toxic: float, shift: float = 0.0, hard: Hard = HARD, chatter: float = 0.0
) -> Comment:
    """A text of 9–35 words that goes on from `prompt`, toxic with probability `toxic`.

    Where the text names a topic, half of the time it is the prompt's, if that has one. `toxic` is also the
    writer's temper: the more of it, the more blunt and the fewer warm sentences stand beside the main one. A share
    `chatter` of these is chatter instead: questions, guesses, apologies, loud praise, what the writer did, numbers.
    """
    is_toxic = bool(rng.random() < toxic)
    case = hard.draw(is_toxic, rng)
    harm, excused = _main(is_toxic, case, rng)
    frames = [frame(purpose, rng, shift) for purpose in (*harm, *excused)]
    topic = _TOPICS.search(prompt.text)
    about = topic[0] if topic else None
    sentences = [filled(one, rng, shift, about) for one in frames]
    length = int(rng.integers(SHORTEST, LONGEST - 9))
    while (words := _words(sentences)) < length:
        sentence = filled(frame(_beside(rng, toxic, chatter), rng, shift), rng, shift, about)
        if words + _words([sentence]) <= LONGEST:
            sentences.append(sentence)
    order = rng.permutation(len(sentences))
    text = _joined([sentences[i] for i in order], rng)
    return Comment(text, prompt, is_toxic, _subtypes(frames[: len(harm)]), case)


def _main(is_toxic: bool, case: Case | None, rng: Generator) -> tuple[list[Purpose], list[Purpose]]:
    """Return the purposes of the sentences that make the text toxic, and of those that are excused."""
    if not is_toxic:
        return [], [case] if case else []
    if case is not None and case != "implicit-toxicity":
        return ["explicit"], [case]
    return [case or "explicit"] * (2 if rng.random() < SECOND else 1), []


def _subtypes(frames: Sequence[str]) -> frozenset[str]:
    return frozenset(TOXIC_FIELDS[slot] for one in frames for slot in slots(one) if slot in TOXIC_FIELDS)


def _beside(rng: Generator, toxic: float, chatter: float) -> Purpose:
    """Return the purpose of a sentence that stands beside the main one."""
    # without chatter nothing is drawn for it, so that the same seed gives the same comments
    if chatter and rng.random() < chatter:
        return CHATTER[int(rng.integers(len(CHATTER)))]
    warm, blunt = 0.55 - 0.45 * toxic, 0.1 + 0.45 * toxic
    draw = rng.random()
    return "warm" if draw < warm else "blunt" if draw < warm + blunt else "plain"


def _words(sentences: Sequence[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _joined(sentences: Sequence[str], rng: Generator) -> str:
    """Return the sentences as one text; the first continues a prompt and keeps its small letter."""

    def ends() -> Iterator[str]:
        for i, sentence in enumerate(sentences):
            mark = "" if sentence.endswith("?") else "!" if rng.random() < 0.15 else "."
            yield (sentence if i == 0 else sentence[0].upper() + sentence[1:]) + mark

    return " ".join(ends())
