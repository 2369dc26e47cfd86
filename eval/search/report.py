"""The report of a search evaluation, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.intervals import MetricValue
    from eval.protocol.report import MetricValues
    from eval.search.query_set import QuerySet

WORST = 20  # queries that are shown


@dataclass(frozen=True)
class SearchResult:
    """Metrics of one system.

    Attributes
    ----------
    metrics : of all queries
    slices : slice -> metric
    per_query : metric -> float (b,), nan where a query has nothing relevant
    shown : int64 (b, 10), the first ten of each list
    """

    metrics: MetricValues
    slices: dict[str, MetricValues]
    per_query: dict[str, np.ndarray] = field(repr=False, compare=False)
    shown: np.ndarray = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return metrics and slices for JSON."""
        return {"metrics": _values(self.metrics), "slices": {name: _values(metrics) for name, metrics in self.slices.items()}}


@dataclass(frozen=True)
class OneEdit:
    """Precision@10 of queries as they are and with one edit in a word, and the second over the first."""

    typed: MetricValue
    edited: MetricValue
    kept: MetricValue


@dataclass(frozen=True)
class SearchReport:
    """Metrics of a search on a set of queries, beside baselines.

    Attributes
    ----------
    ratios, differences : baseline -> NDCG@10 of ours / that of the baseline, and ours - the baseline's, on the same queries
    one_edit : None where it was not measured
    settings : baseline -> the settings that it was tuned to
    about : what else the numbers rest on: cut, bundle, training data of the search
    """

    queries: QuerySet
    ours: SearchResult
    baselines: dict[str, SearchResult]
    ratios: MetricValues
    differences: MetricValues
    one_edit: OneEdit | None = None
    settings: dict[str, dict[str, float]] = field(default_factory=dict)
    about: dict[str, str | None] = field(default_factory=dict)

    def also(self, **values: Any) -> SearchReport:
        """Return the same report with more of its fields."""
        return replace(self, **values)

    def worst(self) -> list[dict[str, Any]]:
        """Return the queries with the lowest NDCG@10, those first where the best baseline does most better."""
        ours = self.ours.per_query["ndcg@10"]
        others = [result.per_query["ndcg@10"] for result in self.baselines.values()]
        best = np.max(others, axis=0) if others else np.zeros(len(ours))
        order = np.lexsort((ours - best, ours))
        rows = [i for i in order[: 4 * WORST].tolist() if ours[i] < 1]  # nan is not
        first = {self.queries.queries[i]: i for i in reversed(rows)}  # a text once, at its worst
        keys = sorted(first.values(), key=rows.index)[:WORST]
        return [
            {"query": self.queries.queries[i], "user_id": self.queries.users[i], "ndcg@10": float(ours[i]), "best_baseline": float(best[i])}
            for i in keys
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return what `recsys evaluate search --json` prints; an undefined value is None."""
        one_edit = self.one_edit
        return {
            **self.ours.as_dict(),
            "baselines": {name: result.as_dict() | {"settings": self.settings.get(name, {})} for name, result in self.baselines.items()},
            "ratios": _values(self.ratios),
            "differences": _values(self.differences),
            "one_edit": None if one_edit is None else _values(vars(one_edit)),
            "queries": {
                "protocol": self.queries.name,
                "queries": len(self.queries),
                "with_relevant": self.queries.judged_queries,
                "users": len({user for user in self.queries.users if user is not None}),
                "notes": list(self.queries.notes),
            },
            "worst": self.worst(),
            **self.about,
        }

    def to_json(self) -> str:
        """Return strict JSON, without NaN."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False)


def _values(metrics: Mapping[str, MetricValue]) -> dict[str, dict[str, float | int | None]]:
    return {name: metric.as_json("queries") for name, metric in metrics.items()}
