"""Which part of the collaborative fits and of the statistics is a sum over users, in processor seconds.

    python -m benchmarks.fit_sums [--events N] [--rounds N]

A sum over users could be added up from partitions of users: the matrix of histories, the Gram matrix of EASE, the counts of popularity and
of transitions, and the statistics of items without the median price. The solvers of EASE and ALS and the neighbours of ItemKNN, which the
library `implicit` computes of the whole matrix, are none. `ratio` is the share of a fit that is a sum. The log is made up.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.paired import say
from benchmarks.scale.unit_costs import made_catalog, made_log
from features.behavior.item_stats import ItemStats, median_paid
from retrieval.collaborative.als import ALS, ALSConfig
from retrieval.collaborative.ease import EASE, EASEConfig, _gram
from retrieval.collaborative.item_knn import ItemToItem, ItemToItemConfig
from retrieval.collaborative.markov import Markov, _strongest
from retrieval.collaborative.popularity import Popularity
from retrieval.collaborative.scoring import log_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.interactions import Interactions

Seconds = tuple[float, float]  # of a whole fit, and of the part that is a sum


def main() -> None:
    """Print a row for each fit, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    log = made_log(given.events)
    fits = {"ease": ease, "item_knn": item_knn, "als": als, "markov": markov, "popularity": popularity, "statistics": statistics}
    taken = {name: np.array([fit(log) for _ in range(given.rounds)]) for name, fit in fits.items()}
    for name, seconds in (taken | {"all": np.sum(list(taken.values()), axis=0)}).items():
        cpu = [round(float(value), 2) for value in np.median(seconds, axis=0)]
        say(f"fit_sums_{name}", seconds[:, 1] / seconds[:, 0], None, None, events=given.events, users=log.n_users, cpu_s=cpu)


def cost(work: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    """Return the processor seconds of a call, all threads included, and its result."""
    begun = time.process_time()
    made = work(*given)
    return time.process_time() - begun, made


def ease(log: Interactions) -> Seconds:
    """Time EASE: its sums are the histories' matrix and the Gram matrix."""
    config = EASEConfig()
    whole, model = cost(EASE.fit, log, config)
    of_matrix, matrix = cost(log_matrix, log, config.weighting)
    items = np.flatnonzero(np.diff(model.weights.indptr))
    return whole, of_matrix + cost(_gram, matrix[:, items])[0]


def item_knn(log: Interactions) -> Seconds:
    """Time ItemKNN: its sum is the histories' matrix."""
    config = ItemToItemConfig()
    return cost(ItemToItem.fit, log, config)[0], cost(log_matrix, log, config.weighting)[0]


def als(log: Interactions) -> Seconds:
    """Time ALS: its sum is the histories' matrix."""
    config = ALSConfig()
    return cost(ALS.fit, log, config)[0], cost(log_matrix, log, config.weighting)[0]


def markov(log: Interactions) -> Seconds:
    """Time the transitions: all but the pruning is a sum."""
    whole, model = cost(Markov.fit, log)
    return whole, whole - cost(_strongest, model.weights, model.config.keep)[0]


def popularity(log: Interactions) -> Seconds:
    """Time the counts of popularity, which are sums."""
    whole, _ = cost(Popularity.fit, log, log.end)
    return whole, whole


def statistics(log: Interactions) -> Seconds:
    """Time the statistics of items: all but the median price are sums."""
    whole, _ = cost(ItemStats.fit, log, made_catalog(log.n_items), log.end)
    return whole, whole - cost(median_paid, log)[0]


if __name__ == "__main__":
    main()
