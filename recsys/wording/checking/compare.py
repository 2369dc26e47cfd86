"""Names, numbers, bounds and words of a wording against those of its message."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from recsys.wording.checking.lexicon import fold, stem
from recsys.wording.checking.problems import Problem, ProblemKind
from recsys.wording.checking.quantities import same_date

if TYPE_CHECKING:
    from recsys.wording.checking.reading import Item, Reading
    from recsys.wording.checking.source import Source

NUMBERS = ("date", "time", "money", "percent", "nth", "number")
_KIND = {"date": ProblemKind.DATE, "time": ProblemKind.NUMBER, "money": ProblemKind.MONEY}
_POLITE = {"if", "pass"}  # classes that a wording may add
_COUNTED = {"out"}  # classes that a wording must have as often
_CLAIMS = {"less", "more", "always", "some", "stock", "out"}
_LITERAL_SHARE = 0.5  # of the words of a message without facts


def compare_names(reading: Reading, source: Source) -> list[Problem]:
    """Every name, link and order number must be there as it is."""
    found = {item.key for item in reading.of("name")}
    lost = [place for place in sorted(source.required) if place not in found]
    return [Problem(ProblemKind.LINK if place in source.links else ProblemKind.NAME, expected=source.names[place]) for place in lost]


def compare_numbers(reading: Reading, source: Source) -> list[Problem]:
    """Numbers with their units, prices with their currencies, and dates must be the same on both sides."""
    mine, theirs = reading.of(*NUMBERS), source.reading.of(*NUMBERS)
    folded = fold(reading.text)
    problems = []
    for item in mine:
        if not any(_equal(item, other) for other in theirs) and not _counts_subjects(item, source):
            problems.append(Problem(_KIND.get(item.kind, ProblemKind.NUMBER), found=item.shown))
    for other in theirs:
        if any(_equal(item, other) for item in mine):
            continue
        one = other.kind == "number" and other.key == (1, "") and _says_one(folded, source)
        if not one:
            problems.append(Problem(_KIND.get(other.kind, ProblemKind.NUMBER), expected=other.shown))
    return problems


def _equal(one: Item, other: Item) -> bool:
    if one.kind != other.kind:
        return False
    if one.kind == "date" and isinstance(one.key, tuple) and isinstance(other.key, tuple):
        return same_date(one.key, other.key)
    return one.key == other.key


def _counts_subjects(item: Item, source: Source) -> bool:
    """Return whether a number only counts what the message lists: "I found two products"."""
    subjects = len(set(source.subjects.values()))
    return item.kind == "number" and subjects > 1 and item.key == (subjects, "")


def _says_one(folded: str, source: Source) -> bool:
    edge = r"(?<!\w)(?:%s)(?!\w)" if source.lexicon.spaced else "(?:%s)"
    return bool(re.search(edge % "|".join(map(re.escape, source.lexicon.one)), folded))


def compare_bounds(reading: Reading, source: Source) -> list[Problem]:
    """Conditions, comparisons, and bounds of numbers must be the same."""
    mine, theirs = (Counter(str(item.key) for item in side.of("class")) for side in (reading, source.reading))
    problems = []
    for name in sorted(set(mine) | set(theirs)):
        kind = ProblemKind.CLAIM if name in _CLAIMS else ProblemKind.CONDITION
        if mine[name] and not theirs[name] and name not in _POLITE:
            problems.append(Problem(kind, found=_shown(reading, name)))
        elif theirs[name] and not mine[name]:
            if not _said_otherwise(name, reading, source):
                problems.append(Problem(kind, expected=_shown(source.reading, name)))
        elif name in _COUNTED and mine[name] != theirs[name]:
            problems.append(Problem(kind, found=f"{mine[name]} times {name}", expected=f"{theirs[name]} times"))
    return problems


def _shown(reading: Reading, name: str) -> str:
    return next(item.shown for item in reading.of("class") if item.key == name)


def _said_otherwise(name: str, reading: Reading, source: Source) -> bool:
    """Return whether single words of one meaning stand for a phrase: "ausgenommen", "hand ... over"."""
    items = [item for item in source.reading.of("class") if item.key == name]
    words = {stem(word, source.lexicon.language) for item in items for word in fold(item.shown).split()}
    said = reading.vocabulary
    return any(source.lexicon.same(word, said) for word in words if word in source.lexicon.groups)


def compare_words(reading: Reading, source: Source) -> list[Problem]:
    """Words that say something must be supported, and the words of facts must still be there."""
    lexicon, known = source.lexicon, source.reading.vocabulary
    unknown = (item for item in reading.of("word") if not lexicon.same(str(item.key), known))
    problems = [_unsupported(item, reading, source) for item in unknown if not _unable(item, reading, source)]
    said, own = reading.vocabulary, source.reading.stems
    problems += [Problem(ProblemKind.DROPPED, expected=word) for word in sorted(source.fact_stems) if not lexicon.same(word, said)]
    if not source.facts and not source.names and own:
        kept = [word for word in own if lexicon.same(word, said)]
        if len(kept) < _LITERAL_SHARE * len(own):
            problems.append(Problem(ProblemKind.DROPPED, expected=", ".join(sorted(own - set(kept)))))
    return [*problems, *_promises(reading, source)]


def _unable(item: Item, reading: Reading, source: Source) -> bool:
    """Return whether a word says only, right after a negation, that something cannot be: "not able", in a message that denies as well."""
    before = reading.items[: reading.items.index(item)]
    abilities = {stem(word, source.lexicon.language) for word in source.lexicon.opposites.values()}
    return item.key in abilities and bool(before) and before[-1].kind == "not" and bool(source.reading.of("not"))


def _unsupported(item: Item, reading: Reading, source: Source) -> Problem:
    before = reading.text[: item.start].rstrip()
    named = item.shown[:1].isupper() and source.lexicon.language != "de" and before and before[-1] not in ".!?:\n"
    return Problem(ProblemKind.NAME if named else ProblemKind.CLAIM, found=item.shown)


def _promises(reading: Reading, source: Source) -> list[Problem]:
    """What will happen must have been announced: "I will ..." with a verb that the message does not have."""
    if source.reading.of("future"):
        return []
    problems = []
    for item in reading.of("future"):
        following = re.findall(r"[^\W\d_]+", fold(reading.text[item.end :]))[:3]
        verb = next((word for word in following if word not in ("i", "you", "we", "now", "then", "just", "also", "gladly", "not")), "")
        root = stem(verb, source.lexicon.language)
        if verb and verb not in source.lexicon.harmless and not source.lexicon.same(root, source.reading.vocabulary):
            problems.append(Problem(ProblemKind.PROMISE, found=f"{item.shown} {verb}".strip()))
    return problems
