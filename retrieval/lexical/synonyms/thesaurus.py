"""A thesaurus of shop words: a query in the words that the catalogue has, whatever the customer calls the thing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

from retrieval.lexical.analyzer import fold
from retrieval.lexical.synonyms.concepts import ANY, Concept, packaged_concepts
from retrieval.lexical.synonyms.phrases import Phrases, Segment
from retrieval.lexical.synonyms.query_words import LANGUAGES, SPACED, STOPS, Token, content_places, split_words, words_of
from retrieval.lexical.synonyms.wordings import Variant, Wordings, known
from retrieval.lexical.units import unit_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MOST_VARIANTS = 6
MOST_LETTERS = 500  # of a query that are read
# What a word says about the language of a query.
IN_PHRASE, OTHER_FORM, FUNCTION_WORD, IN_CATALOGUE = 1.0, 0.75, 0.7, 1.0
TWO_WORDS = 0.5  # more, for a phrase of several words
LEAST_EVIDENCE = 0.75
# A catalogue in one of these languages has many of these words, in the others few.
_TELLING = {
    "en": "and with for white red milk bread water food women men kids paper green",
    "de": "und mit fur weiss rot milch brot wasser damen herren kinder papier grun",
    "fr": "et avec pour blanc rouge lait pain eau femme homme enfant papier vert",
    "es": "y con para blanco rojo leche pan agua mujer hombre nino papel verde",
    "zh": "白色 红色 牛奶 面包 男士 女士 儿童 食品 黑色 套装 家用 纯棉",
}
LEAST_TELLING, TELLING_SHARE = 3, 0.5


class Rewording(NamedTuple):
    """A query in the catalogue's words.

    Attributes
    ----------
    variants : tuple of Variant
        At most 6, the best first. The query as typed is the first one if the catalogue knows one of its words.
    language : {"en", "de", "fr", "es", "zh"} or None
        Of the query, as far as its words tell.
    unread : tuple of str
        Words, folded, that neither the catalogue nor the thesaurus has.
    """

    variants: tuple[Variant, ...]
    language: str | None
    unread: tuple[str, ...]


@dataclass(frozen=True)
class Thesaurus:
    """Concepts, and how to find them in a query.

    Attributes
    ----------
    concepts : tuple of Concept
        Where several have a phrase, the wordings of the first one come first.
    """

    concepts: tuple[Concept, ...]

    @classmethod
    @cache
    def packaged(cls) -> Thesaurus:
        """Return the thesaurus of shop words that comes with the package."""
        return cls(packaged_concepts())

    def extended(self, rows: Iterable[Sequence[str]]) -> Thesaurus:
        """Return a thesaurus with a shop's own groups of equal terms, see `read_synonyms`; they come before the packaged ones."""
        own = (Concept({ANY: tuple(" ".join(term.split()) for term in row)}) for row in rows)
        return Thesaurus((*own, *self.concepts))

    @cached_property
    def phrases(self) -> Phrases:
        """The concepts by their phrases."""
        return Phrases(self.concepts)

    @cached_property
    def english_words(self) -> frozenset[str]:
        """Words, folded, that alone name something in English, or in the shop's own groups."""
        return frozenset(key[0] for key in self.phrases.by_key["en"] if len(key) == 1)

    @cached_property
    def single_words(self) -> frozenset[str]:
        """Words, folded, that alone name something in any language of the thesaurus."""
        return frozenset(key[0] for phrases in self.phrases.by_key.values() for key in phrases if len(key) == 1)

    def read(self, text: str, knows: Callable[[str], bool], spoken: tuple[str, ...] | None = None) -> Rewording:
        """Read a query in the words of a catalogue.

        Parameters
        ----------
        text : str
            Only its first 500 characters are reworded.
        knows : callable
            Says whether the catalogue has a folded word in any of its forms, see `SpellChecker.knows`.
        spoken : tuple of str, optional
            The catalogue's languages, from `languages_of`, for who reads many queries.
        """
        knows = cache(knows)
        tokens = self._tokens(text[:MOST_LETTERS], knows)
        spoken = languages_of(knows) if spoken is None else spoken
        language, segments = self._best_language(tokens, knows, spoken)
        segments = sorted([*segments, *self._left_over(tokens, segments, knows, spoken)])
        spoken = spoken or self._languages_of(segments, knows)
        content = content_places(tokens, language)
        familiar = {place for place in content if known(tokens[place], knows)}
        understood = familiar.union(*(segment.places for segment in segments))
        unread = dict.fromkeys(tokens[place].word for place in content if place not in understood and not _is_quantity(tokens[place].word))
        variants = Wordings(self.phrases, knows, spoken).variants(tokens, segments, language)
        if familiar:
            typed = " ".join(fold(text).split())
            variants = [Variant(text), *(one for one in variants if one.text != typed)]
        return Rewording(tuple(variants[:MOST_VARIANTS]), language, tuple(unread))

    def _tokens(self, text: str, knows: Callable[[str], bool]) -> list[Token]:
        """Return the words of a text; a German compound that nobody knows is two."""
        found: list[Token] = []
        for token in split_words(fold(text), self.phrases.has_chinese):
            parts = (token.word,) if token.unspaced or knows(token.word) else self.phrases.split_compound(token.word)
            if len(parts) == 1:
                found.append(token)
            else:
                found += [Token(part, part, " " if place else token.before) for place, part in enumerate(parts)]
        return found

    def _best_language(
        self, tokens: Sequence[Token], knows: Callable[[str], bool], spoken: Sequence[str]
    ) -> tuple[str | None, list[Segment]]:
        """Return the language that a query's words are of, and its phrases; among equals, the catalogue's."""
        chinese = self.phrases.chinese(tokens)
        if chinese and sum(token.unspaced for token in tokens) * 2 >= len(tokens):
            return "zh", chinese
        matches: dict[str, list[Segment]] = {}
        evidence: dict[str, float] = {}
        for language in (*(one for one in spoken if one in SPACED), *(one for one in SPACED if one not in spoken)):
            content = content_places(tokens, language)
            matches[language] = self.phrases.match(language, tokens, content)
            covered = {place for segment in matches[language] for place in segment.places}
            more = sum(len(segment.places) > 1 for segment in matches[language])
            familiar = sum(known(tokens[place], knows) for place in content if place not in covered) if language in spoken else 0
            stops = sum(token.word in STOPS[language] for token in tokens)
            listed = sum(tokens[place].word in self.phrases.forms(language, tokens[place].word) for place in covered)
            phrases = IN_PHRASE * listed + OTHER_FORM * (len(covered) - listed)
            evidence[language] = phrases + TWO_WORDS * more + FUNCTION_WORD * stops + IN_CATALOGUE * familiar
        best = max(evidence, key=evidence.__getitem__)
        if evidence[best] < LEAST_EVIDENCE:
            return None, chinese
        unique = best in spoken or list(evidence.values()).count(evidence[best]) == 1
        return best if unique else None, matches[best] + chinese

    def _left_over(
        self, tokens: Sequence[Token], segments: Sequence[Segment], knows: Callable[[str], bool], spoken: Sequence[str]
    ) -> list[Segment]:
        """Return the phrases of other languages among the words that are not understood yet."""
        covered = {place for segment in segments for place in segment.places}
        own = segments[0].language if segments else None
        covered.update(place for place, token in enumerate(tokens) if own in STOPS and token.word in STOPS[own])
        found: list[Segment] = []
        for language in dict.fromkeys((*spoken, *SPACED)):
            if language in SPACED:
                foreign = language not in spoken
                free = [place for place in content_places(tokens, language) if place not in covered]
                found += self.phrases.match(language, tokens, [p for p in free if not (foreign and known(tokens[p], knows))])
                covered.update(place for segment in found for place in segment.places)
        return found

    def _languages_of(self, segments: Sequence[Segment], knows: Callable[[str], bool]) -> tuple[str, ...]:
        """Return the languages in which a catalogue has words for what a query names, for a catalogue too small to tell."""
        concepts = [self.concepts[number] for segment in segments for number in segment.concepts]
        counts = {
            language: sum(all(map(knows, words_of(phrase, language))) for one in concepts for phrase in one.words.get(language, ()))
            for language in LANGUAGES
        }
        return tuple(sorted((one for one in LANGUAGES if counts[one]), key=lambda one: -counts[one])) or LANGUAGES[:1]


def _is_quantity(word: str) -> bool:
    return word[0].isdigit() or unit_of(word) is not None


def languages_of(knows: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the languages that a catalogue is in, the main one first; none if it has too few words."""
    counts = {language: sum(all(map(knows, words_of(word, language))) for word in words.split()) for language, words in _TELLING.items()}
    most = max(counts.values())
    if most < LEAST_TELLING:
        return ()
    return tuple(sorted((one for one in counts if counts[one] >= TELLING_SHARE * most), key=lambda one: -counts[one]))
