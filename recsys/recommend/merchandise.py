"""The stage of the answer path in which the rules of merchandising.toml arrange the lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranking.diversity import diversify
from ranking.merchandising.arrange import arrange_lists, beside, with_rows
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from features.data.histories import Histories
    from ranking.merchandising.arrange import Arrangement
    from ranking.merchandising.facts import ActiveRules
    from recsys.recommend.pipeline import Recommender, RequestGroup

ARRANGED_AMONG = 100  # items of an unranked list among which rules choose, and ranked ones that diversity reorders for them


def with_wanted(group: RequestGroup, found: Candidates, rules: ActiveRules) -> Candidates:
    """Add the items that rules want to show and retrieval did not find, so that they are ranked like all others."""
    if not len(rules.wanted):
        return found
    recommender, users = group.recommender, group.histories
    if group.route not in ("popular", "unsold"):
        return _with_features(recommender, found, rules, group.mask)
    wanted = np.zeros(len(recommender.snapshot.catalog), dtype=bool)
    wanted[rules.wanted] = True
    source = recommender.popular if group.route == "popular" else recommender.unsold_items
    more = source(users, len(rules.wanted), group.mask & wanted, len(rules.wanted))
    held = (more.rows[:, :, None] == found.rows[:, None, :]).any(axis=2)
    return with_rows(found, more.take(np.where(held, -1, np.arange(more.rows.shape[1]))))


def ranked_with_wanted(recommender: Recommender, users: Histories, mask: np.ndarray, rules: ActiveRules) -> Candidates:
    """Return users' ranked candidates, among them what rules want to show."""
    found = recommender.candidates(users, recommender.model.retrieval.candidates, mask)
    return recommender.ranked(_with_features(recommender, found, rules, mask) if len(rules.wanted) else found)


def _with_features(recommender: Recommender, found: Candidates, rules: ActiveRules, mask: np.ndarray) -> Candidates:
    """Add wanted items with every model's score, as retrieval scores what it finds; no source lists them, so they are fused last."""
    users = found.users
    rows = beside(found, rules.wanted, mask if users.disliked is None else users.permitted(mask))
    lowest = np.where(found.valid, found.scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    scores = np.where(rows >= 0, np.where(np.isfinite(lowest), lowest, 0), -np.inf).astype(np.float32)
    return with_rows(found, Candidates(users, rows, scores, recommender.retriever.features(users, rows)))


def arranged(group: RequestGroup, best: Candidates, rules: ActiveRules) -> Arrangement:
    """Arrange ranked lists: objective and factors, diversity, then pins, limits and campaigns."""
    diversity, vectors_of = group.options.diversity, group.recommender.snapshot.vectors_of

    def diverse(lists: Candidates) -> Candidates:
        first = diversify(lists.first(ARRANGED_AMONG), vectors_of, diversity, ARRANGED_AMONG)
        behind = np.arange(first.rows.shape[1], lists.rows.shape[1])
        return with_rows(first, lists.take(np.tile(behind, (len(lists.users), 1))))

    return arrange_lists(best, group.k, rules, diverse if diversity else None)
