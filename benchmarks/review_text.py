"""What the words of reviews add to recommendations: `python -m benchmarks.review_text FOLDER`.

FOLDER holds reviews.parquet: user_id, item_id, timestamp, rating, summary, text. Each user's last review is the test and the one before it
validation; the whole catalogue is ranked, items that the user has reviewed masked. The words of an item are those of the training reviews
alone: no user's last or last but one. Reviews of one user and day have no order, so chance orders them.

`without` ranks by a softmax regression on the scores of three EASE models, item-kNN and popularity; `with` has EASE beside the words of
reviews as one score more, `with_two` two of them, and `with_ratings` the item's mean rating and share of low ratings too. The regression is
fitted on the validation purchases, each score once more for items with fewer than 5 buyers, and scores are those of models that ended
before the purchase. Three orders of the reviews of one day are averaged.
A row is a JSON line: the ratio with over without, and its 95% interval over users.
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
from scipy.optimize import minimize
from scipy.special import softmax

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
    from collections.abc import Callable, Iterable

LAST = datetime(2013, 1, 1)  # the time of each user's last step
SLICES = {"all": (0, 1 << 31), "fewer than 5 buyers": (0, 5), "5 to 9 buyers": (5, 10), "10 buyers or more": (10, 1 << 31)}
SEEDS = (0, 1, 2)
RARE = 5  # buyers
L2 = 3.0  # regularisation of the regression
WITHOUT: dict[str, tuple] = {"ease": (500.0, None), "ease_recent": (200.0, 4.0), "ease_sharp": (30.0, 4.0), "item_knn": (), "popular": ()}
WITH = WITHOUT | {"words": (30.0, 4.0, 10.0)}
WITH_TWO = WITH | {"words_smooth": (500.0, 4.0, 30.0)}
WITH_RATINGS = WITH | {"rating": (), "negative": ()}
ARMS = {"without": WITHOUT, "with": WITH, "with_two": WITH_TWO, "with_ratings": WITH_RATINGS}


@dataclass(frozen=True)
class Data:
    """The reviews, in steps back from each user's last."""

    catalog: Catalog
    log: Interactions
    words: ReviewWords
    reviews: Reviews

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
        return cls(catalog, log, ReviewWords.of(reviews), reviews)

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
        return int((LAST - timedelta(days=self.back) - datetime(1970, 1, 1)).total_seconds())

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

    def item_knn(self) -> np.ndarray:
        """Scores by item-kNN."""
        return _standard(ItemToItem.fit(self.history, ItemToItemConfig(measure="tfidf")).scores(self.users))

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

    def rating(self) -> np.ndarray:
        """Mean rating of each item, drawn to the shop's."""
        return self._of_ratings(lambda ratings: ratings)

    def negative(self) -> np.ndarray:
        """Share of ratings of at most two stars, drawn to the shop's."""
        return self._of_ratings(lambda ratings: (ratings <= 2).astype(float))

    def _of_ratings(self, value: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        reviews = self.data.reviews.between(None, self.data.step(1).now)
        values, n_items = value(reviews.rating), self.data.log.n_items
        sums, counts = np.bincount(reviews.item, values, n_items), np.bincount(reviews.item, minlength=n_items)
        return _standard(np.tile((sums + RARE * values.mean()) / (counts + RARE), (len(self.users), 1)))

    @cached_property
    def sources(self) -> dict[str, np.ndarray]:
        """Scores of each source, float (users, items)."""
        return {
            name: getattr(self, name.split("_")[0] if name != "item_knn" else name)(*values)
            for name, values in (WITH_TWO | WITH_RATINGS).items()
        }

    def table(self, names: Iterable[str]) -> np.ndarray:
        """Columns of the regression, float32 (users, items, columns)."""
        rare = self.buyers < RARE
        scores = [np.clip(self.sources[name], -3, 8).astype(np.float32) for name in names]
        return np.stack([column for score in scores for column in (score, score * rare, np.sqrt(np.maximum(score, 0)))], axis=-1)


def _standard(scores: np.ndarray) -> np.ndarray:
    spread = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


def ranked(validation: Step, test: Step, names: Iterable[str]) -> np.ndarray:
    """Fit the regression on one step and return the best ten items of each user on another, int64 (users, 10)."""
    x = validation.table(names)
    mean, spread = x.mean(axis=(0, 1)), x.std(axis=(0, 1)) + 1e-6
    x, users = (x - mean) / spread, np.arange(len(x))
    bought = validation.bought.item

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.where(validation.seen, -np.inf, x @ weights.astype(np.float32))
        p = softmax(scores, axis=1)
        slope = np.einsum("ui,uif->f", p, x, optimize=True) - x[users, bought].sum(axis=0)
        return float(L2 * weights @ weights - np.log(p[users, bought]).sum()), slope.astype(float) + 2 * L2 * weights

    weights = minimize(loss, np.zeros(x.shape[-1]), jac=True, method="L-BFGS-B", options={"maxiter": 40}).x
    scores = (test.table(names) - mean) / spread @ weights.astype(np.float32)
    return top_k(np.where(test.seen, -np.inf, scores).astype(np.float32), 10)[0]


def measured(folder: Path, seed: int) -> dict[str, np.ndarray]:
    """Return NDCG@10 and recall@10 of each arm, the buyers of the item bought, and the user, float (users,) each."""
    data = Data.read(folder, seed)
    validation, test = data.step(1), data.step(0)
    out = {"buyers": test.buyers[test.bought.item], "user": test.bought.user}
    for arm, names in ARMS.items():
        rows = ranked(validation, test, names)
        out |= {f"ndcg {arm}": ndcg(rows, test.bought, 10), f"recall {arm}": recall(rows, test.bought, 10)}
        print(json.dumps({"name": "seed", "seed": seed, "arm": arm, "ndcg": round(float(out[f"ndcg {arm}"].mean()), 4)}), flush=True)
    return out


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    parts = [measured(folder, seed) for seed in SEEDS]
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for arm, measure, (name, (low, end)) in itertools.product(
        [arm for arm in ARMS if arm != "without"], ("ndcg", "recall"), SLICES.items()
    ):
        chosen = (table["buyers"] >= low) & (table["buyers"] < end)
        ours, theirs = (np.where(chosen, table[f"{measure} {one}"], np.nan) for one in (arm, "without"))
        ratio = Bootstrap(resamples=2000).paired_ratio(ours, theirs, table["user"])
        values = {"ratio": ratio.value, "low": ratio.low, "high": ratio.high, "without": np.nanmean(theirs), arm: np.nanmean(ours)}
        row = {key: round(float(value), 4) for key, value in values.items()}
        print(json.dumps({"name": f"{measure}@10, {name}", "purchases": int(chosen.sum()), **row}), flush=True)


if __name__ == "__main__":
    main()
