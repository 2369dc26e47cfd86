"""TreeSHAP by table: what each leaf adds to groups of features, worked out once for every way in which a row can meet its path.

A path asks something of a few features. Which of them a row satisfies is all that its SHAP values depend on, so that answering is
looking up: the second algorithm of Fast TreeSHAP (Yang 2021, arXiv 2109.09847), an eighth of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ranking.gbdt import Booster

FIRST = 1_000  # rows that LightGBM itself explains: as long as a table takes to make
MOST_ENTRIES = 1 << 22  # of a table; deeper trees are left to LightGBM
AT_ONCE = 32  # rows: what is looked up for them fits a cache
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
    """Of n nodes: feature and threshold; whether NaN and zero count as missing, and whether what is missing goes left; (n,) each."""

    feature: np.ndarray
    threshold: np.ndarray
    missing_nan: np.ndarray
    missing_zero: np.ndarray
    default_left: np.ndarray
    leaves: list[Leaf]

    @classmethod
    def of(cls, root: dict[str, Any], scale: float) -> Tree | None:
        """One tree of LightGBM's JSON, its leaves times `scale`; None where it asks for categories."""
        nodes = {node["split_index"]: node for node in _nodes(root)}
        if any(node["decision_type"] != "<=" for node in nodes.values()):
            return None
        ordered = [nodes[i] for i in range(len(nodes))]
        leaves: list[Leaf] = []
        ways: list[tuple[dict[str, Any], dict[int, tuple[list[tuple[int, bool]], float]]]] = [(root, {})] if nodes else []
        while ways:
            node, path = ways.pop()
            if "leaf_value" in node:
                share = np.array([share for _, share in path.values()])
                asked = [found for found, _ in path.values()]
                leaves.append(Leaf(node["leaf_value"] * scale, np.array(list(path), dtype=np.int64), asked, share))
                continue
            for side, goes_left in (("left_child", True), ("right_child", False)):
                child, feature = node[side], node["split_feature"]
                found, share = path.get(feature, ([], 1.0))
                part = child.get("leaf_count", child.get("internal_count")) / node["internal_count"]
                ways.append((child, path | {feature: ([*found, (node["split_index"], goes_left)], share * part)}))
        missing = np.array([node["missing_type"] for node in ordered], dtype=object)
        return cls(
            feature=np.array([node["split_feature"] for node in ordered], dtype=np.int64),
            threshold=np.array([node["threshold"] for node in ordered], dtype=np.float64),
            missing_nan=missing == "NaN",
            missing_zero=missing == "Zero",
            default_left=np.array([node["default_left"] for node in ordered], dtype=bool),
            leaves=leaves,
        )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What splits, below and with a node."""
    if "split_index" in node:
        yield node
        yield from _nodes(node["left_child"])
        yield from _nodes(node["right_child"])


@dataclass(frozen=True)
class GroupedShap:
    """A booster's SHAP values, summed over groups of features.

    Attributes
    ----------
    feature, threshold, missing_nan, missing_zero, default_left: of each tree's nodes, (trees, n), padded. breaks: of s pairs of a leaf
    and a feature, 1 where going left at a node breaks what the leaf's path asks of the feature, -1 where going right does, float32
    (trees, n, s); rights: how many of its nodes ask for the left, float32 (trees, 1, s). entry: what a pair that holds adds to the
    leaf's place in the table, float32 (trees, s, leaves); start: where each leaf's places begin, int32 (trees, 1, leaves). table:
    float32 (entries, groups).
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_nan: np.ndarray
    missing_zero: np.ndarray
    default_left: np.ndarray
    breaks: np.ndarray
    rights: np.ndarray
    entry: np.ndarray
    start: np.ndarray
    table: np.ndarray

    @classmethod
    def of(cls, roots: Sequence[dict[str, Any]], scale: float, groups: np.ndarray) -> GroupedShap | None:
        """Of trees in LightGBM's JSON, each times `scale`; groups: how much each feature counts for each, float32 (features, groups).

        None where there is no table for it: categories, paths that ask too much.
        """
        read = [Tree.of(root, scale) for root in roots]
        trees = [tree for tree in read if tree is not None and tree.leaves]
        entries = sum(2 ** len(leaf.features) for tree in trees for leaf in tree.leaves)
        if not trees or None in read or entries > MOST_ENTRIES:
            return None
        nodes, leaves = (max(len(part) for part in parts) for parts in ([t.feature for t in trees], [t.leaves for t in trees]))
        pairs = max(sum(len(leaf.features) for leaf in tree.leaves) for tree in trees)
        feature, threshold = np.zeros((len(trees), nodes), dtype=np.int64), np.zeros((len(trees), nodes))
        missing = np.zeros((3, len(trees), nodes), dtype=bool)
        breaks = np.zeros((len(trees), nodes, pairs), dtype=np.float32)
        entry = np.zeros((len(trees), pairs, leaves), dtype=np.float32)
        start = np.zeros((len(trees), 1, leaves), dtype=np.int32)
        tables, end = [np.zeros((1, groups.shape[1]), dtype=np.float32)], 1  # the first is of leaves that are not there
        for t, tree in enumerate(trees):
            n, pair = len(tree.feature), 0
            feature[t, :n], threshold[t, :n] = tree.feature, tree.threshold
            missing[:, t, :n] = tree.missing_nan, tree.missing_zero, tree.default_left
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
        return cls(feature, threshold, missing[0], missing[1], missing[2], breaks, rights, entry, start, np.concatenate(tables))

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
        unknown = np.isnan(value)
        value = np.where(unknown, 0.0, value)
        missing = (unknown & self.missing_nan[:, None, :]) | ((np.abs(value) <= _ZERO) & self.missing_zero[:, None, :])
        return np.where(missing, self.default_left[:, None, :], value <= self.threshold[:, None, :])


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

    def __init__(self, booster: Booster, groups: np.ndarray) -> None:
        """groups: how much each feature counts for each, float32 (features, groups)."""
        self._booster, self._groups, self._explained = booster, groups, 0

    @cached_property
    def _shap(self) -> GroupedShap | None:
        return GroupedShap.of(self._booster.trees(), 1 / len(self._booster.models), self._groups)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """float32 (n, groups) of rows (n, features)."""
        self._explained += len(rows)
        if self._explained > FIRST and self._shap is not None:
            return self._shap(rows)
        return (self._booster.shares(rows) @ self._groups).astype(np.float32)
