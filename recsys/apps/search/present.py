"""The last stage of a search: hits with price and reason, how the query was read, facets, and why a list is not what was asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from features.names import DENSE_SCORE, LEXICAL_SCORE, PREFERENCE, RELEVANCE
from ranking.reasons import GROUPS
from recsys.apps.search.answers import AppliedFilter, Hit, SearchAnswer
from recsys.apps.search.facets import facets_of
from retrieval.lexical.analyzer import fold

if TYPE_CHECKING:
    from recsys.apps.search.pipeline import SearchGroup
    from recsys.apps.search.reading import Reading
    from retrieval.candidates import Candidates
    from retrieval.lexical.analyzer import Analyzer
    from retrieval.lexical.query import QueryFilter

FITTING = 0.5  # of the best relevance: items that count in facets
NO_WORDS = "the query holds no word: type what you look for"
NOTHING = "no item meets the filters: remove one of them"
NEAREST = "no item has these words: nearest in meaning"


def present(group: SearchGroup, best: Candidates) -> list[SearchAnswer]:
    """Make one answer a query from its ranked candidates."""
    recommender = group.search.recommender
    shown = best.first(group.k)
    only_repeats = np.zeros((len(GROUPS), *shown.rows.shape), dtype=np.float32)
    only_repeats[list(GROUPS).index("repeat")] = 1
    reasons = recommender.reasons.explain(shown, only_repeats)
    answers = []
    for b, ((query, user), reading) in enumerate(zip(group.queries, group.readings, strict=True)):
        rows = shown.rows[b][shown.rows[b] >= 0]
        items = []
        for place, facts in enumerate(recommender.facts(rows)):
            row = int(rows[place])
            own = reasons[b][place].text if row in reasons[b][place].named else ""
            why = "; ".join(part for part in (own, _matched(group, reading, row)) if part) or reasons[b][place].text
            features = {
                name: float(shown.features[name][b, place])
                for name in (RELEVANCE, LEXICAL_SCORE, DENSE_SCORE, PREFERENCE)
                if name in shown.features
            }
            parts = tuple((name, value) for name, value in features.items() if not np.isnan(value)) if group.options.explain else ()
            items.append(Hit(place + 1, *facts, float(shown.scores[b, place]), None, why, parts))
        relaxed = group.relaxed[b]
        fitting = best.rows[b][best.valid[b] & _fits(best, b)]
        answers.append(
            SearchAnswer(
                query=query,
                user_id=user,
                bundle_id=recommender.bundle_id,
                items=tuple(items),
                read_as=reading.wordings[0].text if reading.wordings else reading.query.cleaned,
                corrections=tuple((one.typed, one.read) for one in reading.query.corrections),
                did_you_mean=None,
                filters=tuple(AppliedFilter(one.key, label(one), one.words, one in relaxed) for one in reading.filters),
                facets=facets_of(recommender.snapshot, fitting),
                fallback=_fallback(best, b, reading),
            )
        )
    return answers


def _fits(best: Candidates, b: int) -> np.ndarray:
    if RELEVANCE not in best.features:
        return best.valid[b]
    relevance = np.nan_to_num(best.features[RELEVANCE][b], nan=0.0)
    return relevance >= FITTING * max(float(relevance.max(initial=0)), 1e-9)


def _fallback(best: Candidates, b: int, reading: Reading) -> str | None:
    if not best.valid[b].any():
        return NOTHING if reading.wordings else NO_WORDS
    if not reading.wordings or LEXICAL_SCORE not in best.features:
        return None
    top = np.nan_to_num(best.features[LEXICAL_SCORE][b][best.valid[b]][:10], nan=0.0)
    return NEAREST if top.max(initial=0) <= 0 else None


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
        case _:
            names = one.value if isinstance(one.value, tuple) else (str(one.value),)
            return f"in {', '.join(name.rsplit('|', 1)[-1] for name in names[:3])}"


@lru_cache(maxsize=1 << 15)
def _read(word: str, analyzer: Analyzer) -> tuple[tuple[str, ...], str]:
    """Return what a word of a title is found by, and the word as it is shown."""
    return tuple(analyzer.index_words(word)), fold(word).strip(".,:;()[]\"'")


def _matched(group: SearchGroup, reading: Reading, row: int) -> str:
    """Say which words of the item the query has; else its category."""
    words = group.search.words
    frame = group.search.recommender.snapshot.catalog.frame
    title, category, brand = frame["title"][row], frame["category"][row], frame["brand"][row]
    tokens = {token for wording in reading.wordings for token in wording.tokens}
    found = []
    for text in (title, (category or "").rsplit("|", 1)[-1], brand or ""):
        for word in text.replace("/", " ").split():
            held, name = _read(word, words.index.analyzer)
            if not tokens.isdisjoint(held):
                found.append(name)
    if found:
        return f"matches: {' '.join(dict.fromkeys(found))}"
    return f"near in meaning: {category.rsplit('|', 1)[-1]}" if category else "near in meaning"
