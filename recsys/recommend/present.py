"""The last stage of the answer path: items with title, price, probability and reason, and why a list is not personal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from features.names import ITEM_BUYERS_7, ITEM_BUYERS_28
from ranking.reasons import GROUPS, POPULAR_BUYERS
from recsys.recommend.answers import Answer, Match, Matches, Recommendation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.recommend.components import Components
    from recsys.recommend.request import RecommendOptions
    from retrieval.candidates import Candidates

UNKNOWN_USER = "user {!r} has no history here: what is popular now"
UNKNOWN_VISITOR = "nothing is known of the visitor: what is popular now"
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
    popular = not personal and not options.unsold
    if popular:
        reasons = _popular_reasons(best)
    else:
        strength = ranker.strengths(best) if ranker else np.zeros((len(GROUPS), *best.rows.shape), dtype=np.float32)
        reasons = parts.reasons.sentences(best, strength)
    facts = iter(parts.facts(best.rows[best.valid]))
    answers = []
    for b, user in enumerate(users):
        items = []
        for k in np.flatnonzero(best.valid[b]).tolist():
            probability = float(best.scores[b, k]) if ranked or popular else None  # of the popular: the share of recent shoppers
            moved = _largest({name: float(column[b, k]) for name, column in contributions.items()})
            items.append(Recommendation(len(items) + 1, *next(facts), probability, reasons[b][k], moved))
        answers.append(Answer(user, parts.bundle_id, _fallback(parts, options, user, personal=personal), tuple(items)))
    return answers


def matches(parts: Components, query: str, rows: np.ndarray, scores: np.ndarray) -> Matches:
    """Present the neighbours of one query: rows and cosines (1, k), padded with -1."""
    real = rows[0][rows[0] >= 0]
    items = tuple(Match(i + 1, *facts, float(scores[0, i])) for i, facts in enumerate(parts.facts(real)))
    return Matches(query, parts.bundle_id, items)


def _popular_reasons(best: Candidates) -> list[list[str]]:
    week, month = best.features[ITEM_BUYERS_7], best.features[ITEM_BUYERS_28]
    return [[_sales(*counts) for counts in zip(*rows, strict=True)] for rows in zip(week, month, strict=True)]


def _sales(week: float, month: float) -> str:
    if week >= POPULAR_BUYERS:
        return f"popular this week: {week:,.0f} buyers"
    return f"{month:,.0f} buyers in the last 28 days" if month >= POPULAR_BUYERS else "few recent buyers"


def _fallback(parts: Components, options: RecommendOptions, user: str | None, *, personal: bool) -> str | None:
    """Why the list is not what a trained model recommends to this user; None where it is."""
    if personal:
        return None if parts.ranker or options.unsold else UNTRAINED  # never-sold items are not ranked by a model
    if options.unsold:
        return UNKNOWN_VISITOR_UNSOLD if user is None else UNKNOWN_USER_UNSOLD.format(user)
    return UNKNOWN_VISITOR if user is None else UNKNOWN_USER.format(user)


def _largest(contributions: dict[str, float]) -> tuple[tuple[str, float], ...]:
    """Contributions in order of size, without zeros."""
    return tuple(sorted((part for part in contributions.items() if part[1]), key=lambda part: -abs(part[1])))
