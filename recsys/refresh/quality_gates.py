"""What a new bundle must pass before it takes the place of the one in use: it may hold less, know less or find less only within limits."""

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
    """A bundle that was built and is not published."""


@dataclass(frozen=True)
class QualityGate:
    """One measurement beside its limit. `passes` says on which side it lies."""

    name: str
    value: float
    limit: float
    passes: bool

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3f}, limit {self.limit:g}"


def check(old: BundleUnderTest, new: BundleUnderTest, config: RefreshConfig) -> dict[str, Any]:
    """All gates; what they measured, for the manifest.

    Raises
    ------
    RefusedError: one of them does not pass; which, with its figure and the key that sets its limit.
    """
    gates = list(_gates(old, new, config))
    failed = [gate for gate in gates if not gate.passes]
    if failed:
        what = "; ".join(map(str, failed))
        raise RefusedError(
            f"not published, {old.bundle_id} stays in use: {what}: mend the source, or move refresh.{failed[0].name} for this once"
        )
    return {gate.name: round(gate.value, 4) for gate in gates}


def _gates(old: BundleUnderTest, new: BundleUnderTest, config: RefreshConfig) -> Iterator[QualityGate]:
    def at_most(name: str, value: float) -> QualityGate:
        limit = getattr(config, name)
        return QualityGate(name, value, limit, value <= limit)

    yield at_most("max_items_lost", _gone(old.snapshot.catalog, new.snapshot.catalog))
    yield at_most("max_events_lost", _lost(len(old.snapshot.log), len(new.snapshot.log)))
    if old.same_vectors(new):
        yield at_most("max_changed_vectors", changed_texts(old.snapshot, new.snapshot))
    recall = ann_recall(new.snapshot)
    yield QualityGate("min_ann_recall", recall, config.min_ann_recall, recall >= config.min_ann_recall)
    both = ndcg_of_both(old, new, config)
    if both is not None and both[0] > 0:
        yield at_most("max_ndcg_drop", max(0.0, 1 - both[1] / both[0]))


def _gone(before: Catalog, after: Catalog) -> float:
    """Share of the items that are no longer there, however many others have come."""
    return float((after.rows(before.ids) < 0).mean()) if len(before) else 0.0


def _lost(before: int, after: int) -> float:
    return max(0.0, 1 - after / before) if before else 0.0


def changed_texts(old: Snapshot, new: Snapshot) -> float:
    """Of the items in both catalogues, the share whose text is another: with one encoder those have other vectors, and no others."""
    _, mine, theirs = np.intersect1d(old.catalog.ids.astype(str), new.catalog.ids.astype(str), return_indices=True)
    if not len(mine):
        return 1.0
    before, after = old.texts.hashes[old.text_of[mine]], new.texts.hashes[new.text_of[theirs]]
    return float((before != after).any(axis=1).mean())


def ann_recall(snapshot: Snapshot, seed: int = 0) -> float:
    """Recall@10 of the index, as its own bytes bring it back, against exact search; queries are texts of the catalogue with some noise."""
    index, space = ItemIndex.from_files(snapshot.index.to_files()), snapshot.space
    random = np.random.default_rng(seed)
    chosen = random.choice(len(space), min(QUERIES, len(space)), replace=False)
    queries = space[chosen] + random.normal(0, 0.3 / np.sqrt(space.shape[1]), (len(chosen), space.shape[1]))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)
    k = min(K, len(space))
    found, _ = index.search(queries, k)
    scores = queries @ space.T  # (q, t)
    # By score, not by row: of texts with equal vectors any will do.
    least = np.partition(scores, -k, axis=1)[:, -k][:, None]
    good = (found >= 0) & (np.take_along_axis(scores, np.maximum(found, 0), axis=1) >= least - 1e-5)
    return float(good.mean())
