"""What the words of reviews add to recommendations: `python -m benchmarks.review_text FOLDER`.

FOLDER holds reviews.parquet: user_id, item_id, timestamp, rating, summary, text. Each user's last review is the test and the one before it
validation; the whole catalogue is ranked, items that the user has reviewed masked. The words of an item are those of the training reviews
alone: no user's last or last but one. Reviews of one user and day have no order, so chance orders them.

`without` mixes EASE, item-kNN and popularity; `with` has EASE beside the words of reviews as well. Both are tuned on validation by NDCG@10:
parameters of each model, then the weights of the mix. A row is a JSON line: the ratio with over without, and its 95% interval over users.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg, recall
from eval.metrics.user_items import UserItems
from features.data.catalog import Catalog
from features.data.histories import Histories
from features.data.interactions import DAY, Interactions
from features.data.reviews import Reviews
from features.names import ITEM_ID, STARS, TEXT, TIMESTAMP, TITLE, USER_ID
from retrieval.collaborative import ease
from retrieval.collaborative.ease import EASE, EASEConfig
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.collaborative.review_words import ReviewWords
from retrieval.collaborative.scoring import Weighting
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LAST = datetime(2013, 1, 1)  # noqa: DTZ001 - the time of each user's last step
SLICES = {"fewer than 5 buyers": (0, 5), "5 to 9 buyers": (5, 10), "10 buyers or more": (10, 1 << 31)}
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)
WITHOUT, WITH = ("ease", "item_knn", "popular"), ("ease", "item_knn", "popular", "words")


@dataclass(frozen=True)
class Data:
    """The reviews, in steps back from each user's last."""

    catalog: Catalog
    log: Interactions
    words: ReviewWords

    @classmethod
    def read(cls, folder: Path, seed: int) -> Data:
        """Read the reviews; `seed` orders those of one user and day."""
        table = pl.read_parquet(folder / "reviews.parquet").sort(USER_ID, TIMESTAMP, ITEM_ID)
        tie = np.random.default_rng(seed).random(len(table))
        table = table.with_columns(tie=pl.Series(tie)).sort(USER_ID, TIMESTAMP, "tie")
        back = (pl.len() - 1 - pl.int_range(pl.len())).over(USER_ID)
        table = table.with_columns((pl.lit(LAST) - pl.duration(days=back)).alias(TIMESTAMP), pl.col(STARS).cast(pl.Float64))
        catalog = Catalog.from_frame(table.select(ITEM_ID, pl.col(ITEM_ID).alias(TITLE)).unique())
        log = Interactions.from_frame(table.select(USER_ID, ITEM_ID, TIMESTAMP), catalog)
        reviews = Reviews.of(table.select(USER_ID, ITEM_ID, TIMESTAMP, STARS, TEXT, pl.col("summary").alias(TITLE)), catalog, log.user_ids)
        return cls(catalog, log, ReviewWords.of(reviews))

    def step(self, back: int) -> Step:
        """The step that lies `back` steps before each user's last."""
        return Step(self, back)


@dataclass(frozen=True)
class Step:
    """One purchase of each user to be predicted."""

    data: Data
    back: int

    @cached_property
    def now(self) -> int:
        """Start of the step."""
        return int((LAST - timedelta(days=self.back) - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001

    @cached_property
    def history(self) -> Interactions:
        """What came before the step."""
        return self.data.log.between(None, self.now)

    @cached_property
    def users(self) -> Histories:
        """The history of each user."""
        return Histories.of_users(self.history, np.arange(self.data.log.n_users), self.now)

    @cached_property
    def bought(self) -> UserItems:
        """The purchase of each user in the step."""
        label = self.data.log.between(self.now, self.now + DAY)
        return UserItems.of(label.user.astype(np.int64), label.item.astype(np.int64), label.n_users, label.n_items)

    @cached_property
    def seen(self) -> np.ndarray:
        """Items of the history, bool (users, items)."""
        seen = np.zeros((self.data.log.n_users, self.data.log.n_items), dtype=bool)
        seen[self.history.user, self.history.item] = True
        return seen

    @cached_property
    def buyers(self) -> np.ndarray:
        """Buyers of each item in training, int (items,)."""
        training = self.data.step(1).history
        return np.bincount(training.item, minlength=training.n_items)

    def ease(self, l2: float, half_life: float | None) -> np.ndarray:
        """Scores by EASE, standardised by user."""
        config = EASEConfig(l2=l2, weighting=Weighting(half_life=half_life))
        return _standard(EASE.fit(self.history, config).scores(self.users))

    def item_knn(self, measure: str, half_life: float | None) -> np.ndarray:
        """Scores by item-kNN."""
        config = ItemToItemConfig(measure=measure, weighting=Weighting(half_life=half_life))  # pyright: ignore[reportArgumentType]
        return _standard(ItemToItem.fit(self.history, config).scores(self.users))

    def popular(self) -> np.ndarray:
        """Logarithm of the buyers."""
        scores = np.log1p(np.bincount(self.history.item, minlength=self.history.n_items))
        return _standard(np.tile(scores, (len(self.users), 1)))

    def words(self, l2: float, half_life: float | None, weight: float) -> np.ndarray:
        """Scores by EASE beside the words of the training reviews."""
        ease.WORDS = weight
        config = EASEConfig(l2=l2, weighting=Weighting(half_life=half_life))
        words = self.data.words.before(self.data.step(1).now)
        return _standard(EASE.fit(self.history, config, words).scores(self.users))

    def ranked(self, scores: np.ndarray) -> np.ndarray:
        """Best ten items of each user, int64 (users, 10)."""
        return top_k(np.where(self.seen, -np.inf, scores).astype(np.float32), 10)[0]

    def ndcg(self, scores: np.ndarray) -> np.ndarray:
        """NDCG@10 of each user."""
        return ndcg(self.ranked(scores), self.bought, 10)


def _standard(scores: np.ndarray) -> np.ndarray:
    spread = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


GRID: dict[str, list[tuple]] = {
    "ease": list(itertools.product((100.0, 200.0, 500.0, 1000.0), (None, 4.0, 2.0))),
    "item_knn": list(itertools.product(("cosine", "tfidf", "bm25"), (None, 4.0, 2.0))),
    "popular": [()],
    "words": list(itertools.product((100.0, 200.0, 500.0, 1000.0), (4.0, 2.0), (10.0, 30.0, 60.0))),
}


def tune(step: Step) -> dict[str, dict[str, tuple[tuple, float]]]:
    """Return parameters and weight of each source, of the mix without words and of the one with them.

    The words' parameters are chosen inside the mix: alone, they would repeat EASE.
    """
    best = {}
    for name in WITHOUT:
        tried = {values: getattr(step, name)(*values) for values in GRID[name]}
        chosen = max(tried, key=lambda values: np.nanmean(step.ndcg(tried[values])))
        best[name] = chosen, tried[chosen]
    mixed, start = _weights(step, {name: scores for name, (_, scores) in best.items()}, {"ease": 1.0})
    base = _mix({name: scores for name, (_, scores) in best.items()}, mixed)
    tried = {values: step.words(*values) for values in GRID["words"]}
    values = max(tried, key=lambda values: max(np.nanmean(step.ndcg(base + weight * tried[values])) for weight in (0.5, 1.0, 2.0)))
    weights, top = _weights(step, {name: scores for name, (_, scores) in best.items()} | {"words": tried[values]}, mixed)
    print(json.dumps({"name": "validation", "without": start, "with": top}), flush=True)
    settings = {name: chosen for name, (chosen, _) in best.items()}
    without = {name: (settings[name], mixed[name]) for name in WITHOUT}
    return {"without": without, "with": {name: (settings.get(name, values), weights[name]) for name in WITH}}


def _weights(step: Step, sources: Mapping[str, np.ndarray], start: Mapping[str, float]) -> tuple[dict[str, float], float]:
    """Choose the weights of a mix one after the other until none improves."""
    weights = {name: start.get(name, 0.0) for name in sources}
    score, before = float(np.nanmean(step.ndcg(_mix(sources, weights)))), -1.0
    while score > before:
        before = score
        for name, weight in itertools.product(sources, WEIGHTS):
            tried = weights | {name: weight}
            if any(tried.values()) and (found := float(np.nanmean(step.ndcg(_mix(sources, tried))))) > score:
                weights, score = tried, found
    return weights, score


def _mix(sources: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    return np.sum([weight * sources[name] for name, weight in weights.items() if weight], axis=0)


def rows(step: Step, settings: Mapping[str, Mapping[str, tuple[tuple, float]]]) -> Iterator[dict]:
    """Yield the ratios on a step, of all users and by the buyers of the item bought."""
    lists = {}
    for arm, sources in settings.items():
        scores = {name: getattr(step, name)(*values) for name, (values, weight) in sources.items() if weight}
        lists[arm] = step.ranked(_mix(scores, {name: weight for name, (_, weight) in sources.items()}))
    buyers = step.buyers[step.bought.item]
    slices = {"all": np.ones(len(buyers), dtype=bool)} | {name: (buyers >= low) & (buyers < end) for name, (low, end) in SLICES.items()}
    for measure, (name, chosen) in itertools.product((ndcg, recall), slices.items()):
        without, with_words = (measure(lists[arm], step.bought, 10)[chosen] for arm in ("without", "with"))
        ratio = Bootstrap(resamples=5000).paired_ratio(with_words, without)
        facts = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high, "users": ratio.users}
        yield {"name": f"{measure.__name__}@10, {name}", **facts, "without": without.mean(), "with": with_words.mean()}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Data.read(options.folder, options.seed)
    settings = tune(data.step(1))
    print(json.dumps({"name": "settings", **settings}), flush=True)
    for row in rows(data.step(0), settings):
        print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
