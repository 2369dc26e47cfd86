"""Wordings of a query in the words that a catalogue has."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from retrieval.lexical.synonyms.concepts import ANY
from retrieval.lexical.synonyms.query_words import STEMMERS, STOPS, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from retrieval.lexical.synonyms.concepts import Concept
    from retrieval.lexical.synonyms.phrases import Phrases, Segment
    from retrieval.lexical.synonyms.query_words import Token

# How far a wording departs from the query. Another word of the same language is a guess, a translation is none.
SYNONYM, NARROWER, UNTRANSLATED, LATER = 1.0, 1.5, 4.0, 0.1
ASIDE = 0.05  # more, for each phrase between it and the head of the query, which is the last one but in French and Spanish
MOST_OPTIONS = {1: 6, 2: 4, 3: 3, 4: 3}  # of each phrase, by the number of phrases
MOST_BESIDE_NARROWER = 2  # synonyms, where there are narrower names
LEAST_SHARE = 0.5  # of a translation's words that the catalogue must know if it knows no translation whole


class Variant(NamedTuple):
    """A wording of a query.

    Attributes
    ----------
    text : str
    narrower : bool
        Whether it names one kind of what the query names ("cocoa" for "hot drink").
    """

    text: str
    narrower: bool = False


class Option(NamedTuple):
    """A wording of one phrase; a text of None keeps what was typed."""

    cost: float
    text: str | None
    narrower: bool = False


@dataclass(frozen=True)
class Wordings:
    """Rewords a query.

    Attributes
    ----------
    phrases : Phrases
    knows : callable
        Says whether the catalogue has a folded word.
    spoken : tuple of str
        The catalogue's languages, the main one first.
    """

    phrases: Phrases
    knows: Callable[[str], bool]
    spoken: tuple[str, ...]

    def variants(self, tokens: Sequence[Token], segments: Sequence[Segment], language: str | None) -> list[Variant]:
        """Return the wordings in which a phrase, at least, is replaced, the closest ones first."""
        most = MOST_OPTIONS.get(len(segments), 2)
        options = [self._options(tokens, segment)[: most if place < 4 else 1] for place, segment in enumerate(segments)]
        aside = range(len(segments)) if language in ("fr", "es") else range(len(segments))[::-1]
        stops = STOPS.get(language or "en", frozenset())
        choices = sorted(product(*options), key=lambda choice: sum(_cost(option, far) for option, far in zip(choice, aside, strict=True)))
        found: dict[str, Variant] = {}
        for choice in choices:
            if any(option.text is not None for option in choice):
                text = _joined(tokens, segments, choice, stops)
                found.setdefault(text, Variant(text, any(option.narrower for option in choice)))
        return list(found.values())

    def _options(self, tokens: Sequence[Token], segment: Segment) -> list[Option]:
        own = segment.language in self.spoken and all(known(tokens[place], self.knows) for place in segment.places)
        keep = Option(0.0 if own else UNTRANSLATED, None)
        concepts = [self.phrases.concepts[number] for number in segment.concepts]
        typed = _stems([tokens[place].word for place in segment.places], segment.language)
        words: dict[tuple[str, ...], str] = {}
        for concept in concepts:
            for language in self._order(segment.language, own=own):
                for phrase in concept.words.get(language, ()):
                    if self.share(phrase, language) == 1:
                        words.setdefault(_stems(words_of(phrase, language), language), phrase)
        words.pop(typed, None)
        if not words and not own:
            words = self._nearly(concepts)
        narrower = list(dict.fromkeys(name for concept in concepts for name in self._narrower(concept)))
        synonyms = list(words.values())[: MOST_BESIDE_NARROWER if narrower else None]
        found = [Option(SYNONYM * own + LATER * rank, phrase) for rank, phrase in enumerate(synonyms)]
        found += [Option(NARROWER + LATER * rank, name, narrower=True) for rank, name in enumerate(narrower)]
        return sorted([keep, *found] if own or not found else found, key=lambda option: option.cost)

    def _order(self, language: str, *, own: bool) -> tuple[str, ...]:
        if own:
            return tuple(dict.fromkeys((ANY, language, *self.spoken)))
        return tuple(dict.fromkeys((ANY, *self.spoken, language)))

    def share(self, phrase: str, language: str) -> float:
        """Return the share of a phrase's words that the catalogue knows."""
        words = words_of(phrase, language)
        return sum(map(self.knows, words)) / len(words) if words else 0.0

    def _nearly(self, concepts: Sequence[Concept]) -> dict[tuple[str, ...], str]:
        """Return the translation of which the catalogue knows most words."""
        words = [(phrase, one) for concept in concepts for one in self.spoken for phrase in concept.words.get(one, ())]
        best = max(words, key=lambda pair: self.share(*pair), default=None)
        return {words_of(*best): best[0]} if best and self.share(*best) >= LEAST_SHARE else {}

    def _narrower(self, concept: Concept) -> Iterator[str]:
        for name in concept.narrower:
            if "en" in self.spoken:
                if self.share(name, "en") == 1:
                    yield name
            elif kind := self.phrases.concept_of(name):
                named = ((phrase, one) for one in self.spoken for phrase in kind.words.get(one, ()))
                yield from [phrase for phrase, one in named if self.share(phrase, one) == 1][:1]


def _cost(option: Option, aside: int) -> float:
    return option.cost + ASIDE * aside * (option.text is not None)


def known(token: Token, knows: Callable[[str], bool]) -> bool:
    """Return whether a catalogue has a word; of a word without spaces, all its pairs of characters."""
    return all(map(knows, words_of(token.word, "zh"))) if token.unspaced else knows(token.word)


def _joined(tokens: Sequence[Token], segments: Sequence[Segment], choice: Sequence[Option], stops: frozenset[str]) -> str:
    """Return the text of a query with its phrases replaced, and without function words."""
    replaced = {segment.places[0]: option.text for segment, option in zip(segments, choice, strict=True) if option.text is not None}
    dropped: set[int] = set()
    for segment, option in zip(segments, choice, strict=True):
        if option.text is not None:
            dropped |= set(range(segment.places[0], segment.places[-1] + 1))
    text, own = "", True
    for place, token in enumerate(tokens):
        new = replaced.get(place)
        if new is not None:
            text, own = f"{text} {new}", False
        elif place not in dropped and token.word not in stops:
            text, own = text + (token.before if own and text else " ") + token.text, True
    return " ".join(text.split())


def _stems(words: Sequence[str], language: str) -> tuple[str, ...]:
    stemmer = STEMMERS.get(language)
    return tuple(sorted(stemmer.stem(word) for word in words) if stemmer else sorted(words))
