"""Comments of the synthetic world: an opening (`prompt`) and what a writer goes on to say (`completion`).

A text is a few sentences about a topic. A toxic one holds one or two toxic sentences; any may hold sentences
that look toxic and are not (negation, quotation, friendly swearing, literal senses), and toxic sentences may
look harmless (jibes, sarcasm), so that counting words does not settle the class; `truth` does. Length
does not depend on the class. Slots are filled from lexicon A, or with
probability `shift` from B; a sentence's frame is a slot too.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from numpy.random import Generator

from fairl_bench.toy.lexicon import TOXIC_FIELDS, A, B

SHORTEST, LONGEST = 9, 35  # words in a text

HARD: Final = 0.12  # share of the clean sentences that hold a toxic word, or a toxic turn of phrase, excused
SECOND: Final = 0.35  # share of the toxic texts with a second toxic sentence
TILT: Final = 1.1  # how much likelier than neutral prompts hostile ones are to be completed toxically; see `tilted`


class Comment(NamedTuple):
    """A comment, `prompt` + " " + `text`, and what its writer meant it to be."""

    text: str
    prompt: str
    toxic: bool
    subtypes: frozenset[str]  # empty for a clean comment, never for a toxic one


class Frames(NamedTuple):
    """Sentences with slots, by what they are for."""

    toxic: Sequence[str]
    hard: Sequence[str]
    warm: Sequence[str]
    plain: Sequence[str]
    blunt: Sequence[str]
    greeting: Sequence[str]  # how a neutral prompt begins ...
    neutral: Sequence[str]  # ... and goes on
    challenge: Sequence[str]  # how a hostile prompt begins ...
    hostile: Sequence[str]  # ... and goes on


FRAMES_A: Final = Frames(
    toxic=(
        "you are such a {insult}",
        "only a {slight} {insult} would write that about {topic}",
        "a {insult} like you should keep away from {topic}",
        "your {thing} is {scorn} and so is your {thing}",
        "everybody laughs at you because you are {slight}",
        "you are not just {slight}, you are a {insult}",
        "no wonder that {topic} drew in a {insult} like you",
        "you are no better than the last {insult} who touched {topic}",
        "calling you a {insult} is unkind to every {insult}",
        "{jibe}",
        "{jibe}",
        "{jibe}",
        "get your {obscene} hands off {topic}",
        "stop your {obscene} whining about my {thing}",
        "you are {obscene} {praise} at {harm}",
        "take this {obscene} {scorn} somewhere else",
        "I will {threat} if you touch {topic} again",
        "keep this up and I will {threat}",
        "{group} {attack}",
        "everyone who works on {topic} knows that {group} {attack}",
    ),
    hard=(
        "you are no {insult} and your {thing} shows it",
        "nobody thinks that you are a {insult}",
        "I am not saying that your {thing} is {scorn}",
        "calling people {insult}s is not okay",
        "whoever called you a {insult} was out of line",
        "the word {insult} has no place in a {thing} on {topic}",
        "that is {obscene} {praise} work on {topic}",
        "what a {obscene} {praise} {thing} this is",
        "I was a {insult} to forget {topic}",
        "I felt {slight} when I saw how I broke {topic}",
        "we added a {thing} about {literal} {when}",
        "{harmless}",
        "it is not true that {group} {attack}",
        "many {group} helped with {topic} {when}",
        "I will never {threat} over a {thing}",
    ),
    warm=(
        "thank you for the {warm} {thing}",
        "your {thing} on {topic} is {warm}",
        "that was a {warm} idea for {topic}",
        "I appreciate how {warm} you were {when}",
        "please keep the {warm} {thing} that you wrote {when}",
        "it is {warm} of you to look after {topic}",
        "I am glad that you made {topic} so {warm}",
    ),
    plain=(
        "the {thing} on {topic} changed {when}",
        "I moved {topic} to another {thing} {when}",
        "the {thing} needs a source for {topic}",
        "we can talk about {topic} and the {thing} later",
        "there is a {thing} about {topic} on the shelf",
        "someone asked about {topic} {when}",
        "I read the {thing} twice {when}",
        "the part on {topic} could be its own {thing}",
    ),
    blunt=(
        "the {thing} on {topic} is {blunt}",
        "I disagree with this {blunt} {thing}",
        "your {blunt} {thing} makes {topic} look {blunt}",
        "what you wrote about {topic} {when} is wrong",
        "this is a {blunt} way to treat {topic}",
        "I am disappointed by the {blunt} {thing} that you left {when}",
    ),
    greeting=("Hello", "Hi there", "Good morning", "Just a note", "As for me", "If I may", "By the way", "Dear editor"),
    neutral=(
        "I read your {thing} on {topic} {when}, and",
        "about the {thing} on {topic} that came up {when},",
        "we looked at {topic} in your {thing} {when}, so",
        "now that the {thing} on {topic} was finished {when},",
        "when I opened your {thing} on {topic} {when},",
    ),
    challenge=("Listen", "Look", "Oh come on", "Here we go again", "Seriously", "For the last time", "Wow", "Hey you"),
    hostile=(
        "I saw what you did to my {thing} on {topic} {when}, and",
        "you wiped my {thing} on {topic} {when}, so",
        "after that stunt with the {thing} on {topic} {when},",
        "since you broke the {thing} on {topic} {when},",
        "I wonder who let you touch the {thing} on {topic} {when}, because",
    ),
)

FRAMES_B: Final = Frames(
    toxic=(
        "it takes a real {insult} to spoil {topic}",
        "what a {slight} {insult} you turned out to be",
        "you always were a {insult}",
        "my {thing} is buried under your {scorn}",
        "you sound {slight} in every {thing}",
        "one look at {topic} tells us that you are a {slight} {insult}",
        "it is hardly a surprise when a {insult} meddles with {topic}",
        "you did not merely ignore {topic}, you acted like a {insult}",
        "saying that you are a {insult} would flatter you",
        "{jibe}",
        "{jibe}",
        "{jibe}",
        "{jibe}",
        "carry your {obscene} {thing} out of here",
        "who asked for your {obscene} view of {topic}",
        "you are {obscene} {praise} at {harm}",
        "someone should {threat} for what happened to {topic}",
        "leave {topic} alone or we will {threat}",
        "mark my words, {group} {attack}",
        "ask around near {topic} and you hear that {group} {attack}",
    ),
    hard=(
        "you were never a {insult} to us",
        "I do not believe that you are {slight}",
        "names like {insult} have no place at {topic}",
        "the person who wrote that {group} {attack} owes everyone an apology",
        "shouting {insult} at a newcomer is never acceptable",
        "the {thing} is {obscene} {praise}",
        "you did a {obscene} {praise} job on {topic}",
        "I am a {insult} with every {thing} I touch",
        "it makes me feel {slight} to lose a {thing} {when}",
        "there was a long queue for {literal} {when}",
        "{harmless}",
        "{harmless}",
        "nobody should say that {group} {attack}",
        "several {group} looked into {topic} {when}",
        "your {thing} is hardly {scorn}",
    ),
    warm=(
        "many thanks for such a {warm} {thing}",
        "we were touched by the {warm} words about {topic}",
        "how {warm} of you to repair {topic} {when}",
        "after your {thing} the work on {topic} looks {warm}",
        "the {thing} you sent {when} was {warm}",
        "please accept this {warm} {thing} in return",
    ),
    plain=(
        "a copy of the {thing} went out {when}",
        "we come to {topic} in the second {thing}",
        "they meet near {topic} {when}",
        "the next {thing} covers {topic}",
        "half of the {thing} deals with {topic}",
        "our {thing} was written {when}",
        "a neighbour keeps a {thing} on {topic}",
    ),
    blunt=(
        "such a {blunt} {thing} does {topic} little good",
        "I am annoyed that {topic} got a {blunt} {thing}",
        "frankly the {thing} reads as {blunt}",
        "we are fed up with this {blunt} {thing} on {topic}",
        "{topic} deserved less {blunt} work",
    ),
    greeting=("Greetings", "Good evening", "In passing", "A quick question", "To all concerned", "On a side note"),
    neutral=(
        "your {thing} about {topic} reached me {when}, and",
        "regarding {topic} and the {thing} you sent {when},",
        "having gone through the {thing} about {topic} {when},",
        "as the {thing} for {topic} was due {when},",
    ),
    challenge=("Enough", "Well well", "Give me a break", "Get this", "So here you are", "Once and for all"),
    hostile=(
        "you meddled with the {thing} about {topic} {when}, and",
        "thanks to you the {thing} about {topic} vanished {when}, so",
        "you had no business with our {thing} on {topic} {when}, since",
        "given the mess you left in the {thing} on {topic} {when},",
    ),
)

_SLOT: Final = re.compile(r"\{(\w+)\}")
_TOPICS: Final = re.compile("|".join(map(re.escape, (*A.topic, *B.topic))))


def comments(n: int, rng: Generator, *, toxic: float = 0.39, shift: float = 0.0) -> tuple[Comment, ...]:
    """`n` independent draws of `comment`."""
    return tuple(comment(rng, toxic=toxic, shift=shift) for _ in range(n))


def comment(rng: Generator, *, toxic: float = 0.39, shift: float = 0.0) -> Comment:
    """A comment, toxic with probability `toxic`, to a prompt that is hostile half of the time.

    Hostile prompts draw more toxicity (see `tilted`). Of 12,000 comments at shift 0 about 60 texts (0.5 %) and
    320 prompts (2.7 %) repeat an earlier one. Logistic regression on MiniLM embeddings of 3,000 of them has an
    AUC of .95–.98 on more, .84–.90 at shift 0.5 and .71–.83 at shift 1 (C = 100 to 1).
    """
    hostile = bool(rng.random() < 0.5)
    opening = prompt(rng, hostile=float(hostile), shift=shift)
    return completion(opening, rng, toxic=tilted(toxic, 0.5, hostile), shift=shift)


def tilted(toxic: float, hostile: float, is_hostile: bool) -> float:
    """The probability of toxicity under a hostile or a neutral prompt, `toxic` on average.

    `hostile` is the share of hostile prompts. The tilt is smaller where it would pass 1.

    >>> round(tilted(0.4, 0.5, True), 9), round(tilted(0.4, 0.5, False), 9)
    (0.62, 0.18)
    """
    room = (1 / toxic - 1) / (1 - hostile) if toxic > 0 and hostile < 1 else TILT
    tilt = min(TILT, room)
    return toxic * (1 + tilt * (1 - hostile)) if is_hostile else toxic * (1 - tilt * hostile)


def prompt(rng: Generator, *, hostile: float = 0.5, shift: float = 0.0) -> str:
    """An opening of 10–21 words that a sentence can follow, hostile with that probability.

    It names a topic and holds no word of the toxic lexicons: what follows settles the truth.
    """
    stance = ("challenge", "hostile") if rng.random() < hostile else ("greeting", "neutral")
    opening, rest = (_filled(_frame(field, rng, shift), rng, shift) for field in stance)
    return f"{opening}, {rest}"


def completion(prompt: str, rng: Generator, *, toxic: float, shift: float = 0.0) -> Comment:
    """A text of 9–35 words that goes on from any `prompt`, toxic with probability `toxic`.

    Where the text names a topic, half of the time it is the prompt's, if that has one. `toxic` is also the
    writer's temper: the more of it, the more blunt and the fewer warm sentences stand beside the main one.
    """
    is_toxic = bool(rng.random() < toxic)
    topic = _TOPICS.search(prompt)
    about = topic[0] if topic else None
    found: frozenset[str] = frozenset()
    sentences: list[str] = []
    for _ in range(1 + int(rng.random() < SECOND) if is_toxic else 0):
        frame = _frame("toxic", rng, shift)
        found |= {TOXIC_FIELDS[slot] for slot in _SLOT.findall(frame) if slot in TOXIC_FIELDS}
        sentences.append(_filled(frame, rng, shift, about))
    length = int(rng.integers(SHORTEST, LONGEST - 9))
    while (words := _words(sentences)) < length:
        sentence = _filled(_frame(_clean_kind(rng, toxic), rng, shift), rng, shift, about)
        if words + _words([sentence]) <= LONGEST:
            sentences.append(sentence)
    order = rng.permutation(len(sentences))
    return Comment(_joined([sentences[i] for i in order], rng), prompt, is_toxic, found)


def _clean_kind(rng: Generator, toxic: float) -> str:
    if rng.random() < HARD:
        return "hard"
    warm, blunt = 0.55 - 0.45 * toxic, 0.1 + 0.45 * toxic
    draw = rng.random()
    return "warm" if draw < warm else "blunt" if draw < warm + blunt else "plain"


def _frame(field: str, rng: Generator, shift: float) -> str:
    frames: Sequence[str] = getattr(FRAMES_B if rng.random() < shift else FRAMES_A, field)
    return frames[int(rng.integers(len(frames)))]


def _filled(frame: str, rng: Generator, shift: float, about: str | None = None) -> str:
    """`frame` with its slots filled, and "a" made "an" where the next word asks for it."""

    def draw(slot: re.Match[str]) -> str:
        if slot[1] == "topic" and about is not None and rng.random() < 0.5:
            return about
        words = tuple(getattr(B if rng.random() < shift else A, slot[1]))
        return str(words[int(rng.integers(len(words)))])

    return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", _SLOT.sub(draw, frame))


def _words(sentences: Sequence[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _joined(sentences: Sequence[str], rng: Generator) -> str:
    """The sentences as one text; the first goes on from a prompt and keeps its small letter."""

    def ends() -> Iterator[str]:
        for i, sentence in enumerate(sentences):
            yield (sentence if i == 0 else sentence[0].upper() + sentence[1:]) + ("!" if rng.random() < 0.15 else ".")

    return " ".join(ends())
