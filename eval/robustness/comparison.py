"""How far lists stay the same, and as good, when the catalogue's texts are perturbed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.lists import ndcg
from eval.metrics.user_items import UserItems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.intervals import MetricValue
    from eval.protocol.runner import EvaluationRunner, Lists

K = 10


@dataclass(frozen=True)
class PerturbedLists:
    """What became of the lists under one perturbation.

    Attributes
    ----------
    changed : share of the items whose text differs.
    metrics : kind of list -> "overlap@10", the share of the first ten that are the same items, and "ndcg_kept", NDCG@10
        over that of the unperturbed catalogue; empty where no text differs.
    """

    changed: float
    metrics: dict[str, dict[str, MetricValue]]


def compare(runner: EvaluationRunner, before: Mapping[str, Lists], after: Mapping[str, Lists]) -> dict[str, dict[str, MetricValue]]:
    """Compare lists over the catalogue as it is with those over a perturbed one, by kind of list.

    Users to whom nothing in a list is relevant are left out of its NDCG, and their lists count in the overlap where they got one.
    """
    out = {}
    for kind, lists in before.items():
        relevant = runner.ground_truth.relevant(kind)
        kept = runner.bootstrap.paired_ratio(ndcg(after[kind].rows, relevant, K), ndcg(lists.rows, relevant, K))
        out[kind] = runner.bootstrap.means({"overlap@10": overlap(lists.rows, after[kind].rows)}) | {"ndcg_kept": kept}
    return out


def overlap(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return the share of each list's first ten items that are among the first ten of the other one.

    Parameters
    ----------
    before, after : int (b, k'), catalogue rows, padded with -1

    Returns
    -------
    float (b,), nan for empty lists
    """
    first = before[:, :K]
    user, place = np.nonzero(first >= 0)
    items = UserItems.of(user, first[user, place], len(first), int(max(before.max(initial=0), after.max(initial=0))) + 1)
    count = (first >= 0).sum(axis=1)
    return np.where(count > 0, items.hits(after[:, :K]).sum(axis=1) / np.maximum(count, 1), np.nan)
