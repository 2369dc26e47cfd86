"""Reads parts of a message: places in a list, things set side by side, for whom something is, what is not wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recsys.dialogue.phrases import Message
from retrieval.lexical.analyzer import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.lexical.price_words import PriceLimit

ORDINALS = ("1", "2", "3", "4", "5", "last")
NAMES = ("hunde", "katzen", "kinder", "baby")  # beginnings of German compounds that say for whom something is
_BETWEEN = re.compile(r" (?:and|with|or|und|mit|oder|et|avec|ou|y|con|o) |[和与跟]")


def places(message: Message, count: int) -> Iterator[int]:
    """Return the places, from 0, that a message names by their numbers."""
    for ordinal in ORDINALS:
        if count and message.has(f"ordinal_{ordinal}"):
            place = count - 1 if ordinal == "last" else int(ordinal) - 1
            if place < count:
                yield place


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
