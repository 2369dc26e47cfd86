"""Reads parts of a message: places in a list, things set side by side, for whom something is, what is not wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recsys.dialogue.phrases import Message, places_of_words
from retrieval.lexical.analyzer import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.lexical.filters.price_words import PriceLimit

ORDINALS = ("1", "2", "3", "4", "5", "last")
NAMES = ("hunde", "katzen", "kinder", "baby")  # beginnings of German compounds that say for whom something is
_PLACE_WORD = re.compile(r"([一二三四五])|([^\W\u4e00-\u9fff]+)")
_OTHER_ORDINALS = {
    "1st": "1",
    "2nd": "2",
    "3rd": "3",
    "4th": "4",
    "5th": "5",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "eins": "1",
    "zwei": "2",
    "drei": "3",
    "vier": "4",
    "funf": "5",
    "premiere": "1",
    "second": "2",
    "seconde": "2",
    "primer": "1",
    "tercer": "3",
    "1er": "1",
    "2e": "2",
    "3e": "3",
    "4e": "4",
    "5e": "5",
}
_BETWEEN = re.compile(r" (?:and|with|or|und|mit|oder|et|avec|ou|y|con|o) |[和与跟]")


def places(message: Message, count: int) -> Iterator[int]:
    """Return the places, from 0, that a message names by their numbers."""
    for ordinal in ORDINALS:
        if count and message.has(f"ordinal_{ordinal}"):
            place = count - 1 if ordinal == "last" else int(ordinal) - 1
            if place < count:
                yield place


def named_places(message: Message, count: int) -> list[int]:
    """Return the places, from 0, that any word of a message names, in its order: for a message that is known to name some."""
    found = [place for match in _PLACE_WORD.finditer(message.folded) if (place := _place_of(match)) is not None and place < count]
    return list(dict.fromkeys(found)) or list(places(message, count))


def _place_of(match: re.Match[str]) -> int | None:
    sign, word = match[1], match[2]
    if sign is not None:
        return places_of_words().get(sign)
    ways = (word, word.rstrip("nrsm"), word[:-1] + "o", _OTHER_ORDINALS.get(word, ""))
    return next((places_of_words()[way] for way in ways if way in places_of_words()), None)


def sides(words: str) -> list[str]:
    """Return the things that words set side by side."""
    return [part.strip() for part in _BETWEEN.split(words) if part.strip()]


def thing(words: str) -> str:
    """Return what is looked for without the person whom it is for: "shampoo for kids" is of shampoo."""
    for of in (" for ", " für ", " fur ", " pour ", " para "):
        words = words.split(of, maxsplit=1)[0]
    return words


def for_whom(thing: str, whom: str) -> str:
    """Return what is looked for, for someone else: neither the cat nor "my" stays in "cat food" and "my dog"."""
    others, name = Message.of(thing).without("whom").split(), Message.of(whom).content()
    kept = [next((rest for one in NAMES if (rest := without_stem(word, one)) != word), word) for word in others]
    if (kept != others or not thing.isascii()) and len(kept) == 1:  # a compound: "hundefutter", "狗粮"
        return next((one for one in NAMES if name and one.startswith(name)), name) + kept[0]
    return " ".join([*kept, name]).strip()


def without_stem(word: str, name: str) -> str:
    """Return the rest of a compound: "futter" of "katzenfutter"."""
    return word[len(name) :] if word.startswith(name) and len(word) >= len(name) + 3 else word


def beside(message: Message, limit: PriceLimit) -> Message:
    """Return a message without a limit of prices in it."""
    text = fold(message.text)
    return Message.of(f"{text[: limit.begin]} {text[limit.end :]}")


def unwanted(message: Message) -> str:
    """Return what no product may have: what stands after "without", and before "isn't" nothing does."""
    without = message.find("without")
    return Message.of(without.after).content() if without else ""


def trimmed(words: str) -> str:
    """Return words without the frequent words of requests at either end."""
    some = words.split()
    content = set(Message.of(words).content().split())
    places = [place for place, word in enumerate(some) if word in content]
    if not places:
        return Message.of(words).content()
    return " ".join(some[places[0] : places[-1] + 1])
