"""Checks whether reasons are true: without the purchases that a reason names, the log odds of its item must fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.intervals import Bootstrap, MetricValue
from features.data.histories import Histories
from ranking.filters import Filters
from ranking.ranker import LOG_ODDS
from recsys.recommend.pipeline import BATCH

if TYPE_CHECKING:
    from ranking.reasons import Reason
    from recsys.recommend.pipeline import Recommender

ANSWERS = 1_000
K = 10


def reasons_hold(recommender: Recommender, users: np.ndarray, seed: int = 0) -> dict[str, MetricValue]:
    """Return the share of reasons whose item scores lower without the purchases that the reason names.

    Reasons about other users' purchases name none of the user's, and are left out. An item that is no longer a
    candidate counts as lower.

    Parameters
    ----------
    users : int64 (n,)
        Rows of the snapshot's log, from which users are drawn for about `ANSWERS` answers.

    Returns
    -------
    dict of str to MetricValue
        By kind of list, "all" or "new" (items new to the user), with intervals over users. Empty if the model has no ranking.
    """
    if recommender.ranker is None:
        return {}
    drawn = np.random.default_rng(seed).permutation(users)[: ANSWERS // K]
    histories = Histories.of_users(recommender.snapshot.log, np.sort(drawn), recommender.snapshot.now)
    shares = {"all": _share(recommender, histories, None)}
    unseen = Filters(new_only=True).allowed(recommender.snapshot.catalog, recommender.snapshot.prices, histories)
    return shares | {"new": _share(recommender, histories, unseen)}


def _share(recommender: Recommender, users: Histories, allowed: np.ndarray | None) -> MetricValue:
    ranker = recommender.ranker
    assert ranker is not None
    best = recommender.recommend(users, K, allowed)
    given = recommender.reasons.explain(best, ranker.strengths(best))
    at = np.array([(b, k) for b, line in enumerate(given) for k, reason in enumerate(line) if reason.named], dtype=np.int64).reshape(-1, 2)
    named = [given[b][k] for b, k in at]
    user, rows = at[:, 0], best.rows[at[:, 0], at[:, 1]]
    full = users.take(user)
    mask = None if allowed is None else allowed[user]
    lower = _odds(recommender, without(full, named), rows, mask) < _odds(recommender, full, rows, mask)
    columns = np.stack([np.bincount(user, weights=values, minlength=len(users)) for values in (lower, np.ones(len(rows)))], axis=1)
    boot = Bootstrap()
    drawn = boot.sums(columns)
    shares = np.divide(drawn[:, 0], drawn[:, 1], out=np.full(len(drawn), np.nan), where=drawn[:, 1] > 0)
    return boot.with_interval(float(lower.mean()) if len(lower) else np.nan, shares, len(lower))


def without(users: Histories, named: list[Reason]) -> Histories:
    """Return the histories (b) without the items that the reason of each names."""
    gone = (
        np.repeat(np.arange(len(users)), [len(reason.named) for reason in named]),
        np.concatenate([reason.named for reason in named] or [[]]),
    )
    n_items = int(max(users.item.max(initial=0), gone[1].max(initial=0))) + 1
    return users.where(~np.isin(users.user * n_items + users.item, gone[0] * n_items + gone[1]))


def _odds(recommender: Recommender, users: Histories, rows: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Return the log odds of one item a user, rows (b,), as float (b,); -inf where the item is not a candidate."""
    ranker = recommender.ranker
    assert ranker is not None
    out = np.full(len(rows), -np.inf)
    for begin in range(0, len(rows), BATCH):
        part = np.arange(begin, min(begin + BATCH, len(rows)))
        mask = None if allowed is None else allowed[part]
        ranked = ranker.rank(recommender.candidates(users.take(part), recommender.model.retrieval.candidates, mask))
        user, place = np.nonzero(ranked.rows == rows[part][:, None])
        out[part[user]] = ranked.features[LOG_ODDS][user, place]
    return out
