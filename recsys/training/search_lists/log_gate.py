"""Whether the search's booster learns from the search log: each part of it is kept where held-out searches find more of what was bought.

A log is made of what an engine showed, and who trusts it too much ranks as that engine did. So what was bought judges, and not the clicks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.lists import ndcg
from eval.metrics.user_items import UserItems
from features.names import LOG_CLICKS
from ranking.search_ranker import SearchRanker, fit_search_booster
from recsys.training.search_lists.examples import FROM_LOG
from retrieval.significance import significant_gain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ranking.search_ranker import LabelledLists
    from recsys.training.search_lists.examples import SearchExamples
    from retrieval.candidates import Candidates

LEAST_PURCHASES = 20  # lists of purchases that a booster without the log is fitted on, to compare it
WITHOUT, CLICKS, LISTS = "without it", "its clicks", "its clicks and its lists"


@dataclass(frozen=True)
class LogGate:
    """What of the search log the booster learns from.

    Attributes
    ----------
    clicks : whether it reads how often each candidate was clicked after the same query.
    lists : whether it is fitted on what became of the log's lists.
    report : facts for the model card; empty where there is no log to choose from.
    """

    clicks: bool = True
    lists: bool = True
    report: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: Sequence[SearchExamples], data: LabelledLists, held: np.ndarray, seed: int) -> LogGate:
        """Fit a booster for each choice, and take the next one where held-out searches gain more than chance.

        Parameters
        ----------
        parts : examples of the log, then those of purchases. One alone, or with few lists of purchases, leaves nothing to choose.
        data : their lists, in the same order.
        held : lists that nothing is fitted on, bool (n,).
        """
        if len(parts) < 2 or parts[0].source != FROM_LOG:
            return cls()
        of_log = np.arange(len(held)) < len(parts[0].texts)
        fitted = data.labels.any(axis=1) & ~held
        if parts[0].bought is None or np.count_nonzero(fitted & ~of_log) < LEAST_PURCHASES:
            return cls()
        bought = parts[0].bought.hits(data.candidates.rows[of_log])
        judged = np.flatnonzero(held[of_log] & bought.any(axis=1))
        choices = {WITHOUT: cls(clicks=False, lists=False), CLICKS: cls(lists=False), LISTS: cls()}
        if not len(judged):
            return replace(choices[WITHOUT], report={"judged": 0, "kept": WITHOUT})
        found = {}
        for name, choice in choices.items():
            some = choice.applied(data)
            booster = fit_search_booster(some, fitted & (choice.lists | ~of_log), seed, pairs=False)
            found[name] = list_ndcg(SearchRanker(booster), some.candidates.for_users(judged), bought[judged])
        best = WITHOUT
        for name in (CLICKS, LISTS):
            if significant_gain(found[name] - found[best]):
                best = name
        values = {name: round(float(values.mean()), 4) for name, values in found.items()}
        return replace(choices[best], report={"judged": len(judged), "ndcg@10": values, "kept": best})

    def applied(self, data: LabelledLists) -> LabelledLists:
        """Return lists without clicks, if these are not read: no booster splits by a feature that is the same everywhere."""
        if self.clicks:
            return data
        nothing = np.zeros_like(data.candidates.features[LOG_CLICKS])
        return replace(data, candidates=replace(data.candidates, features=data.candidates.features | {LOG_CLICKS: nothing}))


def list_ndcg(ranker: SearchRanker, candidates: Candidates, labels: np.ndarray) -> np.ndarray:
    """Return the NDCG@10 of each list among its own candidates, of which `labels`, bool (n, k), are relevant: float64 (n,)."""
    relevant = UserItems.of(np.nonzero(labels)[0], candidates.rows[labels], len(labels), int(candidates.rows.max(initial=0)) + 1)
    return ndcg(ranker.rank(candidates).rows, relevant, 10)
