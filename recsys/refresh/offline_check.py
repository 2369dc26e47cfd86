"""Whether a new bundle recommends as well as the one in use: both stand at one moment some days ago and foretell what was bought since.

What is counted is counted at that moment, from each one's own log. The trained weights may have seen the days since; both have, so that
the comparison shows harm (ids that no longer match, texts that were emptied), not how good either is: `recsys evaluate` tells that.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import Split
from features.errors import DataError
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import find_bundle
from recsys.artifacts.publish import publish
from recsys.recommend.recommender import Recommender
from recsys.snapshot.snapshot import LogAggregates
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from pathlib import Path

    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model, ServedModel
    from recsys.settings.refresh import RefreshConfig
    from recsys.snapshot.snapshot import Snapshot
    from retrieval.collaborative.config import RetrievalConfig

K = 10
KEPT = 2  # fits at the judged moment that are kept: the old one's and the new one's


@dataclass(frozen=True)
class BundleUnderTest:
    """A model over a snapshot, published or about to be. model_id: tells models apart. cache: where fits are kept."""

    model: Model | ServedModel
    snapshot: Snapshot
    bundle_id: str
    model_id: str
    cache: Path

    @cached_property
    def ids(self) -> list[str]:
        """External item ids by row."""
        return self.snapshot.catalog.ids.tolist()

    def same_vectors(self, other: BundleUnderTest) -> bool:
        """Whether one encoder made the vectors of both."""
        return self.snapshot.texts.fingerprint == other.snapshot.texts.fingerprint

    def before(self, cut: int) -> Interactions:
        """What the log says of the time before a moment."""
        return self.snapshot.log.between(None, cut).with_known_users()

    def lists(self, users: list[str], cut: int) -> np.ndarray:
        """External ids of the best ten of each user at a moment, object (b, 10), None where there are fewer or the user is unknown."""
        log = self.before(cut)
        rows = log.user_rows(users)
        found = np.full((len(users), K), None, dtype=object)
        known = rows >= 0
        if not known.any():
            return found
        retrieval = self.model.retrieval
        collaborative = cached_collaborative(self.cache / "gates", log, cut, retrieval)
        counted = LogAggregates.of(self.snapshot.catalog, log, cut, retrieval, collaborative)
        recommender = Recommender(self.model, replace(self.snapshot, now=cut, **vars(counted)))
        best = recommender.recommend(Histories.of_users(log, rows[known], cut), K).rows
        places, here = np.flatnonzero(known), best >= 0
        found[places[np.nonzero(here)[0]], np.nonzero(here)[1]] = self.snapshot.catalog.ids[best[here]]
        return found


def ndcg_of_both(old: BundleUnderTest, new: BundleUnderTest, config: RefreshConfig) -> tuple[float, float] | None:
    """NDCG@10 of both on the old log's last days; None where there is nothing to judge on, or nothing that could make a difference."""
    log = old.snapshot.log
    if not len(log) or not config.judged_users:
        return None
    # On a grid of days, so that the refreshes of a day judge at one moment and what is fitted there is fitted once.
    cut = log.end - DAY if log.ordinal else log.end // DAY * DAY - config.judged_days * DAY
    try:
        truth = GroundTruth.of(Split.by_time(log, cut), config.judged_users)
    except DataError:
        return None
    if _alike(old, new, cut):
        return None
    users = log.user_ids[truth.users].tolist()
    place = {item: row for row, item in enumerate(old.ids)}
    scores = []
    for standing in (old, new):
        lists = standing.lists(users, cut)
        # Items that only the new one has are misses, each another one.
        rows = np.array([[place.get(item, -1) if item is not None else -1 for item in row] for row in lists], dtype=np.int64)
        scores.append(float(np.nanmean(ndcg(rows, truth.bought, K))))
    return scores[0], scores[1]


def _alike(old: BundleUnderTest, new: BundleUnderTest, cut: int) -> bool:
    """Whether both must answer alike at the cut: by one model, of one catalogue, from one past."""
    if old.model_id != new.model_id or not old.snapshot.catalog.frame.equals(new.snapshot.catalog.frame):
        return False
    before, after = old.before(cut), new.before(cut)
    return np.array_equal(before.user_ids, after.user_ids) and log_digest(before) == log_digest(after)


def cached_collaborative(store: Path, log: Interactions, now: int, retrieval: RetrievalConfig) -> Collaborative:
    """The collaborative models of a log at a moment, fitted once."""
    key = collaborative_key(log, now, retrieval)
    if bundle := find_bundle(store, key=key):
        return Collaborative.from_files(Subfolder(bundle.files, "collaborative"))
    made = Collaborative.fit(log, now, retrieval)
    publish(store, {f"collaborative/{name}": content for name, content in made.to_files().items()}, {"key": key}, KEPT)
    return made


def collaborative_key(log: Interactions, now: int, retrieval: RetrievalConfig) -> str:
    """SHA-256 of all that the collaborative models follow from. They know no user by name."""
    return hashlib.sha256(f"{log_digest(log)}|{now}|{retrieval.model_dump_json()}".encode()).hexdigest()


def log_digest(log: Interactions) -> str:
    """SHA-256 of who (by row) did what when."""
    digest = hashlib.sha256(f"{log.n_items}|{log.ordinal}".encode())
    for name in ("user", "item", "time", "event", "weight", "price"):
        digest.update(np.ascontiguousarray(getattr(log, name)).tobytes())
    return digest.hexdigest()
