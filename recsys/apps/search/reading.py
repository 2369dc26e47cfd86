"""Reads a query: filters out of its words, spelling, and other wordings of the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.lexical.query import SPELLING, SearchQuery, read_query
from retrieval.text_search import Wording

if TYPE_CHECKING:
    from recsys.apps.search.request import SearchOptions
    from retrieval.lexical.catalogue_words import CatalogueWords
    from retrieval.lexical.filters.exclusions import TitledTexts
    from retrieval.lexical.query import QueryFilter
    from retrieval.lexical.synonyms.thesaurus import Thesaurus

OTHER_WORDING = 0.95  # weight of a wording that is not the customer's own
NARROWER = 0.9  # weight of one kind of what was asked for
SERVED = 0.6  # weight of all others where the catalogue has texts with all words of the customer's own wording
ENOUGH = 2  # texts


@dataclass(frozen=True)
class Reading:
    """A query as search understands it.

    Attributes
    ----------
    query : with its filters and corrections.
    wordings : ways to ask for the same, the customer's own first unless the catalogue has none of its words.
    language : of the query; None where its words do not tell.
    unread : words that nothing is known of.
    held : whether a text of the catalogue has all words of a wording.
    """

    query: SearchQuery
    wordings: tuple[Wording, ...]
    language: str | None = None
    unread: tuple[str, ...] = ()
    held: bool = True

    @classmethod
    def of(
        cls,
        text: str,
        words: CatalogueWords,
        thesaurus: Thesaurus,
        options: SearchOptions,
        languages: tuple[str, ...] | None = None,
        texts: TitledTexts | None = None,
    ) -> Reading:
        """Read a query; any text can be read.

        Parameters
        ----------
        languages : of the catalogue, where they are known.
        texts : of the catalogue; without them no word is excluded.
        """
        ignore = (*options.ignore, *((SPELLING,) if options.verbatim else ()))
        query = read_query(text, words, ignore, thesaurus.single_words, texts)
        if not query.tokens:
            return cls(query, ())
        read = thesaurus.read(query.cleaned, words.spelling.knows, languages)
        variants = read.variants or ()
        wordings, served, held = [], False, False
        for place, variant in enumerate(variants):
            tokens = tuple(words.index.analyzer.tokens(variant.text))
            if place and set(tokens) < set(wordings[0].tokens):
                continue  # it asks for less
            weight = NARROWER if variant.narrower else 1.0 if place == 0 else OTHER_WORDING
            wordings.append(Wording(variant.text, tokens, weight if place == 0 or not served else SERVED))
            holding = 0 if held else int(words.index.holding_all(tokens).sum())
            held, served = held or holding > 0, served or (place == 0 and holding >= ENOUGH)
        return cls(query, tuple(wordings) or (Wording(query.cleaned, query.tokens),), read.language, read.unread, held)

    @property
    def filters(self) -> tuple[QueryFilter, ...]:
        """Conditions that words of the query state."""
        return self.query.filters
