"""Are reasons true? What a reason names is taken out of the user's history, and the item is scored again: its log odds must fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.intervals import Bootstrap, MetricValue
from features.data.histories import Histories
from ranking.filters import Filters
from ranking.ranker import LOG_ODDS
from recsys.recommend.recommender import BATCH

if TYPE_CHECKING:
    from ranking.reasons import Reason
    from recsys.recommend.recommender import Recommender

ANSWERS = 1_000
K = 10


def reasons_hold(recommender: Recommender, users: np.ndarray, seed: int = 0) -> dict[str, MetricValue]:
    """Share of the reasons naming something of the history whose item scores lower without it, over about `ANSWERS` answers a list.

    users: rows of the snapshot's log to draw from. Lists: "all", and "new" of what the user had not bought. An item that is not even found
    without it counts as lower. Reasons that speak of other people's purchases name nothing, and are left out. The interval is over users.
    Empty where nothing was trained: nothing is scored then.
    """
    if recommender.ranker is None:
        return {}
    most = ANSWERS // K
    drawn = np.random.default_rng(seed).permutation(users)[:most]
    histories = Histories.of_users(recommender.snapshot.log, np.sort(drawn), recommender.snapshot.now)
    figures = {"all": _share(recommender, histories, None)}
    unseen = Filters(new_only=True).allowed(recommender.snapshot.catalog, recommender.snapshot.prices, histories)
    return figures | {"new": _share(recommender, histories, unseen)}


def _share(recommender: Recommender, users: Histories, allowed: np.ndarray | None) -> MetricValue:
    ranker = recommender.ranker
    assert ranker is not None
    best = recommender.recommend(users, K, allowed)
    given = recommender.reasons.explain(best, ranker.strengths(best))
    at = np.array([(b, k) for b, line in enumerate(given) for k, told in enumerate(line) if told.named], dtype=np.int64).reshape(-1, 2)
    named = [given[b][k] for b, k in at]
    whose, rows = at[:, 0], best.rows[at[:, 0], at[:, 1]]
    full = users.take(whose)
    mine = None if allowed is None else allowed[whose]
    lower = _odds(recommender, without(full, named), rows, mine) < _odds(recommender, full, rows, mine)
    columns = np.stack([np.bincount(whose, weights=values, minlength=len(users)) for values in (lower, np.ones(len(rows)))], axis=1)
    boot = Bootstrap()
    drawn = boot.sums(columns)
    shares = np.divide(drawn[:, 0], drawn[:, 1], out=np.full(len(drawn), np.nan), where=drawn[:, 1] > 0)
    return boot.figure(float(lower.mean()) if len(lower) else np.nan, shares, len(lower))


def without(users: Histories, named: list[Reason]) -> Histories:
    """The histories (b) without the items that a reason of each names."""
    gone = np.repeat(np.arange(len(users)), [len(told.named) for told in named]), np.concatenate([told.named for told in named] or [[]])
    n_items = int(max(users.item.max(initial=0), gone[1].max(initial=0))) + 1
    return users.where(~np.isin(users.user * n_items + users.item, gone[0] * n_items + gone[1]))


def _odds(recommender: Recommender, users: Histories, rows: np.ndarray, allowed: np.ndarray | None) -> np.ndarray:
    """Log odds of one item a user, rows (b,), float (b,); -inf where it is not among the candidates."""
    ranker = recommender.ranker
    assert ranker is not None
    out = np.full(len(rows), -np.inf)
    for begin in range(0, len(rows), BATCH):
        part = np.arange(begin, min(begin + BATCH, len(rows)))
        found = recommender.candidates(users.take(part), recommender.model.retrieval.candidates, None if allowed is None else allowed[part])
        ranked = ranker.rank(found)
        user, place = np.nonzero(ranked.rows == rows[part][:, None])
        out[part[user]] = ranked.features[LOG_ODDS][user, place]
    return out
