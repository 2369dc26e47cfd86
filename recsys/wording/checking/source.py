"""What a wording is compared with: a message's text and facts, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from recsys.wording.checking.reading import Item, Reading, marked, read
from recsys.wording.facts import FactKind

if TYPE_CHECKING:
    from recsys.wording.checking.lexicon import Lexicon
    from recsys.wording.message import Message

_NAMES = (FactKind.NAME, FactKind.CODE, FactKind.LINK, FactKind.PERSON)
_WORDS = (FactKind.QUOTE, FactKind.TEXT)


@dataclass(frozen=True)
class Source:
    """A message as the checker sees it.

    Attributes
    ----------
    lexicon : Lexicon
        Words of the message's language.
    reading : Reading
        Of its text.
    names : tuple of str
        Names, links and codes, each once.
    required : frozenset of int
        The places in `names` of those that a wording must have.
    links : frozenset of int
        The places of links and codes.
    subjects : dict of int to str
        The place of a name -> what it is the name of.
    facts : tuple of Reading
        Of each fact that is words: quotes and short words of the shop.
    """

    lexicon: Lexicon
    reading: Reading
    names: tuple[str, ...]
    required: frozenset[int]
    links: frozenset[int]
    subjects: dict[int, str]
    facts: tuple[Reading, ...]

    @classmethod
    def of(cls, message: Message, lexicon: Lexicon) -> Source:
        """Read a message."""
        named = {str(fact.value): fact for fact in message.facts if fact.kind in _NAMES and str(fact.value).strip()}
        names = tuple(named)
        texts = [str(fact.value) for fact in message.facts if fact.kind in _WORDS]
        return cls(
            lexicon,
            read(marked(message.template_text, names), lexicon),
            names,
            frozenset(place for place, fact in enumerate(named.values()) if fact.kind != FactKind.PERSON),
            frozenset(place for place, fact in enumerate(named.values()) if fact.kind in (FactKind.CODE, FactKind.LINK)),
            {place: fact.about or str(fact.value) for place, fact in enumerate(named.values()) if fact.kind == FactKind.NAME},
            tuple(read(marked(text, names), lexicon) for text in texts),
        )

    @cached_property
    def fact_stems(self) -> set[str]:
        """The words that facts say."""
        return set[str]().union(*(fact.stems for fact in self.facts))

    @cached_property
    def owners(self) -> dict[tuple[str, object], set[str | None]]:
        """What the text says -> the subjects that it says it of; None stands for none of them."""
        owners: dict[tuple[str, object], set[str | None]] = {}
        for item, subject in self._with_subjects():
            owners.setdefault((item.kind, item.key), set()).add(subject)
        return owners

    def _with_subjects(self) -> list[tuple[Item, str | None]]:
        """Return each item with the subject named before it in its line, or else the first one of the line."""
        pairs: list[tuple[Item, str | None]] = []
        lines: list[list[Item]] = [[]]
        for item in self.reading.items:
            if item.kind == "clause" and item.key == "\n":
                lines.append([])
            else:
                lines[-1].append(item)
        for line in lines:
            subject = next((self.subject_of(item) for item in line if self.subject_of(item)), None)
            for item in line:
                subject = self.subject_of(item) or subject
                pairs.append((item, subject))
        return pairs

    def subject_of(self, item: Item) -> str | None:
        """Return what a name is the name of; None for other items, and for codes and links."""
        return self.subjects.get(item.key) if item.kind == "name" and isinstance(item.key, int) else None
