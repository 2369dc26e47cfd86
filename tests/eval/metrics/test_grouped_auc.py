"""AUC within groups: against the plain definition, and a level that differs between groups counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics.grouped_auc import grouped_auc, grouped_auc_difference
from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs

BOOT = Bootstrap(100)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30))
def test_the_value_counts_pairs_of_one_group(rows: list[tuple[bool, int, int]]) -> None:
    labels, scores, groups = (np.array([row[i] for row in rows]) for i in range(3))
    pairs = [
        1.0 if scores[i] > scores[j] else 0.5 * (scores[i] == scores[j])
        for i in np.flatnonzero(labels)
        for j in np.flatnonzero(~labels)
        if groups[i] == groups[j]
    ]
    found = grouped_auc(BOOT, ScoredPairs(np.arange(len(rows)), labels, scores.astype(float), len(rows)), groups)
    assert found.value == pytest.approx(np.mean(pairs) if pairs else np.nan, nan_ok=True)


def test_levels_between_groups_do_not_count_and_the_interval_holds_the_value() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(2, size=400)
    labels = rng.random(400) < np.where(groups, 0.5, 0.1)
    scores = rng.normal(size=400) + labels
    users = rng.integers(150, size=400)
    found = grouped_auc(BOOT, ScoredPairs(users, labels, scores, 150), groups)
    shifted = grouped_auc(BOOT, ScoredPairs(users, labels, scores - 100 * groups, 150), groups)
    assert (found.value, found.low, found.high) == (shifted.value, shifted.low, shifted.high)
    assert found.low < found.value < found.high
    pairs = ScoredPairs(users, labels, scores, 150)
    same = grouped_auc_difference(BOOT, pairs, pairs, groups)
    assert (same.value, same.low, same.high) == (0, 0, 0)
