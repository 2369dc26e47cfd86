"""Traces an answer: what each stage did with each item of the list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from features.data.interactions import EVENTS
from features.names import BASE_LOG_ODDS
from ranking.gbdt import CROSS_ENCODER
from ranking.ranker import LOG_ODDS
from ranking.reasons import group_weights
from recsys.recommend.pipeline import RequestGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.data.histories import Histories
    from recsys.recommend.answers import Answer, Recommendation
    from recsys.recommend.pipeline import Recommender, Route
    from recsys.recommend.request import RecommendOptions
    from retrieval.candidates import Candidates

SMALLEST_SHOWN = 0.005  # log odds
HISTORY_LENGTH = 200  # items of a history that are shown
SOURCES = {
    "own": "bought before",
    "ease": "fits the history (EASE, sales trend)",
    "item_knn": "bought together (item-kNN)",
    "als": "taste (ALS)",
    "tower": "two towers",
    "popular": "popular now",
    "markov": "often bought next",
    "reviews": "fits the history by the words of reviews (EASE)",
    "texts": "words like those of the last purchases",
    "arrival": "new in the catalogue",
}
# What each group of features describes, in the order of `ranking.reasons.group_weights`; "" is for the rest.
SUBJECTS = {
    "repeat": "earlier purchases of the item",
    "item_knn": "other purchases",
    "close": "similarity to purchases",
    "category": "purchases in its category",
    "brand": "purchases of its brand",
    "popular": "its sales",
    "price": "its price against what the customer usually pays",
    "": "everything else",
}


def subjects(contributions: Sequence[tuple[str, float]]) -> list[tuple[str, float, list[str]]]:
    """Sum contributions to the log odds by subject.

    Returns
    -------
    list of (str, float, list of str)
        Subject in words, its sum and its features, strongest first; sums below `SMALLEST_SHOWN` are left out.
    """
    names = [name for name, _ in contributions]
    weights = group_weights(names)
    weights = np.column_stack([weights, weights.sum(axis=1) == 0])  # (n_features, n_subjects)
    sums = np.array([value for _, value in contributions]) @ weights
    columns = zip(SUBJECTS.values(), sums.tolist(), weights.T, strict=True)
    shown = [
        (words, total, [names[at] for at in np.flatnonzero(column)]) for words, total, column in columns if abs(total) >= SMALLEST_SHOWN
    ]
    return sorted(shown, key=lambda subject: -abs(subject[1]))


@dataclass(frozen=True)
class Steps:
    """Ranks of one item after each stage, from 1.

    Attributes
    ----------
    found_by : mapping of str to int
        Retrieval source -> rank there.
    retrieved : int
        Rank among the candidates after retrieval.
    before, after : int or None
        Rank before and after the cross-encoder; None where nothing is ranked.
    read : float or None
        Logit of the cross-encoder; None if it did not score the item.
    """

    found_by: Mapping[str, int]
    retrieved: int
    before: int | None
    after: int | None
    read: float | None


@dataclass(frozen=True)
class HistoryItem:
    """An item of a history.

    Attributes
    ----------
    times : int
        Number of events with the item.
    age : float
        Age of the last one in days, or in steps where the log knows only the order.
    """

    item_id: str
    title: str
    event: str
    times: int
    age: float


@dataclass(frozen=True)
class Trace:
    """An answer and how it was made.

    Attributes
    ----------
    steps : mapping of str to Steps
        Item id -> its ranks; empty for a list of popular items.
    events : int
        Length of the history.
    candidates : int
        Number of candidates retrieved; 0 for a list of popular items.
    read : int
        Number of candidates that the cross-encoder scored.
    """

    answer: Answer
    steps: Mapping[str, Steps]
    history: list[HistoryItem]
    events: int
    candidates: int
    read: int
    route: Route

    @cached_property
    def rank_of(self) -> dict[str, int]:
        """Item id -> rank in the list."""
        return {item.item_id: item.rank for item in self.answer.items}

    @property
    def cards(self) -> list[tuple[Recommendation, Steps | None]]:
        """The list's items with their steps."""
        return [(item, self.steps.get(item.item_id)) for item in self.answer.items]


def trace(recommender: Recommender, user: str | None, options: RecommendOptions, recent: Histories | None) -> Trace:
    """Answer one user by the same steps as the API, and record the result of each.

    Parameters
    ----------
    recent
        The user's events since the bundle was built; see `recsys.recommend.recent_events.recent_histories`.

    Raises
    ------
    DataError
        An id or a category of the options is unknown.
    """
    (_, group), *_ = RequestGroup.groups(recommender, options, [user], recent)
    candidates = group.retrieve()
    (answer,) = group.present(group.rank(candidates))
    history, events = _history(recommender, group.histories), int(group.histories.lengths[0])
    if group.route == "popular":
        return Trace(answer, {}, history, events, 0, 0, group.route)
    whole = replace(options, k=candidates.rows.shape[1], diversity=0.0, max_per_group=candidates.rows.shape[1])
    ranked = replace(group, options=whole).rank(candidates)
    read = int((~np.isnan(ranked.features.get(CROSS_ENCODER, np.full((1, 1), np.nan)))).sum())
    return Trace(answer, _steps(group, candidates, ranked, answer), history, events, int(candidates.valid.sum()), read, group.route)


def _steps(group: RequestGroup, candidates: Candidates, ranked: Candidates, answer: Answer) -> dict[str, Steps]:
    """Collect the ranks of the answer's items; `ranked` holds all candidates, ranked."""
    ids = [item.item_id for item in answer.items]
    rows = group.recommender.snapshot.catalog.rows(ids)
    places = group.recommender.retriever.places(candidates.users, rows[None], group.histories.permitted(group.mask))
    retrieved = _ranks(candidates.rows[0], np.arange(candidates.rows.shape[1]))
    before, after = (_ranks_by(ranked, name) for name in (BASE_LOG_ODDS, LOG_ODDS))
    logits = ranked.features.get(CROSS_ENCODER)
    read = {} if logits is None else dict(zip(ranked.rows[0].tolist(), logits[0].tolist(), strict=True))
    steps = {}
    for k, (item, row) in enumerate(zip(ids, rows.tolist(), strict=True)):
        found_by = {name: int(place[0, k]) + 1 for name, place in places.items() if place[0, k] >= 0}
        logit = read.get(row, np.nan)
        steps[item] = Steps(found_by, retrieved[row], before.get(row), after.get(row), None if np.isnan(logit) else logit)
    return steps


def _ranks_by(ranked: Candidates, feature: str) -> dict[int, int]:
    """Row -> rank by a score, ties in the order of the candidates; empty where the score is missing."""
    scores = ranked.features.get(feature)
    return {} if scores is None else _ranks(ranked.rows[0], np.argsort(-scores[0], kind="stable"))


def _ranks(rows: np.ndarray, order: np.ndarray) -> dict[int, int]:
    return {row: place + 1 for place, row in enumerate(rows[order].tolist()) if row >= 0}


def _history(recommender: Recommender, users: Histories) -> list[HistoryItem]:
    """Return the distinct items of the first user's history, newest first."""
    recent = users.recent_items(len(recommender.snapshot.catalog), HISTORY_LENGTH)
    at = np.flatnonzero(recent.rows[0] >= 0)[::-1]
    facts = recommender.facts(recent.rows[0][at])
    columns = (column[0][at].tolist() for column in (recent.event, recent.count, recent.age))
    return [
        HistoryItem(item, title, EVENTS[event], int(times), age)
        for (item, title, _, _), event, times, age in zip(facts, *columns, strict=True)
    ]
