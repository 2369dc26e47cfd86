"""Compares a new bundle with the one in use: both predict, at a moment some days ago, what was bought since.

Features are counted at that moment, each from the bundle's log. The trained weights of both may have seen the days
since. The comparison therefore shows harm (ids that no longer match, texts that were emptied), not quality; `recsys
evaluate` measures quality.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import Split
from features.errors import DataError
from features.storage.arrays import Subfolder, in_folder
from features.storage.atomic import write_whole
from features.storage.digests import of_json
from recsys.artifacts.check import find_bundle
from recsys.artifacts.publish import publish
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.aggregates import LogAggregates
from recsys.snapshot.fingerprint import collaborative_key, words_digest
from recsys.snapshot.fits.changes import Changes, Tables
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model, ServedModel
    from recsys.settings.refresh import RefreshConfig
    from recsys.snapshot.snapshot import Snapshot
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.review_words import ReviewWords

K = 10
FEW = 50  # users who are asked first
HITS = 25  # of the first users with a hit, at least, for the others not to be asked
SURE = 3.0  # standard errors between the loss of the first users and the limit, for the others not to be asked
CACHED = 2  # of the old bundle and of the new one: collaborative fits, and lists of the first users and of the others
_LISTS = "lists.json"  # of the cache of gates, which an erasure removes


@dataclass(frozen=True)
class BundleUnderTest:
    """A model over a snapshot, published or about to be.

    Attributes
    ----------
    model_id : str
        A digest of the model's files.
    cache : Path
        Where collaborative fits and lists are cached.
    inputs : str or None
        Digest of all that the bundle is built from, by which its lists are found again; None: they are not cached.
    """

    model: Model | ServedModel
    snapshot: Snapshot
    bundle_id: str
    model_id: str
    cache: Path
    inputs: str | None = None

    @cached_property
    def ids(self) -> list[str]:
        """External item ids by row."""
        return self.snapshot.catalog.ids.tolist()

    def same_vectors(self, other: BundleUnderTest) -> bool:
        """Return whether the same encoder made the vectors of both."""
        return self.snapshot.texts.fingerprint == other.snapshot.texts.fingerprint

    def before(self, cut: int) -> Interactions:
        """Return the log before a moment."""
        return self.snapshot.log.between(None, cut).with_known_users()

    def lists(self, users: list[str], cut: int, collaborative: Callable[[], Collaborative]) -> np.ndarray:
        """Return the external ids of each user's ten best items at a moment, object (b, 10), padded with None.

        Parameters
        ----------
        collaborative : returns the collaborative models of the log before that moment; not asked where the lists are cached.
        """
        path, key = self.cache / "gates" / _LISTS, of_json([self.inputs, cut, users, version("two-tower-recsys")])
        known = _read(path)
        if self.inputs is None or key not in known:
            known[key] = self._lists(users, cut, collaborative())
            newest = dict(list(known.items())[-2 * CACHED :])
            write_whole(path, json.dumps(newest))
        return np.array(known[key], dtype=object).reshape(len(users), K)

    def _lists(self, users: list[str], cut: int, collaborative: Collaborative) -> list[list[str | None]]:
        log = self.before(cut)
        rows = log.user_rows(users)
        out = np.full((len(users), K), None, dtype=object)
        known = rows >= 0
        if known.any():
            words = self.snapshot.review_words
            aggregates = LogAggregates.of(self.snapshot.catalog, log, cut, self.model.retrieval, collaborative, words)
            recommender = Recommender(self.model, replace(self.snapshot, now=cut, **vars(aggregates)))
            best = recommender.recommend(Histories.of_users(log, rows[known], cut), K).rows
            valid = best >= 0
            user, place = np.nonzero(valid)
            out[np.flatnonzero(known)[user], place] = self.snapshot.catalog.ids[best[valid]]
        return out.tolist()

    def collaborative(self, cut: int, share: float) -> Collaborative:
        """Return the collaborative models of the log before a moment.

        Those of a day before are carried over, if the cache has them and no more than a share of the events is later: a refresh on the next
        day then fits none.
        """
        store, log, retrieval, words = self.cache / "gates", self.before(cut), self.model.retrieval, self.snapshot.review_words
        for day in range(cut, 0, -DAY):
            earlier = log if day == cut else self.before(day)
            if len(log) - len(earlier) > share * len(earlier) or (log.ordinal and day < cut):
                break
            if found := _cached(store, collaborative_key(earlier, day, retrieval, words)):
                return found if day == cut else found.carried_over(np.arange(log.n_items), log, cut)
        return cached_collaborative(store, log, cut, retrieval, words)

    def collaborative_after(self, earlier: BundleUnderTest, cut: int, share: float) -> Collaborative:
        """Return the same; those of an earlier bundle are carried over if no more than a share of the events has changed."""
        if self.model.retrieval == earlier.model.retrieval:
            one, other = (Tables(of.snapshot.catalog, of.before(cut), of.snapshot.review_words) for of in (earlier, self))
            changes = Changes.between(one, other)
            if changes.events <= share * len(one.log):
                return earlier.collaborative(cut, share).carried_over(changes.rows, other.log, cut)
        return self.collaborative(cut, share)


def _read(path: Path) -> dict[str, list[list[str | None]]]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def ndcg_of_both(old: BundleUnderTest, new: BundleUnderTest, config: RefreshConfig) -> tuple[float, float] | None:
    """Return NDCG@10 of both on the last days of the old log; None without test users, or if the two cannot differ."""
    log = old.snapshot.log
    if not len(log) or not config.judged_users:
        return None
    # On a grid of days, so that all refreshes of a day compare at one moment and share the collaborative fits.
    cut = log.end - DAY if log.ordinal else log.end // DAY * DAY - config.judged_days * DAY
    split = Split.by_time(log, cut)
    try:
        users = GroundTruth.of(split, config.judged_users).users
    except DataError:
        return None
    if _equal(old, new, cut):
        return None
    fits = ((old, lambda: old.collaborative(cut, config.refit_share)), (new, lambda: new.collaborative_after(old, cut, config.refit_share)))
    place = {item: row for row, item in enumerate(old.ids)}

    def scores(some: np.ndarray) -> np.ndarray:
        """Return NDCG@10 of users, given by their rows, by both bundles, float64 (2, users)."""
        ground_truth, ids = GroundTruth.over(split, some), log.user_ids[some].tolist()
        lists = [bundle.lists(ids, cut, fit) for bundle, fit in fits]
        # Items that only the new bundle has are misses.
        rows = [[[place.get(item, -1) if item is not None else -1 for item in row] for row in of_one] for of_one in lists]
        return np.array([ndcg(np.array(of_one, dtype=np.int64), ground_truth.bought, K) for of_one in rows])

    drawn = np.random.default_rng(0).permutation(users)
    found = scores(np.sort(drawn[:FEW]))
    if len(drawn) > FEW and not surely_within(found, config.max_ndcg_drop):
        found = np.concatenate([found, scores(np.sort(drawn[FEW:]))], axis=1)
    before, after = np.nanmean(found, axis=1).tolist()
    return before, after


def surely_within(scores: np.ndarray, limit: float) -> bool:
    """Return whether a share of the old score is lost that lies below a limit by `SURE` standard errors.

    Few users with a hit are not enough to tell: most scores are 0, and a standard error says little of them.

    Parameters
    ----------
    scores : float64 (2, users)
        NDCG of the same users by the old bundle and by the new one.
    """
    margin = limit * scores[0] - (scores[0] - scores[1])  # by user; its mean is below 0 where more than the share is lost
    error = np.nanstd(margin, ddof=1) / np.sqrt(scores.shape[1])
    return bool(np.count_nonzero(scores[0] > 0) >= HITS and np.nanmean(margin) > SURE * error)


def _equal(old: BundleUnderTest, new: BundleUnderTest, cut: int) -> bool:
    """Return whether both must give equal lists: same model, same catalogue, same reviews, same log before the cut."""
    if old.model_id != new.model_id or not old.snapshot.catalog.frame.equals(new.snapshot.catalog.frame):
        return False
    if words_digest(old.snapshot.review_words) != words_digest(new.snapshot.review_words):
        return False
    before, after = old.before(cut), new.before(cut)
    return np.array_equal(before.user_ids, after.user_ids) and before.digest == after.digest


def _cached(store: Path, key: str) -> Collaborative | None:
    bundle = find_bundle(store, key=key)
    return None if bundle is None else Collaborative.from_files(Subfolder(bundle.files, "collaborative"))


def cached_collaborative(
    store: Path, log: Interactions, now: int, retrieval: RetrievalConfig, words: ReviewWords | None = None
) -> Collaborative:
    """Return the collaborative models of a log at a moment, from the cache if it has them."""
    key = collaborative_key(log, now, retrieval, words)
    if found := _cached(store, key):
        return found
    fitted = Collaborative.fit(log, now, retrieval, words)
    publish(store, in_folder("collaborative", fitted.to_files()), {"key": key}, CACHED)
    return fitted
