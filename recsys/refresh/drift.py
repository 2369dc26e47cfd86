"""Measures the drift of a new bundle from the one in use: features, share of new items, text vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from features.names import BUYERS_28, BUYERS_EVER, EVENT, PRICE, TREND

if TYPE_CHECKING:
    from recsys.refresh.offline_check import BundleUnderTest
    from recsys.snapshot.snapshot import Snapshot

BINS = 10
MIN_VALUES = 500  # with fewer values, chance alone makes an index above 2 * BINS / MIN_VALUES
MIN_SHARE = 1e-4  # of a bin, so that an empty one has a logarithm


def drift(old: BundleUnderTest, new: BundleUnderTest) -> dict[str, Any]:
    """Compare two bundles.

    Returns
    -------
    dict
        "against": the old bundle's id. "psi": the population stability index of each feature with enough values. "new_items": the share
        of the new catalogue that the old one lacks. "embedding_shift": see the function; None if their encoders differ.
    """
    before, after = features(old.snapshot), features(new.snapshot)
    fresh = ~np.isin(new.snapshot.catalog.ids.astype(str), old.snapshot.catalog.ids.astype(str))
    return {
        "against": old.bundle_id,
        "psi": {
            name: round(psi(before[name], after[name]), 4) for name in before if min(len(before[name]), len(after[name])) >= MIN_VALUES
        },
        "new_items": round(float(fresh.mean()), 4),
        "embedding_shift": round(embedding_shift(old.snapshot, new.snapshot), 4) if old.same_vectors(new) else None,
    }


def features(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """Return the monitored features, each with one value an item sold, an event or a user."""
    log, stats = snapshot.log, snapshot.stats.columns
    sold = stats[BUYERS_EVER] > 0
    counts = np.bincount(log.user, minlength=log.n_users)
    return {
        PRICE: snapshot.prices,
        BUYERS_28: stats[BUYERS_28][sold],
        TREND: stats[TREND][sold],
        "paid": log.price,
        "events_a_user": counts[counts > 0],
        EVENT: log.event,
        "age": (snapshot.now - log.time) / 86_400,
    }


def psi(before: np.ndarray, after: np.ndarray) -> float:
    """Return the population stability index over the deciles of `before`: the sum of (p - q) ln(p / q) over bins.

    Missing values are a separate bin.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards: below .1 is a small shift, above .25 a large one.
    """
    known = before[~np.isnan(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)

    def shares(values: np.ndarray) -> np.ndarray:
        place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
        counts = np.bincount(place, minlength=len(edges) + 2)
        return np.maximum(counts / max(len(values), 1), MIN_SHARE)

    p, q = shares(after.astype(np.float64)), shares(before.astype(np.float64))
    return float(((p - q) * np.log(p / q)).sum())


def embedding_shift(old: Snapshot, new: Snapshot) -> float:
    """Return 1 - cosine of the mean item vectors before and after, 0 to 2."""
    before, after = (one.text_vectors[one.text_of].mean(axis=0, dtype=np.float64) for one in (old, new))
    return float(1 - before @ after / max(float(np.linalg.norm(before) * np.linalg.norm(after)), 1e-12))
