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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.basket_questions import WINDOW, Bench, K, Lists
from features.data.histories import Histories
from features.storage.arrays import Subfolder
from features.text.embeddings import TextVectors
from recsys.artifacts.bundle import Bundle
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.related.complements import ComplementRetriever, Complements, ComplementsConfig
from retrieval.related.substitutes import CategoryTexts

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.interactions import Interactions
    from retrieval.collaborative.item_weights import ItemWeights

DEPTH = 100  # ranked items from which substitutes are left out
SEEDS = (0, 1, 2)
RESAMPLES = 1000

# The systems: each gives ranked rows (b, DEPTH), without the basket's own items.


def ours(bench: Bench, config: ComplementsConfig) -> Lists:
    """Complements, as a page shows them."""
    row = ComplementRetriever(Complements.fit(bench.history, bench.texts, config), bench.texts, config.near)
    return lambda baskets: row.retrieve(Histories.of_baskets([basket.tolist() for basket in baskets], bench.cut), DEPTH, bench.known).rows


def item_knn(bench: Bench, config: ItemToItemConfig, of: Interactions | None = None) -> Lists:
    """Neighbours by the customers who bought both, as candidates are found."""
    return _summed(bench, ItemToItem.fit(bench.history if of is None else of, config))


def basket_knn(bench: Bench, config: ItemToItemConfig) -> Lists:
    """Neighbours by the baskets that hold both: item-kNN with baskets for customers."""
    past = bench.past
    ids = np.arange(len(past)).astype(str).astype(object)
    n = len(past.item)
    columns = {"time": np.zeros(n, np.int64), "event": np.zeros(n, np.int8), "weight": np.ones(n, np.float32)}
    columns |= {"user": past.basket.astype(np.int32), "item": past.item.astype(np.int32), "price": np.full(n, np.nan)}
    return item_knn(bench, config, replace(bench.history, user_ids=ids, value=None, calendar=None, dislikes=None, **columns))


def _summed(bench: Bench, model: ItemWeights) -> Lists:
    def lists(baskets: list[np.ndarray]) -> np.ndarray:
        rows = np.full((len(baskets), DEPTH), -1)
        for user, basket in enumerate(baskets):
            sums = np.asarray(model.weights[basket].sum(axis=0)).ravel()
            sums[basket] = 0
            items = np.flatnonzero((sums > 0) & bench.known)
            best = items[np.argsort(-sums[items], kind="stable")][:DEPTH]
            rows[user, : len(best)] = best
        return rows

    return lists


def similar(bench: Bench, texts: CategoryTexts, *, nearest: bool) -> Lists:
    """Items whose texts are near to the mean of the basket, or to one of its items; equal texts by recent buyers."""
    order = np.lexsort((-bench.popularity, texts.text_of))
    order = order[bench.known[order]]
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


def popular(bench: Bench) -> Lists:
    """What most customers bought in the last 28 days."""
    order = np.argsort(-bench.popularity, kind="stable")[: 3 * DEPTH]
    return lambda baskets: np.stack([order[~np.isin(order, basket)][:DEPTH] for basket in baskets])


def settings(bench: Bench) -> dict[str, dict[str, Callable[[], Lists]]]:
    """Return all settings of each system that are tuned, by their names."""
    grid = [(half_life, shrinkage) for half_life in (None, 60.0, 120.0, 240.0) for shrinkage in (5.0, 20.0, 50.0)]
    complements: dict[str, Callable[[], Lists]] = {
        f"half-life {half_life}, shrinkage {shrinkage}": (
            lambda h=half_life, s=shrinkage: ours(bench, ComplementsConfig(half_life=h, shrinkage=s))
        )
        for half_life, shrinkage in grid
    }
    complements |= {f"keep {n}": lambda n=n: ours(bench, ComplementsConfig(keep=n)) for n in (20, 100)}
    tried: list[tuple[str, int, float | None, str, int]] = []
    tried += [(measure, keep, None, "log", 2) for measure in ("cosine", "tfidf", "bm25") for keep in (50, 100, 300)]
    tried += [("cosine", 100, half_life, count, 2) for half_life in (90.0, 180.0) for count in ("once", "log")]
    tried += [(measure, 100, None, "log", least) for measure in ("cosine", "tfidf") for least in (5, 10, 20, 50)]
    tried += [("tfidf", 300, None, "log", least) for least in (5, 20, 50, 100)]
    knn = {
        f"{measure}, keep {keep}, half-life {half_life}, count {count}, buyers {least}": ItemToItemConfig.model_validate(
            {"measure": measure, "keep": keep, "min_buyers": least, "weighting": {"count": count, "half_life": half_life}}
        )
        for measure, keep, half_life, count, least in tried
    }
    plain = [(name, config) for name, config in knn.items() if "half-life None" in name]
    texts = {"towers": bench.towers, "encoder": bench.texts}
    return {
        "complements": complements,
        "item-kNN": {name: lambda config=config: item_knn(bench, config) for name, config in knn.items()},
        "item-kNN over baskets": {name: lambda config=config: basket_knn(bench, config) for name, config in plain},
        "similar": {
            f"{name}, {'nearest' if nearest else 'mean'}": lambda name=name, nearest=nearest: similar(bench, texts[name], nearest=nearest)
            for name in texts
            for nearest in (False, True)
        },
        "popular": {"28 days": lambda: popular(bench)},
    }


# The best settings of each system on the 28 days before the cut, by `--tune`.
CHOSEN = {
    "complements": "half-life 120.0, shrinkage 20.0",
    "item-kNN": "cosine, keep 100, half-life None, count log, buyers 5",
    "item-kNN over baskets": "tfidf, keep 300, half-life None, count log, buyers 20",
    "similar": "encoder, mean",
    "popular": "28 days",
}


def tune(bench: Bench, count: int, only: str | None, part: str) -> None:
    """Print every setting of each system, or of one, with substitutes left out of all lists."""
    questions = bench.questions(0, count)
    for system, options in settings(bench).items():
        for name, make in options.items():
            if only not in {None, system} or part not in name:
                continue
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
    figures: dict[str, object] = {
        "ratio": round(float(ours.sum() / max(other.sum(), 1e-9)), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
    }
    return figures | {"target": 1.0, "kept": bool(low > 1)}


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--baskets", type=int, default=4000)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--system", help="tune this one alone")
    parser.add_argument("--setting", default="", help="tune the settings whose names contain this")
    options = parser.parse_args()
    workspace = Workspace(options.workspace)
    catalog, log = workspace.load()
    files = Bundle.open(workspace.bundles).files
    of = {name: TextVectors.from_files(Subfolder(files, f"snapshot/{name}")) for name in ("texts", "search/texts")}
    towers, texts = (CategoryTexts.of(catalog, vectors.vectors, vectors.text_of) for vectors in of.values())
    cut = log.end - WINDOW * (2 if options.tune else 1)
    bench = Bench(log, cut, texts, towers)
    if options.tune:
        tune(bench, options.baskets, options.system, options.setting)
    else:
        judge(bench, options.baskets)


if __name__ == "__main__":
    main()
