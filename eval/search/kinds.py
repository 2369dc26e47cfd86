"""Kinds of query, as slices of a query set: what a metric over all queries hides."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from rapidfuzz.distance import OSA
from rapidfuzz.process import extractOne

from eval.search.variations import SHORTEST, words_of
from features.names import BRAND, CATEGORY, DESCRIPTION, TITLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eval.search.mixes import Scores
    from eval.search.query_set import QuerySet
    from features.data.catalog import Catalog

FEW = 5  # queries of a kind, below which no slice is made of it
_SCRIPTS = {
    "ja": r"[\u3040-\u30ff]",
    "ko": r"[\uac00-\ud7af]",
    "zh": r"[\u4e00-\u9fff]",
    "th": r"[\u0e00-\u0e7f]",
    "ru": r"[\u0400-\u04ff]",
    "el": r"[\u0370-\u03ff]",
    "ar": r"[\u0600-\u06ff]",
    "he": r"[\u0590-\u05ff]",
    "hi": r"[\u0900-\u097f]",
}
# Words and letters that one language has and its neighbours lack; "de" or "la" would say nothing.
_MARKS = {
    "de": r"[äöüß]|\b(?:für|mit|ohne|und|zum|zur|der|die|das|aus|kinder)\b",
    "es": r"[ñ¿¡]|\b(?:para|con|sin|los|las|del|el|niños|bebé)\b",
    "fr": r"[çœêèùâîû]|\b(?:pour|avec|sans|les|du|au|aux|sur|et)\b",
    "it": r"\b(?:per|senza|gli|della|delle|dello|di)\b",
    "en": r"\b(?:for|with|without|the|and|of|under|my|to)\b",
}


def language_of(query: str) -> str | None:
    """Return the language of a query by its script, else by letters and little words; None where neither says it.

    Cheap and cautious: most queries are two nouns, of which no library tells the language.
    """
    folded = query.casefold()
    by_script = next((name for name, letters in _SCRIPTS.items() if re.search(letters, folded)), None)
    return by_script or next((name for name, marks in _MARKS.items() if re.search(marks, folded)), None)


def language_slices(queries: Sequence[str]) -> dict[str, np.ndarray]:
    """Return a slice of each language with at least `FEW` queries; a set of one language gets none."""
    found = [language_of(query) for query in queries]
    slices = {f"language {name}": np.array([one == name for one in found]) for name in sorted({one for one in found if one})}
    several = {name: members for name, members in slices.items() if members.sum() >= FEW}
    return several if len(slices) > 1 else {}


def typo_slice(queries: Sequence[str], catalog: Catalog) -> np.ndarray:
    """Return the queries with a word that the catalogue lacks and that is one edit from one that it has, bool (b,)."""
    columns = (pl.col(name).fill_null("").unique() for name in (TITLE, BRAND, CATEGORY, DESCRIPTION))
    known = {word for column in columns for text in catalog.frame.select(column).to_series().to_list() for word in words_of(text)}
    by_length: dict[int, list[str]] = {}
    for word in known:
        by_length.setdefault(len(word), []).append(word)
    unknown = {word for query in queries for word in words_of(query)} - known

    def mistyped(word: str) -> bool:
        near = (other for length in (-1, 0, 1) for other in by_length.get(len(word) + length, ()))
        return len(word) >= SHORTEST and extractOne(word, list(near), scorer=OSA.distance, score_cutoff=1) is not None

    wrong = {word for word in unknown if mistyped(word)}
    return np.array([not wrong.isdisjoint(words_of(query)) for query in queries])


def no_lexical_match(queries: QuerySet, lexical: Scores, batch: int = 128) -> np.ndarray:
    """Return the queries of which no word stands in any relevant item, bool (b,): only meaning finds these items."""
    relevant, texts = queries.judgments.relevant, queries.queries
    distinct = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(distinct)}
    asked = np.array([place[text] for text in texts], dtype=np.int64)[relevant.user]
    matched = np.zeros(len(relevant.item), dtype=bool)
    for begin in range(0, len(distinct), batch):
        some = distinct[begin : begin + batch]
        scores = lexical(some, [None] * len(some))
        here = np.flatnonzero((asked >= begin) & (asked < begin + batch))
        matched[here] = scores[asked[here] - begin, relevant.item[here]] > 0
    found = np.bincount(relevant.user, matched, minlength=len(texts)) > 0
    return ~found & (relevant.counts > 0)


def head_and_tail(queries: Sequence[str], counts: Mapping[str, int], share: float = 0.5) -> dict[str, np.ndarray]:
    """Return the slices "head", the queries that were asked most and make up a share of all searches together, and "tail", all others.

    Parameters
    ----------
    counts : how often each query was asked before the cut
    """
    by_count = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    total, sums = sum(counts.values()), np.cumsum([0, *(count for _, count in by_count)])
    head = {query for (query, _), before in zip(by_count, sums.tolist(), strict=False) if before < share * total}
    in_head = np.array([query in head for query in queries], dtype=bool)
    return {"head": in_head, "tail": ~in_head}


def known_users(users: Sequence[str | None], known: set[str]) -> dict[str, np.ndarray]:
    """Return the slices of queries by users with a history and by others; none where all are alike."""
    with_history = np.array([user in known for user in users], dtype=bool)
    if with_history.all() or not with_history.any():
        return {}
    return {"known user": with_history, "unknown user": ~with_history}
