"""Summarises a bundle for the pages: sample users, categories and a map of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recsys.recommend.recommender import Recommender

USERS, CATEGORIES = 40, 500
BEST_SOLD, OTHERS = 1_000, 1_000  # items of the map
GROUPS = 7  # categories with their own shape and colour
NO_CATEGORY = "no category"
SIDE = 1_000.0  # of the map's square
MARGIN = 20.0


@dataclass(frozen=True)
class Point:
    """An item on the map: `x` and `y` from 0 to `SIDE`, `group` an index into `Map.groups`."""

    item_id: str
    title: str
    x: float
    y: float
    group: int


@dataclass(frozen=True)
class Map:
    """Items in two dimensions.

    Attributes
    ----------
    groups : list of str
        The largest categories; the last group holds all others.
    explained : float
        Share of the vectors' variance in the two dimensions.
    """

    points: list[Point]
    groups: list[str]
    explained: float

    def of_group(self, group: int) -> Map:
        """Return the map of one category, scaled to the full size."""
        points = [point for point in self.points if point.group == group]
        places = _scaled(np.array([(point.x, point.y) for point in points]).reshape(-1, 2))
        moved = [Point(p.item_id, p.title, x, y, p.group) for p, (x, y) in zip(points, places.tolist(), strict=True)]
        return Map(moved, self.groups, self.explained)


@dataclass(frozen=True)
class Overview:
    """What the pages show of a bundle."""

    recommender: Recommender

    @cached_property
    def users(self) -> list[tuple[str, int]]:
        """Ids of a sample of users with their numbers of events, fewest first."""
        log = self.recommender.snapshot.log
        counts = np.diff(log.offsets)
        order = np.argsort(counts, kind="stable")
        order = order[counts[order] > 0]
        some = order[np.unique(np.linspace(0, len(order) - 1, USERS).astype(np.int64))] if len(order) else order
        return [(str(log.user_ids[row]), int(counts[row])) for row in some.tolist()]

    @cached_property
    def categories(self) -> list[str]:
        """Top-level categories, then full paths."""
        paths = self.recommender.snapshot.catalog.frame["category"].unique().drop_nulls().to_list()
        return sorted({path.split("|")[0] for path in paths}) + sorted(path for path in paths if "|" in path)[:CATEGORIES]

    @cached_property
    def map(self) -> Map:
        """The first two principal components of the vectors that the towers compare."""
        snapshot = self.recommender.snapshot
        rows = self._sample()
        if len(rows) < 3:
            return Map([], [], 0.0)
        vectors = snapshot.space[snapshot.text_of[rows]]
        components, explained = _principal_components(vectors)
        places = _scaled(components)
        facts = self.recommender.facts(rows)
        names = [(category or NO_CATEGORY).split("|")[0] for _, _, category, _ in facts]
        counted = sorted(set(names), key=lambda name: (-names.count(name), name))
        groups = counted[:GROUPS] + (["other categories"] if len(counted) > GROUPS else [])
        place = {name: min(number, GROUPS) for number, name in enumerate(counted)}
        points = [
            Point(item, title, x, y, place[name]) for (item, title, _, _), name, (x, y) in zip(facts, names, places.tolist(), strict=True)
        ]
        return Map(points, groups, explained)

    def _sample(self) -> np.ndarray:
        """Return rows, int64 (n,): best-sellers of the last 28 days and a random sample of the rest, one per text."""
        snapshot = self.recommender.snapshot
        order = np.argsort(-snapshot.stats.columns["buyers_28"], kind="stable")
        _, first = np.unique(snapshot.text_of[order], return_index=True)
        order = order[np.sort(first)]
        best, rest = order[:BEST_SOLD], order[BEST_SOLD:]
        drawn = np.random.default_rng(0).choice(rest, min(OTHERS, len(rest)), replace=False)
        return np.concatenate([best, drawn])


def _principal_components(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Project vectors (n, dim) on two principal components, (n, 2); return them and the share of variance explained.

    Does without scikit-learn, whose import takes three seconds and a hundred megabytes.
    """
    centred = vectors - vectors.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    first = axes[:, :-3:-1]  # (dim, 2)
    # The sign of a component is arbitrary: make its largest entry positive.
    first = first * np.sign(np.take_along_axis(first, np.abs(first).argmax(axis=0)[None], axis=0))
    return centred @ first, float(variances[-2:].sum() / max(variances.sum(), 1e-12))


def _scaled(places: np.ndarray) -> np.ndarray:
    """Scale each dimension to fill the square, float (n, 2)."""
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    return MARGIN + (places - low) / np.maximum(high - low, 1e-9) * (SIDE - 2 * MARGIN)
