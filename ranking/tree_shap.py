"""TreeSHAP by table: what each leaf adds to groups of features, worked out once for every way in which a row can meet its path.

A path asks something of a few features. Which of them a row satisfies is all that its SHAP values depend on, so that answering is
looking up: the second algorithm of Fast TreeSHAP (Yang 2021, arXiv 2109.09847), an eighth of the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import lightgbm as lgb

    from ranking.native import NativeBooster

FIRST = 1_000  # rows that LightGBM itself explains: as long as a table takes to make
MOST_ENTRIES = 1 << 22  # of a table; deeper trees are left to LightGBM
AT_ONCE = 32  # rows: what is looked up for them fits a cache
_CATEGORICAL, _DEFAULT_LEFT, _MISSING_NAN, _MISSING_ZERO = 1, 2, 8, 4  # bits of LightGBM's decision_type
_ZERO = 1e-35  # LightGBM's kZeroThreshold


@dataclass(frozen=True)
class Leaf:
    """One leaf's path. features: each once, int64 (u,). asked: of each feature the nodes, and whether the left was taken.

    share: of the rows at each feature's nodes, how many went the path's way, float64 (u,).
    """

    value: float
    features: np.ndarray
    asked: list[list[tuple[int, bool]]]
    share: np.ndarray


@dataclass(frozen=True)
class Tree:
    """Of n nodes: feature, threshold and decision_type (n,); its leaves."""

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    leaves: list[Leaf]

    @classmethod
    def parse(cls, text: str) -> Tree:
        """One tree of LightGBM's text."""

        def column(name: str) -> np.ndarray:
            found = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
            return np.array(found[1].split() if found else [], dtype=np.float64)

        feature, left, right = (column(name).astype(np.int64) for name in ("split_feature", "left_child", "right_child"))
        inner, outer, value = column("internal_count"), column("leaf_count"), column("leaf_value")
        leaves: list[Leaf] = []
        ways: list[tuple[int, dict[int, tuple[list[tuple[int, bool]], float]]]] = [(0, {})] if len(feature) else []
        while ways:
            node, path = ways.pop()
            if node < 0:
                asked = [nodes for nodes, _ in path.values()]
                share = np.array([share for _, share in path.values()])
                leaves.append(Leaf(value[~node], np.array(list(path), dtype=np.int64), asked, share))
                continue
            for child, goes_left in ((left[node], True), (right[node], False)):
                nodes, share = path.get(int(feature[node]), ([], 1.0))
                part = (outer[~child] if child < 0 else inner[child]) / inner[node]
                ways.append((int(child), path | {int(feature[node]): ([*nodes, (node, goes_left)], share * part)}))
        return cls(feature, column("threshold"), column("decision_type").astype(np.int64), leaves)


@dataclass(frozen=True)
class GroupedShap:
    """A booster's SHAP values, summed over groups of features.

    Attributes
    ----------
    feature, threshold, decision: of each tree's nodes, (trees, n), padded. breaks: of s pairs of a leaf and a feature, 1 where going left
    at a node breaks what the leaf's path asks of the feature, -1 where going right does, float32 (trees, n, s); rights: how many of its
    nodes ask for the left, float32 (trees, 1, s). entry: what a pair that holds adds to the leaf's place in the table, float32
    (trees, s, leaves); start: where each leaf's places begin, int32 (trees, 1, leaves). table: float32 (entries, groups).
    """

    feature: np.ndarray
    threshold: np.ndarray
    decision: np.ndarray
    breaks: np.ndarray
    rights: np.ndarray
    entry: np.ndarray
    start: np.ndarray
    table: np.ndarray

    @classmethod
    def of(cls, text: str, groups: np.ndarray) -> GroupedShap | None:
        """Of a model in LightGBM's text; groups: how much each feature counts for each, float32 (features, groups).

        None where there is no table for it: categories, paths that ask too much.
        """
        trees = [tree for part in re.split(r"^Tree=", text, flags=re.MULTILINE)[1:] if (tree := Tree.parse(part)).leaves]
        entries = sum(2 ** len(leaf.features) for tree in trees for leaf in tree.leaves)
        if not trees or any((tree.decision & _CATEGORICAL).any() for tree in trees) or entries > MOST_ENTRIES:
            return None
        nodes, leaves = (max(len(part) for part in parts) for parts in ([t.feature for t in trees], [t.leaves for t in trees]))
        pairs = max(sum(len(leaf.features) for leaf in tree.leaves) for tree in trees)
        feature, decision = np.zeros((2, len(trees), nodes), dtype=np.int64)
        threshold = np.zeros((len(trees), nodes))
        breaks = np.zeros((len(trees), nodes, pairs), dtype=np.float32)
        entry = np.zeros((len(trees), pairs, leaves), dtype=np.float32)
        start = np.zeros((len(trees), 1, leaves), dtype=np.int32)
        tables, end = [np.zeros((1, groups.shape[1]), dtype=np.float32)], 1  # the first is of leaves that are not there
        for t, tree in enumerate(trees):
            n, pair = len(tree.feature), 0
            feature[t, :n], threshold[t, :n], decision[t, :n] = tree.feature, tree.threshold, tree.decision
            for at, leaf in enumerate(tree.leaves):
                start[t, 0, at] = end
                for place, asked in enumerate(leaf.asked):
                    entry[t, pair, at] = 2**place
                    for node, goes_left in asked:
                        breaks[t, node, pair] = -1 if goes_left else 1
                    pair += 1
                tables.append(_added(leaf) @ groups[leaf.features])
                end += len(tables[-1])
        rights = np.count_nonzero(breaks < 0, axis=1, keepdims=True).astype(np.float32)
        return cls(feature, threshold, decision, breaks, rights, entry, start, np.concatenate(tables))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """What rows (n, features) owe to each group, float32 (n, groups)."""
        out = np.empty((len(rows), self.table.shape[1]), dtype=np.float32)
        for begin in range(0, len(rows), AT_ONCE):
            left = self._left(rows[begin : begin + AT_ONCE]).astype(np.float32)  # (trees, b, n)
            holds = (left @ self.breaks == -self.rights).astype(np.float32)  # (trees, b, s): nothing is broken
            place = (holds @ self.entry).astype(np.int32) + self.start  # (trees, b, leaves)
            place = np.swapaxes(place, 0, 1).reshape(left.shape[1], -1)
            found = np.take(self.table, place, axis=0)  # (b, trees * leaves, groups)
            out[begin : begin + AT_ONCE] = (np.ones((1, found.shape[1]), dtype=np.float32) @ found)[:, 0]
        return out

    def _left(self, rows: np.ndarray) -> np.ndarray:
        """Whether each row (b, features) goes left at each node, bool (trees, b, n), as LightGBM decides."""
        value = np.take(rows.astype(np.float64).T, self.feature, axis=0)  # (trees, n, b)
        value = np.swapaxes(value, 1, 2)
        decision, unknown = self.decision[:, None, :], np.isnan(value)
        value = np.where(unknown, 0.0, value)
        missing = (unknown & ((decision & _MISSING_NAN) > 0)) | ((np.abs(value) <= _ZERO) & ((decision & _MISSING_ZERO) > 0))
        return np.where(missing, (decision & _DEFAULT_LEFT) > 0, value <= self.threshold[:, None, :])


def _added(leaf: Leaf) -> np.ndarray:
    """The leaf's SHAP value of each of its u features for each set of them that a row satisfies, float32 (2^u, u).

    The Shapley value of a product of u factors is an integral of a polynomial of degree u - 1, which Gauss and Legendre's rule takes
    exactly from half as many points.
    """
    u = len(leaf.features)
    meets = (np.arange(2**u)[:, None] >> np.arange(u)) & 1  # (2^u, u)
    points, weights = np.polynomial.legendre.leggauss(u // 2 + 1)
    total = np.zeros((2**u, u))
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = leaf.share * (1 - point) + meets * point
        total += weight * factors.prod(axis=1, keepdims=True) / factors
    return (leaf.value * (meets - leaf.share) * total).astype(np.float32)


class Explainer:
    """What groups of features add to a booster's log odds: LightGBM explains the first rows, a table all that come later."""

    def __init__(self, model: lgb.Booster | NativeBooster, groups: np.ndarray) -> None:
        """groups: how much each feature counts for each, float32 (features, groups)."""
        self._model, self._groups, self._explained = model, groups, 0

    @cached_property
    def _shap(self) -> GroupedShap | None:
        return GroupedShap.of(self._model.model_to_string(), self._groups)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """float32 (n, groups) of rows (n, features)."""
        self._explained += len(rows)
        if self._explained > FIRST and self._shap is not None:
            return self._shap(rows)
        return (np.asarray(self._model.predict(rows, pred_contrib=True))[:, :-1] @ self._groups).astype(np.float32)
