"""The stage of the answer path in which the rules of merchandising.toml arrange the lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from ranking.diversity import diversify
from ranking.merchandising.arrange import arrange_lists, beside, lowest_scores, with_rows
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ranking.merchandising.arrange import Arrangement, RuleNames
    from ranking.merchandising.facts import ActiveRules
    from recsys.recommend.answers import Answer
    from recsys.recommend.components import Components

ARRANGED_AMONG = 100  # items of an unranked list among which rules choose, and ranked ones that diversity reorders for them
# Finds k items of an unranked list for users among the allowed ones, at most so many variants of a product.
Source = Callable[[Histories, int, np.ndarray, int], Candidates]


def with_wanted(parts: Components, found: Candidates, rules: ActiveRules, mask: np.ndarray, source: Source | None = None) -> Candidates:
    """Add the items that rules want to show and retrieval did not find, so that they are ranked like all others.

    Parameters
    ----------
    mask : what may be shown, bool (n_items,) or (b, n_items).
    source : of an unranked list, which scores them as it does the others. None: they get every model's score, as retrieval gives it
        to what it finds; no source lists them, so they are fused last.
    """
    users = found.users
    if not len(rules.wanted):
        return found
    if source is not None:
        wanted = np.zeros(mask.shape[-1], dtype=bool)
        wanted[rules.wanted] = True
        more = source(users, len(rules.wanted), mask & wanted, len(rules.wanted))
        held = (more.rows[:, :, None] == found.rows[:, None, :]).any(axis=2)
        return with_rows(found, more.take(np.where(held, -1, np.arange(more.rows.shape[1]))))
    rows = beside(found, rules.wanted, mask if users.disliked is None else users.permitted(mask))
    return with_rows(found, Candidates(users, rows, lowest_scores(found, rows), parts.retriever.features(users, rows)))


def arrange_ranked(parts: Components, best: Candidates, k: int, rules: ActiveRules, diversity: float) -> Arrangement:
    """Arrange ranked lists: objective and factors, diversity, then pins, limits and campaigns."""
    vectors_of = parts.snapshot.vectors_of

    def diverse(lists: Candidates) -> Candidates:
        first = diversify(lists.first(ARRANGED_AMONG), vectors_of, diversity, ARRANGED_AMONG)
        behind = np.arange(first.rows.shape[1], lists.rows.shape[1])
        return with_rows(first, lists.take(np.tile(behind, (len(lists.users), 1))))

    return arrange_lists(best, k, rules, diverse if diversity else None)


def with_rule_names(answers: Sequence[Answer], rules: Sequence[RuleNames]) -> list[Answer]:
    """Give each item of the answers the rule that placed it."""
    return [
        replace(answer, items=tuple(replace(item, rule=rule) for item, rule in zip(answer.items, names, strict=True)))
        for answer, names in zip(answers, rules, strict=True)
    ]
