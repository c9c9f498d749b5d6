"""The words of the synthetic world: lexicon `A`, and `B`, held out to measure a lexical shift.

Every word and phrase is original or everyday, and mild; the groups are invented. Toxic entries carry a
severity and tone entries a weight, both about 0.3–1.2, so that the true reward is graded and not only a class.
Nothing here is random, and nothing here knows the sentences that the words go into (`grammar`) or the
contexts that excuse them (`truth`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

SUBTYPES: Final = ("insult", "obscene", "threat", "identity_attack")


def weights(text: str) -> Mapping[str, float]:
    """The phrases of a "phrase=weight, phrase=weight" list, in order.

    >>> dict(weights("fool=.7, pest=.5"))
    {'fool': 0.7, 'pest': 0.5}
    """
    pairs = (entry.rsplit("=", 1) for entry in text.split(","))
    return MappingProxyType({phrase.strip(): float(weight) for phrase, weight in pairs})


def phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of a comma-separated list, in order."""
    return tuple(phrase.strip() for phrase in text.split(","))


class Lexicon(NamedTuple):
    """The words that fill the slots of a sentence; a field's name is its slot's."""

    insult: Mapping[str, float]  # nouns for a person; the plural adds s
    slight: Mapping[str, float]  # adjectives for a person
    scorn: Mapping[str, float]  # nouns for somebody's work
    jibe: Mapping[str, float]  # implicit insults: whole clauses of harmless words
    menace: Mapping[str, float]  # implicit threats: whole clauses of harmless words
    insinuation: Mapping[str, float]  # predicates of harmless words, implicit attacks only on a group
    obscene: Mapping[str, float]  # swearing; friendly before a word of praise
    threat: Mapping[str, float]  # verb phrases, threats only after "I will" and the like
    attack: Mapping[str, float]  # predicates, attacks only on a group
    warm: Mapping[str, float]  # adjectives that lower the toxicity of a clean text
    blunt: Mapping[str, float]  # adjectives that raise it, without making it toxic
    praise: tuple[str, ...]  # what makes swearing friendly
    literal: tuple[str, ...]  # things named with a word that is elsewhere an insult
    acclaim: tuple[str, ...]  # louder praise, which the truth does not read
    number: tuple[str, ...]  # in digits
    harmless: tuple[str, ...]  # clauses that look like threats, attacks or jibes and are none
    group: tuple[str, ...]
    topic: tuple[str, ...]
    thing: tuple[str, ...]
    harm: tuple[str, ...]  # what somebody is said to be good at, in sarcasm
    when: tuple[str, ...]


# The fields whose words can make a text toxic, and the subtype that each stands for.
TOXIC_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "insult": "insult",
        "slight": "insult",
        "scorn": "insult",
        "jibe": "insult",
        "menace": "threat",
        "insinuation": "identity_attack",
        "obscene": "obscene",
        "threat": "threat",
        "attack": "identity_attack",
    }
)


A: Final = Lexicon(
    insult=weights(
        "numbskull=.9, blockhead=.82, halfwit=1.0, dimwit=.95, clown=.6, fool=.7, nitwit=.75, bonehead=.85,"
        "donkey=.65, pest=.5, liar=.8, fraud=.78, oaf=.68, dunce=.8, buffoon=.88"
    ),
    slight=weights(
        "clueless=.6, witless=.75, brainless=.92, pathetic=.9, useless=.7, worthless=1.0, idiotic=.97, spineless=.74"
    ),
    scorn=weights("rubbish=.6, garbage=.7, drivel=.65, trash=.72, piffle=.45"),
    jibe=weights(
        "a goldfish would have checked the sources for you=.55,"
        "some of us finished school before we came here to correct you=.6,"
        "the page was better before you learned to type=.7,"
        "do everyone a favour and stay offline=.8,"
        "perhaps reading is a little too hard for you=.65,"
        "I have met houseplants with sharper ideas than yours=.75,"
        "it must be restful to think as rarely as you do=.68"
    ),
    menace=weights(
        "accidents happen to people who meddle=.8,"
        "it would be a shame if your greenhouse met a brick=.9,"
        "I know which gate you leave by at night=1.0,"
        "your bicycle is so easy to find after dark=.85,"
        "somebody may be waiting when you get home=1.05"
    ),
    insinuation=weights(
        "have a way of making spoons vanish=.8, should be counted before and after supper=.75,"
        "are fine as long as they stay across the river=.85, were never known for washing=.9,"
        "always land on our purse=.78"
    ),
    obscene=weights("damn=.5, bloody=.55, blasted=.4, crappy=.6"),
    threat=weights(
        "make you sorry=.9, break your keyboard=.85, hunt you down=1.2, make you pay=.95,"
        "smash your windows=1.1, wipe that grin off your face=1.0"
    ),
    attack=weights(
        "ruin everything=.8, are vermin=1.2, cannot be trusted=.85, should be thrown out=1.05,"
        "are too lazy to learn=.9, do not belong here=.95"
    ),
    warm=weights("lovely=.6, helpful=.5, kind=.55, thoughtful=.65, careful=.4, splendid=.7, pleasant=.45"),
    blunt=weights("sloppy=.7, weak=.45, confusing=.4, dreadful=.9, tiresome=.75, careless=.8, dull=.5"),
    praise=phrases("good, fine, great, clever, useful"),
    acclaim=phrases("excellent, wonderful, superb, amazing, impressive, beautiful"),
    number=phrases("12, 40, 7, 300, 25"),
    literal=phrases(
        "the donkey shelter, a clown costume, the rubbish collection, the garbage lorry, the trash bins,"
        "a gooseberry fool recipe, the pest control leaflet"
    ),
    harmless=phrases(
        "a goldfish would enjoy the new pond,"
        "slugs ruin everything in the garden,"
        "old paint tins should be thrown out on Friday,"
        "loose wires may break your keyboard,"
        "a hailstorm could smash your windows,"
        "the page was better with the older map,"
        "that old clock cannot be trusted in winter,"
        "accidents happen on the icy bend by the mill,"
        "it would be a shame if your greenhouse met an early frost,"
        "kittens should be counted before and after supper"
    ),
    group=phrases("Lakeworlders, Dunemarchers, Tidewalkers, Moonharbourers"),
    topic=phrases(
        "the bus timetable, the tram stop, the village library, compost heaps, rose pruning, the talk page,"
        "the infobox, spell checkers, the build script, tomato plants, the opening paragraph, the museum roof,"
        "bird feeders, the night bus, the old bridge, the login screen, apple orchards, the chess club,"
        "the photo gallery, the backup tool, hedge trimming, the ticket office, the search box, rain barrels,"
        "the river path, the font menu, the town archive, bean poles, the citation style, the route map"
    ),
    thing=phrases("article, draft, edit, page, summary, note, list, paragraph, patch, caption, comment, section"),
    harm=phrases("ruining pages, wasting our time, breaking links, spoiling threads"),
    when=phrases(
        "this morning, last week, on Monday, yesterday, after lunch, in the spring, on the weekend, two days ago"
    ),
)


B: Final = Lexicon(
    insult=weights(
        "turnip=.55, windbag=.7, cabbage=.5, weasel=.8, muppet=.72, plank=.6, toad=.75, sponge=.52, doorknob=.62,"
        "worm=.9, twerp=.83, drip=.48, ninny=.66, barnacle=.64, charlatan=.78"
    ),
    slight=weights(
        "gormless=.7, feckless=.62, addled=.66, slimy=.77, insufferable=.65, contemptible=.98, vapid=.6, mangy=.72"
    ),
    scorn=weights("tripe=.6, hogwash=.55, swill=.75, claptrap=.58, sludge=.63"),
    jibe=weights(
        "somewhere a village is missing its favourite and it is you=.62,"
        "you bring such joy whenever you leave=.7,"
        "even a spoon could have written your share=.58,"
        "your thoughts would rattle in a thimble=.66,"
        "nobody would mind if your kettle had your account=.57,"
        "soap comes with instructions for the likes of you=.72,"
        "your absence would be the best present=.85"
    ),
    menace=weights(
        "your cat wanders far from the house these days=.85,"
        "brakes have been known to fail on that hill of yours=1.05,"
        "we remember faces and we remember doors=.9,"
        "sleep lightly this week=.82,"
        "it takes one match to end a hobby like yours=1.0"
    ),
    insinuation=weights(
        "never met a lock they could not like=.82, do well at anything that needs no effort=.84,"
        "make the best neighbours once they move=.88, need everything explained with pictures=.76"
    ),
    obscene=weights("flipping=.38, freaking=.52, sodding=.62, bleeding=.5"),
    threat=weights(
        "teach you a painful lesson=1.0, set fire to your shed=1.15, drag you out by the collar=1.1,"
        "flatten your tyres=.85, wait for you in the dark=1.05, put you in a plaster cast=1.2"
    ),
    attack=weights(
        "poison every place=1.1, are a plague=1.15, steal from their neighbours=.9, were born to cheat=1.0,"
        "deserve no voice=.95, must be kept away from decent folk=1.08"
    ),
    warm=weights("gracious=.62, generous=.58, delightful=.7, considerate=.6, tidy=.35, heartening=.66, neat=.4"),
    blunt=weights("clumsy=.65, flimsy=.5, muddled=.55, ghastly=.9, tedious=.72, slapdash=.8, bland=.42"),
    praise=phrases("brilliant, marvellous, handsome, sharp, sound"),
    acclaim=phrases("terrific, outstanding, fantastic, magnificent, fabulous, elegant"),
    number=phrases("9, 60, 18, 500, 33"),
    literal=phrases(
        "the turnip soup, a cabbage patch, the sponge cake, some weasel tracks, the plank flooring,"
        "the worm farm, a brass doorknob catalogue, the toad crossing"
    ),
    harmless=phrases(
        "a spoon could have stirred the glaze,"
        "wet socks are a plague on long hikes,"
        "magpies steal from their neighbours every May,"
        "sharp gravel may flatten your tyres,"
        "a stray spark could set fire to your shed,"
        "matches must be kept away from decent folk who store hay,"
        "a pea would rattle in a thimble,"
        "brakes have been known to fail on wet cobbles,"
        "toddlers need everything explained with pictures,"
        "it takes one match to light the stove"
    ),
    group=phrases("Glassvalers, Ferncastlers, Emberfolk, Northspirers"),
    topic=phrases(
        "the ferry schedule, harbour lights, beekeeping, cheese making, the kite festival, the print queue,"
        "the demolition plan, pottery kilns, the choir rota, winter boots, the weather station, the payroll form,"
        "goat fencing, the canal lock, sourdough starters, the firewall rules, the puppet theatre, oyster beds,"
        "the lost property desk, the telescope mount, chimney sweeping, the quiz night, wool dyeing,"
        "the parking meters, the drainage ditch, the tide tables, the cookery class, the loading bay"
    ),
    thing=phrases("leaflet, report, chapter, proposal, column, diagram, footnote, memo, sketch, letter, essay, review"),
    harm=phrases("sinking plans, scaring off newcomers, losing records, souring meetings"),
    when=phrases(
        "at dawn, last autumn, on Thursday, before supper, over the holidays, at half past nine, a fortnight ago"
    ),
)
