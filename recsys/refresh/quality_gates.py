"""Quality gates: limits on what a new bundle may lose against the one in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import BundleError
from recsys.refresh.offline_check import ndcg_of_both
from retrieval.index import ItemIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from features.data.catalog import Catalog
    from recsys.refresh.offline_check import BundleUnderTest
    from recsys.settings.refresh import RefreshConfig
    from recsys.snapshot.snapshot import Snapshot

QUERIES, K = 200, 10


class RefusedError(BundleError):
    """A bundle was built and did not pass the quality gates."""


@dataclass(frozen=True)
class QualityGate:
    """One measurement with its limit."""

    name: str
    value: float
    limit: float
    passes: bool

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3f}, limit {self.limit:g}"


def check(old: BundleUnderTest, new: BundleUnderTest, config: RefreshConfig) -> dict[str, Any]:
    """Check all gates, and return what they measured, by name.

    Raises
    ------
    RefusedError: a gate does not pass; the message names it, its value and the key of its limit.
    """
    gates = list(_gates(old, new, config))
    failed = [gate for gate in gates if not gate.passes]
    if failed:
        reasons = "; ".join(map(str, failed))
        raise RefusedError(
            f"not published, {old.bundle_id} stays in use: {reasons}: correct the source, or change refresh.{failed[0].name} for this run"
        )
    return {gate.name: round(gate.value, 4) for gate in gates}


def _gates(old: BundleUnderTest, new: BundleUnderTest, config: RefreshConfig) -> Iterator[QualityGate]:
    def at_most(name: str, value: float) -> QualityGate:
        limit = getattr(config, name)
        return QualityGate(name, value, limit, value <= limit)

    yield at_most("max_items_lost", _items_lost(old.snapshot.catalog, new.snapshot.catalog))
    yield at_most("max_events_lost", _events_lost(len(old.snapshot.log), len(new.snapshot.log)))
    if old.same_vectors(new):
        yield at_most("max_changed_vectors", changed_texts(old.snapshot, new.snapshot))
    recall = ann_recall(new.snapshot)
    yield QualityGate("min_ann_recall", recall, config.min_ann_recall, recall >= config.min_ann_recall)
    both = ndcg_of_both(old, new, config)
    if both is not None and both[0] > 0:
        yield at_most("max_ndcg_drop", max(0.0, 1 - both[1] / both[0]))


def _items_lost(before: Catalog, after: Catalog) -> float:
    """Return the share of the old items that the new catalogue lacks."""
    return float((after.rows(before.ids) < 0).mean()) if len(before) else 0.0


def _events_lost(before: int, after: int) -> float:
    return max(0.0, 1 - after / before) if before else 0.0


def changed_texts(old: Snapshot, new: Snapshot) -> float:
    """Return the share of the items in both catalogues whose text, and so whose vector, has changed."""
    _, old_rows, new_rows = np.intersect1d(old.catalog.ids.astype(str), new.catalog.ids.astype(str), return_indices=True)
    if not len(old_rows):
        return 1.0
    before, after = old.texts.hashes[old.text_of[old_rows]], new.texts.hashes[new.text_of[new_rows]]
    return float((before != after).any(axis=1).mean())


def ann_recall(snapshot: Snapshot, seed: int = 0) -> float:
    """Return recall@10 of the index, loaded from its stored bytes, against exact search for noisy item vectors."""
    index, space = ItemIndex.from_files(snapshot.index.to_files()), snapshot.space
    random = np.random.default_rng(seed)
    chosen = random.choice(len(space), min(QUERIES, len(space)), replace=False)
    queries = space[chosen] + random.normal(0, 0.3 / np.sqrt(space.shape[1]), (len(chosen), space.shape[1]))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    k = min(K, len(space))
    rows, _ = index.search(queries, k)
    scores = queries @ space.T  # (q, t)
    # By score, not by row, because texts may have equal vectors.
    least = np.partition(scores, -k, axis=1)[:, -k][:, None]
    hits = (rows >= 0) & (np.take_along_axis(scores, np.maximum(rows, 0), axis=1) >= least - 1e-5)
    return float(hits.mean())
