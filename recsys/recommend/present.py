"""The last stage of the answer path: items with title, price, probability and reason, and why a list is not personal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranking.reasons import GROUPS
from recsys.recommend.answers import Answer, Match, Matches, Recommendation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.recommend.components import Components
    from recsys.recommend.request import RecommendOptions
    from retrieval.candidates import Candidates

UNKNOWN_USER = "user {!r} has no history here: what is popular now"
UNKNOWN_VISITOR = "nothing is known of the visitor: what is popular now"
NOW = " now"  # only where the log has a calendar
UNKNOWN_USER_UNSOLD = "user {!r} has no history here: what is likely to sell soon"
UNKNOWN_VISITOR_UNSOLD = "nothing is known of the visitor: what is likely to sell soon"
UNTRAINED = "no model has been trained: fused retrieval order, without probabilities"


def present(
    parts: Components, options: RecommendOptions, users: Sequence[str | None], best: Candidates, *, personal: bool, ranked: bool
) -> list[Answer]:
    """Make one answer a user.

    Parameters
    ----------
    personal : whether the lists rest on the users' own events.
    ranked : whether scores are the ranker's probabilities.
    """
    ranker = parts.ranker if ranked else None
    contributions = ranker.contributions(best) if ranker and options.explain else {}
    by_expert = parts.by_expert(best)  # there the ranker's contributions do not add up to the probability
    popular = not personal and not options.unsold
    if popular:
        reasons = [[_seller(parts, row) if row >= 0 else "" for row in rows] for rows in best.rows.tolist()]
    else:
        strength = ranker.strengths(best) if ranker else np.zeros((len(GROUPS), *best.rows.shape), dtype=np.float32)
        reasons = parts.reasons.sentences(best, strength)
    # Of the popular: the share of recent shoppers.
    chances = popular or (parts.snapshot.cold_start.calibrated if options.unsold else ranked)
    facts = iter(parts.facts(best.rows[best.valid]))
    answers = []
    for b, user in enumerate(users):
        items = []
        for k in np.flatnonzero(best.valid[b]).tolist():
            probability = float(best.scores[b, k]) if chances else None
            moved = _largest({name: float(column[b, k]) for name, column in contributions.items() if not by_expert[b, k]})
            items.append(Recommendation(len(items) + 1, *next(facts), probability, reasons[b][k], moved))
        answers.append(Answer(user, parts.bundle_id, _fallback(parts, options, user, personal=personal), tuple(items)))
    return answers


def matches(parts: Components, query: str, rows: np.ndarray, scores: np.ndarray) -> Matches:
    """Present the neighbours of one query: rows and cosines (1, k), padded with -1."""
    real = rows[0][rows[0] >= 0]
    items = tuple(Match(i + 1, *facts, float(scores[0, i])) for i, facts in enumerate(parts.facts(real)))
    return Matches(query, parts.bundle_id, items)


def _seller(parts: Components, row: int) -> str:
    """Why an item is shown to somebody of whom nothing is known: how it sells, and what its reviews praise."""
    sells = parts.buyers.seller(row)
    return f"{sells}; {parts.praise[row]}" if row in parts.praise else sells


def _fallback(parts: Components, options: RecommendOptions, user: str | None, *, personal: bool) -> str | None:
    """Why the list is not what a trained model recommends to this user; None where it is."""
    if personal:
        return None if parts.ranker or options.unsold else UNTRAINED  # never-sold items are not ranked by a model
    if options.unsold:
        return UNKNOWN_VISITOR_UNSOLD if user is None else UNKNOWN_USER_UNSOLD.format(user)
    why = UNKNOWN_VISITOR if user is None else UNKNOWN_USER.format(user)
    return why if parts.buyers.month is not None else why.removesuffix(NOW)


def _largest(contributions: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """Contributions in order of size, without zeros."""
    return tuple(sorted((part for part in contributions.items() if part[1]), key=lambda part: -abs(part[1])))
