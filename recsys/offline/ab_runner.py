"""Runs one arm of a simulation on one day: a baseline, or our recommender over a snapshot taken at the last refresh."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.baselines.registry import fit_baseline
from eval.simulation.visits import K
from features.data.histories import Histories
from features.data.interactions import DAY, EVENTS
from features.storage.digests import digest
from ranking.filters import Filters
from recsys.artifacts.bundle import sound_bundle
from recsys.progress import terminal_progress
from recsys.recommend.pipeline import BATCH, Recommender
from recsys.settings.arm import OURS
from recsys.snapshot.encode import EncodeOptions, encode_catalog
from recsys.snapshot.snapshot import take_snapshot
from recsys.training.find_or_train import model_until
from recsys.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model
    from recsys.offline.ab_arm import AbArm
    from recsys.snapshot.encode import Encoded
    from recsys.workspace.workspace import Workspace


@dataclass
class AbRunner:
    """Produces the lists of arms over one shop. Arms share models, encoded catalogues and the latest recommenders.

    Attributes
    ----------
    log : Interactions
        The whole log; an arm sees only what lies before the day it answers.
    start : int
        The beginning of day 0, seconds since the epoch.
    train : TrainOptions
        The preset, seed and device of the models.
    """

    workspace: Workspace
    catalog: Catalog
    log: Interactions
    start: int
    train: TrainOptions = field(default_factory=TrainOptions)
    _models: dict[str, tuple[Model, str]] = field(default_factory=dict)
    _encoded: dict[str, Encoded] = field(default_factory=dict)
    _recommenders: dict[tuple[str, int], Recommender] = field(default_factory=dict)

    def at(self, day: int) -> int:
        """Return the beginning of a day, seconds since the epoch."""
        return self.start + day * DAY

    def known(self, day: int) -> np.ndarray:
        """Return which items had been created or seen in the log before a day began, bool (n_items,)."""
        created = self.catalog.frame["created_at"].dt.epoch("s").to_numpy()
        known = created < self.at(day)  # nan, an unknown date, is not
        known[self.log.item[self.log.time < self.at(day)]] = True
        return known

    def weighted(self, arm: AbArm) -> Interactions:
        """Return the log with the arm's weights of events."""
        weights = np.array([arm.settings.events.weights[name] for name in EVENTS], dtype=np.float32)
        return replace(self.log, weight=weights[self.log.event])

    def lists(self, arm: AbArm, day: int, users: np.ndarray) -> np.ndarray:
        """Return the arm's lists for user rows (b,) on a day, int32 (b, K), padded with -1."""
        refreshed = arm.refreshed(day)
        answer = self._baseline(arm, refreshed) if arm.config.system != OURS else self._ours(arm, refreshed, arm.trained(day))
        allowed, now = self.known(refreshed), self.at(day if arm.config.history == "live" else refreshed)
        log, out = self.weighted(arm), np.full((len(users), K), -1, dtype=np.int32)
        for begin in range(0, len(users), BATCH):
            part = slice(begin, begin + BATCH)
            histories = Histories.of_users(log, users[part], now)
            rows = answer(histories, histories.permitted(allowed))
            out[part, : rows.shape[1]] = rows
        return out

    def _baseline(self, arm: AbArm, refreshed: int) -> Callable[[Histories, np.ndarray], np.ndarray]:
        fitted = fit_baseline(arm.config.system, self.weighted(arm), self.at(refreshed), arm.settings.baselines.all)
        return lambda users, allowed: fitted.retrieve(users, K, allowed).rows

    def _ours(self, arm: AbArm, refreshed: int, until: int) -> Callable[[Histories, np.ndarray], np.ndarray]:
        recommender = self._recommender(arm, refreshed, until)
        personal = _without_cross_encoder(recommender) if not arm.config.cross_encoder else recommender.recommend

        def answer(users: Histories, allowed: np.ndarray) -> np.ndarray:
            rows = np.full((len(users), K), -1, dtype=np.int64)
            for recommend, group in ((personal, users.lengths > 0), (recommender.popular, users.lengths == 0)):
                some = users.take(np.flatnonzero(group))
                if len(some):
                    filters = Filters(new_only=not recommender.snapshot.buys_again)
                    mask = allowed & filters.allowed(self.catalog, recommender.snapshot.prices, some)
                    best = recommend(some, K, mask).rows
                    rows[np.flatnonzero(group), : best.shape[1]] = best
            return rows

        return answer

    def _recommender(self, arm: AbArm, refreshed: int, until: int) -> Recommender:
        model, key = self.model(arm, until)
        if (key, refreshed) not in self._recommenders:
            while len(self._recommenders) > 1:  # each holds models of the whole shop
                self._recommenders.pop(next(iter(self._recommenders)))
            if key not in self._encoded:
                self._encoded[key] = encode_catalog(
                    self.catalog, model, self.workspace.cache, self._known_texts(model), EncodeOptions(progress=terminal_progress)
                )
            before = self.weighted(arm).between(None, self.at(refreshed))
            snapshot = take_snapshot(self.catalog, before, self.at(refreshed), model, self._encoded[key], arm.settings.indexing)
            self._recommenders[key, refreshed] = Recommender(model, snapshot)
        return self._recommenders[key, refreshed]

    def _known_texts(self, model: Model) -> Encoded | None:
        from recsys.snapshot.canaries import encoded_before

        bundle = sound_bundle(self.workspace.bundles)
        return encoded_before(bundle, model) if bundle else None

    def model(self, arm: AbArm, day: int) -> tuple[Model, str]:
        """Return the arm's model, trained on the log before a day, and the key under which it is cached.

        The workspace's model is used where the arm's settings would train that very model; otherwise one is trained and
        stored in simulations/models/.
        """
        until = self.at(day)
        key = digest({"settings": repr(arm.settings.training_sections()).encode(), "until": str(until).encode()})
        if key not in self._models:
            store = self.workspace.root / "simulations" / "models"
            model = model_until(self.workspace, store, arm.settings, self.train, (self.catalog, self.weighted(arm)), until)
            self._models[key] = model, key
        return self._models[key]


def _without_cross_encoder(recommender: Recommender) -> Callable[[Histories, int, np.ndarray], Any]:
    """Return `Recommender.recommend` without the cross-encoder: the gradient-boosted ranker alone sets the order."""
    if recommender.ranker is None:
        return recommender.recommend
    ranker = replace(recommender.ranker, cross_encoder=None)

    def recommend(users: Histories, k: int, allowed: np.ndarray) -> Any:
        candidates = recommender.candidates(users, max(k, recommender.model.retrieval.candidates), allowed)
        return recommender.first_places(recommender.with_chances(ranker.rank(candidates)), k)

    return recommend
