"""A list as customers would be shown it, and how each of its items got there."""

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
    from recsys.recommend.pipeline import Way
    from recsys.recommend.recommender import Recommender
    from recsys.recommend.request import RecommendOptions
    from retrieval.candidates import Candidates

LEAST = 0.005  # log odds that are worth a line
PAST = 200  # items of a history that are shown
SOURCES = {
    "own": "bought before",
    "ease": "goes with the history (EASE, sales trend)",
    "item_knn": "bought together (item to item)",
    "als": "taste (ALS)",
    "tower": "two towers",
    "popular": "popular now",
    "markov": "what follows what",
    "arrival": "new in the catalogue",
}
# What each group of features speaks of; "" stands for those of no group.
SUBJECTS = {
    "repeat": "own purchases of it",
    "item_knn": "what else was bought",
    "close": "likeness to what was bought",
    "category": "own purchases in its category",
    "brand": "own purchases of its brand",
    "popular": "how it sells, and when",
    "price": "its price beside what is usual for them",
    "": "everything else",
}


def subjects(contributions: Sequence[tuple[str, float]]) -> list[tuple[str, float, list[str]]]:
    """What moved the log odds: subject in words, how much in all, and the features, the strongest first."""
    names = [name for name, _ in contributions]
    weights = group_weights(names)
    weights = np.column_stack([weights, weights.sum(axis=1) == 0])
    sums = np.array([value for _, value in contributions]) @ weights
    spoken = zip(SUBJECTS.values(), sums.tolist(), weights.T, strict=True)
    told = [(words, total, [names[at] for at in np.flatnonzero(column)]) for words, total, column in spoken if abs(total) >= LEAST]
    return sorted(told, key=lambda one: -abs(one[1]))


@dataclass(frozen=True)
class Steps:
    """Places of one item, from 1. found_by: source -> its place there. before, after: the cross-encoder; None where nothing is ranked.

    read: the cross-encoder's logit, None where it has not read the item.
    """

    found_by: Mapping[str, int]
    retrieved: int
    before: int | None
    after: int | None
    read: float | None


@dataclass(frozen=True)
class Past:
    """An item of a history. times: events with it. age: of the last one, in days, or in steps where the log knows only the order."""

    item_id: str
    title: str
    event: str
    times: int
    age: float


@dataclass(frozen=True)
class Looked:
    """An answer, and how it came about. candidates: how many retrieval found; 0 where the list is not made of candidates."""

    answer: Answer
    steps: Mapping[str, Steps]
    history: list[Past]
    events: int
    candidates: int
    read: int
    way: Way

    @cached_property
    def rank_of(self) -> dict[str, int]:
        """Item -> its place in the list."""
        return {item.item_id: item.rank for item in self.answer.items}

    @property
    def cards(self) -> list[tuple[Recommendation, Steps | None]]:
        """What is shown."""
        return [(item, self.steps.get(item.item_id)) for item in self.answer.items]


def look(recommender: Recommender, options: RecommendOptions, recent: Histories | None) -> Looked:
    """Answer one user by the very steps of the service, and keep what each stage said. recent: see
    `recsys.recommend.pipeline.recent_histories`.

    Raises
    ------
    DataError: an id or a category of the options is unknown.
    """
    (_, asked), *_ = RequestGroup.groups(recommender, options, [options.user], recent)
    found = asked.retrieve()
    (answer,) = asked.tell(asked.rank(found))
    history, events = _history(recommender, asked.histories), int(asked.histories.lengths[0])
    if asked.way == "popular":
        return Looked(answer, {}, history, events, 0, 0, asked.way)
    everything = replace(asked, options=replace(options, k=found.rows.shape[1], diversity=0.0)).rank(found)
    read = int((~np.isnan(everything.features.get(CROSS_ENCODER, np.full((1, 1), np.nan)))).sum())
    return Looked(answer, _steps(asked, found, everything, answer), history, events, int(found.valid.sum()), read, asked.way)


def _steps(asked: RequestGroup, found: Candidates, everything: Candidates, answer: Answer) -> dict[str, Steps]:
    """everything: all candidates, ranked."""
    ids = [item.item_id for item in answer.items]
    rows = asked.recommender.snapshot.catalog.rows(ids)
    named = asked.recommender.retriever.places(found.users, rows[None], asked.mask)
    retrieved = _places(found.rows[0], np.arange(found.rows.shape[1]))
    before, after = (_by(everything, name) for name in (BASE_LOG_ODDS, LOG_ODDS))
    logits = everything.features.get(CROSS_ENCODER)
    read = {} if logits is None else dict(zip(everything.rows[0].tolist(), logits[0].tolist(), strict=True))
    out = {}
    for k, (item, row) in enumerate(zip(ids, rows.tolist(), strict=True)):
        found_by = {name: int(place[0, k]) + 1 for name, place in named.items() if place[0, k] >= 0}
        logit = read.get(row, np.nan)
        out[item] = Steps(found_by, retrieved[row], before.get(row), after.get(row), None if np.isnan(logit) else logit)
    return out


def _by(everything: Candidates, features: str) -> dict[int, int]:
    """Row -> place by a score, equals in the order in which they are; nothing where there is no such score."""
    scores = everything.features.get(features)
    return {} if scores is None else _places(everything.rows[0], np.argsort(-scores[0], kind="stable"))


def _places(rows: np.ndarray, order: np.ndarray) -> dict[int, int]:
    return {row: place + 1 for place, row in enumerate(rows[order].tolist()) if row >= 0}


def _history(recommender: Recommender, users: Histories) -> list[Past]:
    """The distinct items, the newest first."""
    held = users.recent_items(len(recommender.snapshot.catalog), PAST)
    some = np.flatnonzero(held.rows[0] >= 0)[::-1]
    facts = recommender.facts(held.rows[0][some])
    columns = (column[0][some].tolist() for column in (held.event, held.count, held.age))
    return [
        Past(item, title, EVENTS[event], int(times), age) for (item, title, _, _), event, times, age in zip(facts, *columns, strict=True)
    ]
