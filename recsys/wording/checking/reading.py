"""A text as the checker sees it: what it names, counts, denies, limits and otherwise says, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from recsys.wording.checking.lexicon import any_of, fold, stem
from recsys.wording.checking.numerals import in_digits
from recsys.wording.checking.quantities import quantities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.wording.checking.lexicon import Lexicon

# Stand for names within a text; no text holds them.
FIRST_MARK = 0xE000
STOPS = set(".!?;。！？；\n")  # end a sentence
PHRASE = "*"  # key of a phrase that says nothing
_MARK = re.compile("[\ue000-\uf8ff]")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\w+")
_CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'ve\b"), " have"),
)
_ENDINGS = re.compile(r"'(?:s|d)\b")
_CLAUSE = re.compile(r"\n|[.!?;:。！？；：](?!\d)|[,，、()（）](?!\d)")
_NUMBERING = re.compile(r"^[ \t]*(\d{1,2})[.)][ \t]+", re.MULTILINE)
# No name starts or ends within a word; Chinese words have no spaces between them.
_EDGE = r"(?<![^\W\u3040-\u9fff])%s(?![^\W\u3040-\u9fff])"
_REACH = 12  # characters between a bound and its number: "bis zum 5. Januar"


@dataclass(frozen=True)
class Item:
    """One thing that a text holds.

    Attributes
    ----------
    kind : str
        "name", a kind of `Quantity`, "class" (of phrases and bounds), "not", "yes", "future", "word" or "clause".
    key : object
        Comparable.
    start, end : int
        Its place in the reading's text.
    shown : str
        As it stands in the text.
    """

    kind: str
    key: object
    start: int
    end: int
    shown: str = ""


@dataclass(frozen=True)
class Reading:
    """Everything that was read from a text, in order.

    Attributes
    ----------
    text : str
        With marks for names and with digits for number words.
    items : list of Item
        Without words that say nothing.
    connecting : list of Item
        The words that say nothing; the key of a phrase is `PHRASE`.
    """

    text: str
    items: list[Item] = field(default_factory=list)
    connecting: list[Item] = field(default_factory=list)

    def between(self, begin: int, end: int) -> Reading:
        """Return what stands in a part of the text, at the same places."""
        return Reading(self.text, *([one for one in items if begin <= one.start < end] for items in (self.items, self.connecting)))

    def of(self, *kinds: str) -> list[Item]:
        """Return the items of some kinds."""
        return [item for item in self.items if item.kind in kinds]

    @cached_property
    def stems(self) -> set[str]:
        """The words that say something."""
        return {str(item.key) for item in self.of("word")}

    @cached_property
    def vocabulary(self) -> set[str]:
        """All words."""
        return (self.stems | {str(item.key) for item in self.connecting}) - {PHRASE}


def marked(text: str, names: Sequence[str]) -> str:
    """Return a text in which each name is one character, the same for the same name; the longest names are found first."""
    for number in sorted(range(len(names)), key=lambda number: -len(names[number])):
        pattern = re.compile(_EDGE % r"\s+".join(map(re.escape, fold(names[number]).split())))
        places = [found.span() for found in pattern.finditer(fold(text))]
        for start, end in reversed(places):
            text = f"{text[:start]}{chr(FIRST_MARK + number)}{text[end:]}"
    return text


def without_numbering(text: str) -> str:
    """Return a text without the numbers that a list's lines begin with, if they count from 1 on."""
    numbers = [int(number) for number in _NUMBERING.findall(text)]
    return _NUMBERING.sub("", text) if len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1)) else text


def read(text: str, lexicon: Lexicon) -> Reading:
    """Read a text whose names are marked."""
    text = text.translate({0x2019: "'", 0x2018: "'"})
    if lexicon.language == "en":
        for pattern, instead in _CONTRACTIONS:
            text = pattern.sub(instead, text)
        text = _ENDINGS.sub("", text)
    text = in_digits(text, lexicon.language)
    folded, items = fold(text), list[Item]()
    taken = [False] * len(text)

    def take(kind: str, key: object, start: int, end: int) -> None:
        if not any(taken[start:end]):
            taken[start:end] = [True] * (end - start)
            items.append(Item(kind, key, start, end, text[start:end]))

    for found in _MARK.finditer(text):
        take("name", ord(found[0]) - FIRST_MARK, *found.span())
    for one in quantities(text, lexicon.language):
        take(one.kind, one.value, one.start, one.end)
    for item in list(_bounds(folded, [one for one in items if one.kind != "name"], lexicon)):
        take(item.kind, item.key, item.start, item.end)
    for found in lexicon.phrase_pattern.finditer(folded):
        kind = lexicon.phrases[found[0]]
        take("class" if kind != "safe" else "safe", kind if kind != "safe" else PHRASE, *found.span())
    for found in _CLAUSE.finditer(folded):
        take("clause", found[0][0], *found.span())
    for item in _words(folded, taken, lexicon):
        take(item.kind, item.key, item.start, item.end)
    items.sort(key=lambda item: item.start)
    return Reading(text, [item for item in items if item.kind != "safe"], [item for item in items if item.kind == "safe"])


def _bounds(text: str, numbers: Sequence[Item], lexicon: Lexicon) -> Iterator[Item]:
    """Yield bounds such as "within" that stand right before, or in Chinese after, a number or a date."""
    for number in numbers:
        tables = [lexicon.bounds] + ([lexicon.dates] if number.kind == "date" else [])
        for table in tables:
            begin = max(0, number.start - _REACH - 16)
            for found in any_of(table, lexicon.spaced).finditer(text, begin, number.start):
                between = text[found.end() : number.start]
                if len(between) <= _REACH and not re.search(r"[.,;:!?()\n\ue000-\uf8ff。，；：]", between):
                    yield Item("class", table[found[0]], *found.span())
        after = any_of(lexicon.after, lexicon.spaced).match(text, number.end)
        if after:
            yield Item("class", lexicon.after[after[0]], *after.span())


def _words(text: str, taken: Sequence[bool], lexicon: Lexicon) -> Iterator[Item]:
    if not lexicon.spaced:
        yield from _segments(text, taken, lexicon)
        return
    for found in _WORD.finditer(text):
        if any(taken[found.start() : found.end()]):
            continue
        parts = re.split(r"['-]", found[0]) if stem(found[0], lexicon.language) not in lexicon.safe else [found[0]]
        place = found.start()
        for part in parts:
            if part:
                yield from _word(part, place, lexicon)
            place += len(part) + 1


def _word(word: str, start: int, lexicon: Lexicon) -> Iterator[Item]:
    if word in lexicon.opposites:
        yield Item("not", "not", start, start + 2)
        start, word = start + 2, lexicon.opposites[word]
    end, root = start + len(word), stem(word, lexicon.language)
    if word in lexicon.negators:
        yield Item("not", "not", start, end)
    elif word in lexicon.future:
        yield Item("future", "future", start, end)
    elif word in lexicon.yes:
        yield Item("yes", "yes", start, end)
    else:
        safe = root in lexicon.safe or word in lexicon.one
        yield Item("safe" if safe else "word", root, start, end)


def _segments(text: str, taken: Sequence[bool], lexicon: Lexicon) -> Iterator[Item]:
    """Yield negations, and the characters between words that say nothing, of a text without spaces."""
    place, longest = 0, lexicon.longest
    while place < len(text):
        found = None
        for length in range(min(longest, len(text) - place), 0, -1):
            word = text[place : place + length]
            if any(taken[place : place + length]):
                continue
            if word in lexicon.safe or word in lexicon.negators or (word in lexicon.groups and length > 1):
                found = word
                break
        if found:
            kind = "not" if found in lexicon.negators else "safe" if found in lexicon.safe else "word"
            yield Item(kind, "not" if kind == "not" else found, place, place + len(found))
            place += len(found)
            continue
        if not taken[place] and text[place].isalnum():
            word = re.compile(r"[a-z0-9]+|.").match(text, place)
            end = word.end() if word else place + 1
            yield Item("word", text[place:end], place, end)
            place = end
        else:
            place += 1
