"""Complements: the held-out item of a basket, beside item-kNN, items with similar texts, and what is popular.

    python -m benchmarks.complements --workspace DIR [--baskets 4000] [--tune]

The workspace has a bundle, for the vectors of texts, and a log that goes on for 28 days after the bundle was trained. Of each basket of
those days (a customer and a day) one item is drawn that is no substitute of the others and was sold before; the others are the left
side, and the whole catalogue is ranked. Everything is fitted before the cut. `--tune` prints each setting on the 28 days before the cut,
fitted before those. One JSON line a row: hit rate@10 as a ratio, with a paired bootstrap over customers, whose baskets go together.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.data.interactions import DAY
from features.storage.arrays import Subfolder
from features.text.embeddings import TextVectors
from recsys.artifacts.bundle import Bundle
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.collaborative.popularity import Popularity
from retrieval.collaborative.scoring import Weighting
from retrieval.related.complements import BoughtTogether, Complements, ComplementsConfig
from retrieval.related.purchases import Baskets
from retrieval.related.substitutes import ItemTexts, SameCustomers, Substitutes, row_products

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.interactions import Interactions
    from retrieval.collaborative.item_weights import ItemWeights

K = 10
DEPTH = 100  # ranked items from which substitutes are left out
WINDOW = 28 * DAY
SEEDS = (0, 1, 2)
RESAMPLES = 1000
BATCH = 256
Lists = Callable[[list[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Questions:
    """Baskets without one of their items."""

    user: np.ndarray
    baskets: list[np.ndarray]
    target: np.ndarray


@dataclass(frozen=True)
class Bench:
    """A log at a cut, with the texts of its items.

    Attributes
    ----------
    towers : the texts as the towers see them, for `recsys similar`.
    """

    log: Interactions
    cut: int
    texts: ItemTexts
    towers: ItemTexts

    @cached_property
    def history(self) -> Interactions:
        """What was known at the cut."""
        return self.log.between(None, self.cut)

    @cached_property
    def known(self) -> np.ndarray:
        """Items that had sold, bool (n_items,)."""
        return np.bincount(self.history.item, minlength=self.log.n_items) > 0

    @cached_property
    def popularity(self) -> np.ndarray:
        """Recent buyers of each item."""
        return Popularity.fit(self.history, self.cut).ranking

    @cached_property
    def _past(self) -> Baskets:
        return Baskets.of(self.history)

    @cached_property
    def _rule(self) -> Substitutes:
        return Substitutes(self.texts, SameCustomers.of(self._past), ComplementsConfig().near)

    @cached_property
    def _by_item(self):  # noqa: ANN202
        return self._past.matrix.T.tocsr()

    def substitutes(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return which pairs of items are substitutes as known at the cut, bool (m,)."""
        found = self.texts.same_category(first, second)
        pairs = np.flatnonzero(found)
        first, second = first[pairs], second[pairs]
        found[pairs] = self._rule.among(first, second, row_products(self._by_item, first, second))
        return found

    def questions(self, seed: int, count: int) -> Questions:
        """Draw baskets of the window after the cut, and an item of each."""
        window = Baskets.of(self.log.between(self.cut, self.cut + WINDOW))
        draw = np.random.default_rng(seed)
        user, baskets, target = [], [], []
        lines = np.split(window.item, np.searchsorted(window.basket, np.arange(1, len(window))))
        for basket in draw.permutation(len(window))[:count].tolist():
            items = lines[basket][self.known[lines[basket]]]
            if len(items) < 2:
                continue
            pair = self.substitutes(np.repeat(items, len(items)), np.tile(items, len(items))).reshape(len(items), -1)
            np.fill_diagonal(pair, val=False)
            eligible = np.flatnonzero(~pair.any(axis=1))
            if not len(eligible):
                continue
            place = int(draw.choice(eligible))
            user.append(window.user[basket])
            baskets.append(np.delete(items, place))
            target.append(items[place])
        return Questions(np.array(user), baskets, np.array(target))

    def without_substitutes(self, lists: np.ndarray, baskets: Sequence[np.ndarray]) -> np.ndarray:
        """Leave out of each list what could replace an item of the basket, and keep the order of the others."""
        user = np.repeat(np.arange(len(baskets)), [len(basket) * lists.shape[1] for basket in baskets])
        first = np.concatenate([np.repeat(basket, lists.shape[1]) for basket in baskets])
        place = np.concatenate([np.tile(np.arange(lists.shape[1]), len(basket)) for basket in baskets])
        second = lists[user, place]
        real = second >= 0
        hit = np.zeros(len(second), dtype=bool)
        hit[real] = self.substitutes(first[real], second[real])
        drop = np.zeros(lists.shape, dtype=bool)
        drop[user[hit], place[hit]] = True
        order = np.argsort(drop, axis=1, kind="stable")
        return np.take_along_axis(np.where(drop, -1, lists), order, axis=1)

    def found_at(self, lists: Lists, questions: Questions, *, filtered: bool) -> np.ndarray:
        """Return the place of each target in its list, from 1; inf beyond `K`."""
        places = []
        for begin in range(0, len(questions.target), BATCH):
            part = slice(begin, begin + BATCH)
            rows = lists(questions.baskets[part])
            rows = (self.without_substitutes(rows, questions.baskets[part]) if filtered else rows)[:, :K]
            same = rows == questions.target[part, None]
            places.append(np.where(same.any(axis=1), same.argmax(axis=1) + 1.0, np.inf))
        return np.concatenate(places)

    # The systems: each gives ranked rows (b, DEPTH), without the basket's own items.

    def ours(self, config: ComplementsConfig) -> Lists:
        """Complements, as a page shows them."""
        row = BoughtTogether(Complements.fit(self.history, self.texts, config), self.texts, config.near)
        return lambda baskets: row.retrieve(Histories.of_baskets(baskets, self.cut), DEPTH, self.known).rows

    def item_knn(self, config: ItemToItemConfig, of: Interactions | None = None) -> Lists:
        """Neighbours by the customers who bought both, as candidates are found."""
        return self._summed(ItemToItem.fit(self.history if of is None else of, config))

    def basket_knn(self, config: ItemToItemConfig) -> Lists:
        """Neighbours by the baskets that hold both: item-kNN with baskets for customers."""
        past = self._past
        ids = np.arange(len(past)).astype(str).astype(object)
        n = len(past.item)
        columns = {"time": np.zeros(n, np.int64), "event": np.zeros(n, np.int8), "weight": np.ones(n, np.float32)}
        columns |= {"user": past.basket.astype(np.int32), "item": past.item.astype(np.int32), "price": np.full(n, np.nan)}
        return self.item_knn(config, replace(self.history, user_ids=ids, value=None, calendar=None, dislikes=None, **columns))

    def _summed(self, model: ItemWeights) -> Lists:
        def lists(baskets: list[np.ndarray]) -> np.ndarray:
            rows = np.full((len(baskets), DEPTH), -1)
            for user, basket in enumerate(baskets):
                sums = np.asarray(model.weights[basket].sum(axis=0)).ravel()
                sums[basket] = 0
                items = np.flatnonzero((sums > 0) & self.known)
                best = items[np.argsort(-sums[items], kind="stable")][:DEPTH]
                rows[user, : len(best)] = best
            return rows

        return lists

    def similar(self, texts: ItemTexts, *, nearest: bool) -> Lists:
        """Items whose texts are near to the mean of the basket, or to one of its items; equal texts by recent buyers."""
        order = np.lexsort((-self.popularity, texts.text_of))
        order = order[self.known[order]]
        starts = np.searchsorted(texts.text_of[order], np.arange(len(texts.vectors) + 1))

        def lists(baskets: list[np.ndarray]) -> np.ndarray:
            rows = np.full((len(baskets), DEPTH), -1)
            for user, basket in enumerate(baskets):
                held = texts.vectors[texts.text_of[basket]]
                cosine = (texts.vectors @ held.T).max(axis=1) if nearest else texts.vectors @ held.mean(axis=0)
                items = np.concatenate([order[starts[text] : starts[text + 1]] for text in np.argsort(-cosine, kind="stable")[:DEPTH]])
                best = items[~np.isin(items, basket)][:DEPTH]
                rows[user, : len(best)] = best
            return rows

        return lists

    def popular(self) -> Lists:
        """What most customers bought in the last 28 days."""
        order = np.argsort(-self.popularity, kind="stable")[: 3 * DEPTH]
        return lambda baskets: np.stack([order[~np.isin(order, basket)][:DEPTH] for basket in baskets])


def settings(bench: Bench) -> dict[str, dict[str, Callable[[], Lists]]]:
    """Return all settings of each system that are tuned, by their names."""
    grid = [(half_life, shrinkage) for half_life in (None, 60.0, 120.0, 240.0) for shrinkage in (5.0, 20.0, 50.0)]
    ours = {
        f"half-life {half_life}, shrinkage {shrinkage}": (
            lambda h=half_life, s=shrinkage: bench.ours(ComplementsConfig(half_life=h, shrinkage=s))
        )
        for half_life, shrinkage in grid
    }
    ours |= {f"keep {keep}": lambda keep=keep: bench.ours(ComplementsConfig(keep=keep)) for keep in (20, 100)}
    tried = [(measure, None, keep, "log") for measure in ("cosine", "tfidf", "bm25") for keep in (50, 100, 300)]
    tried += [("cosine", half_life, 100, count) for half_life in (90.0, 180.0) for count in ("once", "log")] + [
        ("cosine", None, 100, "once")
    ]
    knn = {
        f"{measure}, keep {keep}, half-life {half_life}, count {count}": ItemToItemConfig(
            measure=measure, keep=keep, weighting=Weighting(count=count, half_life=half_life)
        )
        for measure, half_life, keep, count in tried
    }
    plain = [(name, config) for name, config in knn.items() if "half-life None" in name]
    texts = {"towers": bench.towers, "encoder": bench.texts}
    return {
        "complements": ours,
        "item-kNN": {name: lambda config=config: bench.item_knn(config) for name, config in knn.items()},
        "item-kNN over baskets": {name: lambda config=config: bench.basket_knn(config) for name, config in plain},
        "similar": {
            f"{name}, {'nearest' if nearest else 'mean'}": lambda name=name, nearest=nearest: bench.similar(texts[name], nearest=nearest)
            for name in texts
            for nearest in (False, True)
        },
        "popular": {"28 days": bench.popular},
    }


# The best settings of each system on the 28 days before the cut, by `--tune`.
CHOSEN = {
    "complements": "half-life 120.0, shrinkage 20.0",
    "item-kNN": "cosine, keep 100, half-life None, count log",
    "item-kNN over baskets": "cosine, keep 100, half-life None, count log",
    "similar": "towers, mean",
    "popular": "28 days",
}


def tune(bench: Bench, count: int) -> None:
    """Print every setting, with substitutes left out of all lists."""
    questions = bench.questions(0, count)
    for system, options in settings(bench).items():
        for name, make in options.items():
            places = bench.found_at(make(), questions, filtered=system != "complements")
            print(json.dumps({"system": system, "setting": name, **_figures(places)}), flush=True)


def judge(bench: Bench, count: int) -> None:
    """Print the chosen settings at the cut, and ours as a ratio to each of the others."""
    questions = [bench.questions(seed, count) for seed in SEEDS]
    user = np.concatenate([each.user for each in questions])
    places: dict[str, np.ndarray] = {}
    for system, name in CHOSEN.items():
        lists = settings(bench)[system][name]()
        for filtered in (False, True) if system not in {"complements", "popular"} else (system == "popular",):
            label = f"{system}, substitutes left out" if filtered else system
            places[label] = np.concatenate([bench.found_at(lists, each, filtered=filtered) for each in questions])
            by_seed = [
                round(float((part <= K).mean()), 4) for part in np.split(places[label], np.cumsum([len(q.target) for q in questions])[:-1])
            ]
            print(json.dumps({"name": label, **_figures(places[label]), "seeds": by_seed}), flush=True)
    ours = places.pop("complements")
    for label, other in places.items():
        for metric, value in {"hit rate@10": _hit, "MRR@10": _reciprocal}.items():
            print(json.dumps({"name": f"complements: {metric} against {label}", **_ratio(value(ours), value(other), user)}), flush=True)


def _hit(places: np.ndarray) -> np.ndarray:
    return np.isfinite(places).astype(np.float64)


def _reciprocal(places: np.ndarray) -> np.ndarray:
    return 1 / places


def _figures(places: np.ndarray) -> dict[str, float]:
    return {"hit_rate": round(float(_hit(places).mean()), 4), "mrr": round(float(_reciprocal(places).mean()), 4), "baskets": len(places)}


def _ratio(ours: np.ndarray, other: np.ndarray, user: np.ndarray) -> dict[str, object]:
    """Return the ratio of two means with its interval; customers are drawn, with all their baskets."""
    owner = np.unique(user, return_inverse=True)[1]
    sums = np.stack([np.bincount(owner, ours), np.bincount(owner, other)])
    draw = np.random.default_rng(0)
    drawn = np.stack([sums[:, draw.integers(sums.shape[1], size=sums.shape[1])].sum(axis=1) for _ in range(RESAMPLES)])
    low, high = np.quantile(drawn[:, 0] / np.maximum(drawn[:, 1], 1e-9), [0.025, 0.975])
    figures = {"ratio": round(float(ours.sum() / max(other.sum(), 1e-9)), 3), "low": round(float(low), 3), "high": round(float(high), 3)}
    return figures | {"target": 1.0, "kept": bool(low > 1)}


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--baskets", type=int, default=4000)
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    workspace = Workspace(options.workspace)
    catalog, log = workspace.load()
    files = Bundle.open(workspace.bundles).files
    of = {name: TextVectors.from_files(Subfolder(files, f"snapshot/{name}")) for name in ("texts", "search/texts")}
    towers, texts = (ItemTexts.of(catalog, vectors.vectors, vectors.text_of) for vectors in of.values())
    cut = log.end - WINDOW * (2 if options.tune else 1)
    (tune if options.tune else judge)(Bench(log, cut, texts, towers), options.baskets)


if __name__ == "__main__":
    main()
