"""The last stage of a search: hits with price and reason, how the query was read, facets, and why a list is not what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from features.names import CATEGORY, DENSE_SCORE, LEXICAL_SCORE, LOG_CLICKS, PAIR_LOGIT, PREFERENCE, RELEVANCE
from features.text.plain import agree
from recsys.apps.search.answers import AppliedFilter, Hit, SearchAnswer
from recsys.apps.search.facets import facets_of
from retrieval.lexical.analyzer import fold
from retrieval.lexical.fields import REVIEWS
from retrieval.lexical.query import read_query
from retrieval.lexical.units import shown_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ranking.merchandising.arrange import Arrangement
    from recsys.apps.search.components import SearchComponents
    from recsys.apps.search.reading import Reading
    from recsys.apps.search.request import SearchOptions
    from retrieval.candidates import Candidates
    from retrieval.lexical.analyzer import Analyzer
    from retrieval.lexical.query import QueryFilter

EXPLAINED = (RELEVANCE, LEXICAL_SCORE, DENSE_SCORE, PAIR_LOGIT, LOG_CLICKS, PREFERENCE)
MOST_NAMED = 3  # categories of a filter
FITTING = 0.5  # of the best relevance: items that count in facets
ITSELF = 10.0  # relevance of an item that was asked for by its id: above all others, whatever lies beside it
NO_WORDS = "the query has no word to look for: type what you look for"
NOTHING = "no item meets the filters: remove one of them"
NEAREST = "no item has these words: nearest in meaning"
NONE_WITHIN = "no item within the filters has these words: nearest in meaning"
UNREAD = "no item has these words, and the text encoder does not read their script: what sells most"
NOT_SHOWN = "the item of this id is not for sale, or not within the filters: what is near to it"
NOT_ALL = "no item has all of these words"


@dataclass(frozen=True)
class Asked:
    """A query with who asked it, how it was read, and what became of it.

    Attributes
    ----------
    relaxed : filters that were dropped because nothing that fits meets them.
    instead : why the list is of other items than those asked for; None if it is not.
    """

    query: str
    user: str | None
    reading: Reading
    relaxed: tuple[QueryFilter, ...]
    instead: str | None = None

    @property
    def popular(self) -> bool:
        """Whether the list is of what sells, because no word says more."""
        return not self.reading.wordings or self.instead == UNREAD


def present(
    search: SearchComponents, options: SearchOptions, asked: Sequence[Asked], best: Candidates, arranged: Arrangement
) -> list[SearchAnswer]:
    """Make one answer a query from its ranked candidates.

    Parameters
    ----------
    arranged : the candidates that are shown, and of each list the rule that placed each of them.
    """
    recommender = search.recommender
    shown, rules = arranged
    repeats, chances = recommender.reasons.repeats(shown), search.ranker.probabilities(shown)
    answers = []
    for b, one in enumerate(asked):
        rows = shown.rows[b][shown.rows[b] >= 0]
        hits = []
        found = _why(search, one, shown, b)
        for place, facts in enumerate(recommender.facts(rows)):
            why = "; ".join(text for text in (repeats[b][place], found[place]) if text)
            parts = _contributions(shown, b, place) if options.explain else ()
            hits.append(Hit(place + 1, *facts, float(shown.scores[b, place]), _chance(chances, b, place), why, parts, rules[b][place]))
        answers.append(_answer(search, options, one, tuple(hits), (best, b)))
    return answers


def _answer(
    search: SearchComponents, options: SearchOptions, asked: Asked, hits: tuple[Hit, ...], found: tuple[Candidates, int]
) -> SearchAnswer:
    """Say how a query was read and how its list can be narrowed; `found`: all candidates, and the query's place among them."""
    (best, b), reading, recommender = found, asked.reading, search.recommender
    return SearchAnswer(
        query=asked.query,
        user_id=asked.user,
        bundle_id=recommender.bundle_id,
        items=hits,
        read_as=reading.wordings[0].text if reading.wordings else reading.query.cleaned,
        corrections=tuple((one.typed, one.read) for one in reading.query.corrections),
        did_you_mean=_other_spelling(search, options, asked.query),
        filters=tuple(AppliedFilter(one.key, label(one), one.words, one in asked.relaxed) for one in reading.filters),
        facets=facets_of(recommender.snapshot, recommender.reasons.shelves, search.praised, best.rows[b][best.valid[b] & fits(best, b)]),
        fallback=_fallback(best, b, asked),
        notes=(*reading.query.notes, *_missing(best, b, asked)),
    )


def _why(search: SearchComponents, asked: Asked, shown: Candidates, b: int) -> list[str]:
    """Say of each item of a list which of its words the query has, that the query is its id, or how it sells where no word says more."""
    recommender, rows = search.recommender, shown.rows[b][shown.rows[b] >= 0]
    if asked.popular:
        buyers = recommender.reasons.buyers
        return [buyers.popular(row) or buyers.sales(row) for row in rows.tolist()]
    frame = recommender.snapshot.catalog.frame
    texts = zip(*(frame[name][rows].to_list() for name in ("title", CATEGORY, "brand", "attributes")), strict=True)
    tokens = frozenset(token for wording in asked.reading.wordings for token in wording.tokens)
    found = [_matched(search, tokens, row, *fields) for row, fields in zip(rows.tolist(), texts, strict=True)]
    if RELEVANCE in shown.features:
        for place in np.flatnonzero(shown.features[RELEVANCE][b] == ITSELF):
            found[place] = f"its id is {recommender.snapshot.catalog.ids[rows[place]]}"
    return found


def _contributions(shown: Candidates, b: int, place: int) -> tuple[tuple[str, float], ...]:
    """Return the scores that a hit was ranked by, as far as they are known."""
    held = {name: float(shown.features[name][b, place]) for name in EXPLAINED if name in shown.features}
    return tuple((name, value) for name, value in held.items() if not np.isnan(value))


def _chance(chances: np.ndarray | None, b: int, place: int) -> float | None:
    """Return a probability, if there is one."""
    return None if chances is None or np.isnan(chances[b, place]) else float(chances[b, place])


def _other_spelling(search: SearchComponents, options: SearchOptions, query: str) -> str | None:
    """Return the query as it would be mended, where it was taken as typed."""
    if not options.verbatim:
        return None
    mended = read_query(query, search.words, right=search.thesaurus.single_words)
    return mended.cleaned if mended.corrections else None


def fits(best: Candidates, b: int) -> np.ndarray:
    """Return which candidates of a query are near to it, bool (m,)."""
    if RELEVANCE not in best.features:
        return best.valid[b]
    relevance = np.nan_to_num(best.features[RELEVANCE][b], nan=0.0)
    return relevance >= FITTING * max(float(relevance.max(initial=0)), 1e-9)


def _fallback(best: Candidates, b: int, asked: Asked) -> str | None:
    if best.valid[b].any():
        return asked.instead
    return NOTHING if asked.reading.wordings or asked.reading.filters else NO_WORDS


def _missing(best: Candidates, b: int, asked: Asked) -> tuple[str, ...]:
    """Say which words of the query no item has, where the list is of the others."""
    reading = asked.reading
    if asked.popular or asked.instead is not None or not best.valid[b].any() or np.any(best.features[RELEVANCE][b] == ITSELF):
        return ()
    if reading.unread:
        return (f"no item has the {agree(len(reading.unread), 'word', 'words')} {', '.join(map(repr, reading.unread))}",)
    return () if reading.held else (NOT_ALL,)


def label(one: QueryFilter) -> str:
    """Describe a filter to people."""
    match one.kind:
        case "max_price":
            return f"up to {one.value:g}"
        case "min_price":
            return f"from {one.value:g}"
        case "in_stock":
            return "in stock"
        case "brand":
            return f"brand {one.value}"
        case "without":
            return f"without {one.value}"
        case _:
            return f"in {_shelf(one.value if isinstance(one.value, tuple) else (str(one.value),))}"


def _shelf(paths: Sequence[str]) -> str:
    """Name categories by the last name that all their paths have, at whatever depth, or else by the last part of each."""
    first, *others = (path.split("|") for path in paths)
    common = [name for name in first if all(name in parts for parts in others)]
    names = common[-1:] or list(dict.fromkeys(path.rsplit("|", 1)[-1] for path in paths))
    return ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")


@lru_cache(maxsize=1 << 15)
def _read(word: str, analyzer: Analyzer) -> tuple[tuple[str, ...], str]:
    """Return the terms that a word of a title is found by, and the word as it is shown."""
    return tuple(analyzer.stem(part) for part in analyzer.index_words(word)), fold(word).strip(".,:;()[]\"'")


@lru_cache(maxsize=1 << 13)
def _read_all(text: str, analyzer: Analyzer) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Return the words of a text, each as `_read` has it."""
    return tuple(_read(word, analyzer) for word in shown_words(text))


def _matched(search: SearchComponents, tokens: frozenset[str], row: int, title: str, category: str | None, *others: str | None) -> str:
    """Say which words of the item the query has, and which of the others its reviews praise it with; else its category."""
    said: set[str] = set()
    found: dict[str, None] = {}
    shelf = (category or "").rsplit("|", 1)[-1]
    for text in (title, shelf, *others):
        for held, name in _read_all(text or "", search.words.index.analyzer):
            if not tokens.isdisjoint(held):
                found[name if held[0] in tokens else name.split()[0]] = None  # of a quantity in another unit, the number
                said.update(held)
    parts = (f"matches: {' '.join(found)}" if found else "", _praise(search, tokens - said, row))
    if any(parts):
        return "; ".join(filter(None, parts))
    return f"near in meaning: {shelf}" if shelf else "near in meaning"


def _praise(search: SearchComponents, tokens: frozenset[str], row: int) -> str:
    """Say which words of the query reviews praise the item with, where the index reads them: its own, or those of items of its text."""
    snapshot = search.recommender.snapshot
    if not tokens or not len(snapshot.reviews) or REVIEWS not in search.words.index.config.weights:
        return ""
    same = np.flatnonzero(snapshot.text_of == snapshot.text_of[row])
    for rows, who in (([row], "customers praise"), (same, "customers praise an item of the same name")):
        words = dict.fromkeys(word for one in rows for word in search.praise[int(one)].split())
        said = [word for word in words if not tokens.isdisjoint(_read(word, search.words.index.analyzer)[0])]
        if said:
            return f"{who}: {' '.join(said)}"
    return ""
