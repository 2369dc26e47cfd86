"""Who buys a product within 28 days: the audience beside what a marketer would do by hand, item by item, over all customers.

    python -m benchmarks.audience --workspace DIR [--items 500] [--seed 0]

The workspace has a bundle that was trained until a date, and a log that goes on for 28 days after it. One JSON line a row: mean average
precision of the two sides as a ratio, with a paired bootstrap over items. New buyers are ranked among the customers who had never bought
the item, repeat buyers among those who had. Products that nobody had bought are those of the first sales in the window.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import average_precision_score

from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import ALS_SCORE, BUYERS_EVER, CATEGORY, GROUP_LAST, LIKE_TEXT, OWN_COUNT, TOWER_SCORE, USER_LAST
from recsys.apps.customers.audience.fitting import WINDOW, PastWindow, models_of
from recsys.apps.customers.audience.pair_features import PairFeatures
from recsys.apps.customers.audience.products import Products
from recsys.recommend.open import open_recommender
from recsys.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsys.apps.customers.audience.fitting import AudienceModels
    from recsys.apps.customers.audience.products import Product
    from recsys.recommend.pipeline import Recommender

AT_ONCE = 100
RESAMPLES = 1000
MAILED = 100
SUMMED = "summed text"
Rows = dict[str, list[float]]


@dataclass(frozen=True)
class Bench:
    """A bundle at its moment, and what was bought in the window after it."""

    recommender: Recommender
    models: AudienceModels
    window: PastWindow

    @classmethod
    def of(cls, workspace: Workspace) -> Bench:
        """Open a workspace whose log goes on after its bundle."""
        recommender = open_recommender(workspace)
        now = recommender.snapshot.now
        _, log = workspace.load()
        rows = recommender.snapshot.log.user_rows(log.user_ids.tolist())
        after = log.between(now, now + WINDOW * DAY)
        after = after.where(np.isin(after.event, LABEL_EVENTS) & (rows[after.user] >= 0))
        return cls(recommender, models_of(recommender, workspace.cache), PastWindow(recommender, rows[after.user], after.item, 0))

    def sold(self, count: int, seed: int) -> tuple[Rows, Rows]:
        """Return average precisions of new and of repeat buyers, and of sales, of items that had sold and were bought in the window."""
        stats = self.recommender.snapshot.stats.columns
        items = np.unique(self.window.item)
        items = items[stats[BUYERS_EVER][items] > 0]
        chosen = np.random.default_rng(seed).permutation(items)[:count].tolist()
        makes, users = Products(self.recommender), self._users
        new: Rows = {"ours": [], "category": [], "als": []}
        repeat: Rows = {"ours": [], "category": [], "als": []}
        for some, features in self._batches([makes.item(row) for row in chosen]):
            table = features.of("sold", some)
            bought = self.window.bought(users, some)
            recent = -np.nan_to_num(table[GROUP_LAST.format(CATEGORY)], nan=1e5) - 1e-6 * np.nan_to_num(table[USER_LAST], nan=1e5)
            sides = {"ours": self.models.models["sold"].log_odds(table), "category": recent, "als": table[ALS_SCORE]}
            owned = table[OWN_COUNT] > 0
            for column in range(len(some)):
                for rows, pool in ((new, ~owned[:, column]), (repeat, owned[:, column])):
                    _add(rows, bought[pool, column], {name: scores[pool, column] for name, scores in sides.items()})
        return new, repeat

    def unsold(self, count: int, seed: int) -> Rows:
        """Return average precisions of products whose first sale lies in the window."""
        stats = self.recommender.snapshot.stats.columns
        items = np.unique(self.window.item)
        chosen = np.random.default_rng(seed).permutation(items[stats[BUYERS_EVER][items] == 0])[:count].tolist()
        makes, rows = Products(self.recommender), {"ours": [], "mean text": [], "nearest text": [], SUMMED: []}
        for some, features in self._batches([makes.unsold(row) for row in chosen]):
            table = features.of("unsold", some)
            sides = {"ours": self.models.models["unsold"].log_odds(table), "mean text": table[TOWER_SCORE]}
            sides |= {SUMMED: table[LIKE_TEXT], "nearest text": features.nearest_text(some)}
            bought = self.window.bought(self._users, some)
            for column in range(len(some)):
                _add(rows, bought[:, column], {name: scores[:, column] for name, scores in sides.items()})
        return rows

    def sales(self, count: int, seed: int) -> tuple[float, float, int]:
        """Return what came over what was expected of mailings to the best, the share of intervals that hold it, and their number.

        The items are drawn by what was known before the window, as when a marketer asks.
        """
        products = self.window.products("sold", np.random.default_rng(seed), bought=False)[:count]
        model = self.models.models["sold"]
        expected, came, covered = 0.0, 0.0, 0
        for some, features in self._batches(products):
            odds = model.log_odds(features.of("sold", some))
            chances, bought = model.calibration(odds), self.window.bought(self._users, some)
            for column in range(len(some)):
                best = np.argsort(-odds[:, column], kind="stable")[:MAILED]
                told, actual = model.sales(chances[best, column]), int(bought[best, column].sum())
                expected, came = expected + told.expected, came + actual
                covered += told.low <= actual <= told.high
        return came / max(expected, 1e-9), covered / max(len(products), 1), len(products)

    @property
    def _users(self) -> np.ndarray:
        return np.unique(self.recommender.snapshot.log.user)

    def _batches(self, products: Sequence[Product]) -> Iterator[tuple[Sequence[Product], PairFeatures]]:
        snapshot = self.recommender.snapshot
        features = PairFeatures(self.recommender, Histories.of_users(snapshot.log, self._users, snapshot.now))
        for start in range(0, len(products), AT_ONCE):
            yield products[start : start + AT_ONCE], features


def _add(rows: Rows, bought: np.ndarray, sides: dict[str, np.ndarray]) -> None:
    if bought.any():
        for name, scores in sides.items():
            rows[name].append(float(average_precision_score(bought, scores)))


def _row(name: str, rows: Rows, target: float, seed: int) -> dict[str, object]:
    """Compare ours with the better of the others, which is chosen by its mean."""
    means = {side: float(np.mean(values)) for side, values in rows.items()}
    best = max((side for side in rows if side != "ours"), key=means.__getitem__)
    ours, other = np.array(rows["ours"]), np.array(rows[best])
    drawn = np.random.default_rng(seed).integers(len(ours), size=(RESAMPLES, len(ours)))
    ratios = ours[drawn].mean(axis=1) / other[drawn].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    ratio = means["ours"] / means[best]
    rounded = {side: round(value, 4) for side, value in means.items()}
    figures = {"ratio": round(ratio, 3), "low": round(float(low), 3), "high": round(float(high), 3)}
    return {"name": name, **figures, "target": target, "kept": ratio >= target, "against": best, "precision": rounded, "items": len(ours)}


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    bench = Bench.of(Workspace(options.workspace))
    new, repeat = bench.sold(options.items, options.seed)
    print(json.dumps(_row("audience: new buyers", new, 1.2, options.seed)), flush=True)
    print(json.dumps(_row("audience: repeat buyers", repeat, 1.0, options.seed)), flush=True)
    unsold = bench.unsold(options.items, options.seed)
    own = {side: unsold.pop(side) if side == SUMMED else unsold[side] for side in ("ours", SUMMED)}
    print(json.dumps(_row("audience: products never sold before", unsold, 1.3, options.seed)), flush=True)
    # The scorer of `recommend --unsold`, which sums over purchases instead of taking the nearest; no target was set against it.
    print(json.dumps(_row("audience: products never sold before, summed text", own, 1.0, options.seed)), flush=True)
    ratio, covered, count = bench.sales(options.items, options.seed)
    print(
        json.dumps({"name": "audience: buyers over expected", "ratio": round(ratio, 3), "mailings": count, "covered": round(covered, 3)}),
        flush=True,
    )


if __name__ == "__main__":
    main()
