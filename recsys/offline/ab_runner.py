"""What answers in a simulation's arm on one day: a baseline, or ours over a snapshot of what was known at the last refresh."""

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
from ranking.ranker import GBDTRanker
from recsys.artifacts.bundle import sound_bundle
from recsys.progress import terminal_progress
from recsys.recommend.recommender import BATCH, Recommender
from recsys.settings.arm import OURS
from recsys.settings.keys import training_sections
from recsys.snapshot.snapshot import EncodeOptions, encode_catalog, take_snapshot
from recsys.training.find_or_train import model_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model
    from recsys.offline.ab_arm import AbArm
    from recsys.snapshot.snapshot import Encoded
    from recsys.workspace.workspace import Workspace


@dataclass
class AbRunner:
    """The workspace's tables, and what arms can share: models, encoded catalogues, the last recommenders."""

    workspace: Workspace
    catalog: Catalog
    log: Interactions
    start: int
    _models: dict[str, tuple[Model, str]] = field(default_factory=dict)
    _encoded: dict[str, Encoded] = field(default_factory=dict)
    _recommenders: dict[tuple[str, int], Recommender] = field(default_factory=dict)

    def at(self, day: int) -> int:
        """A day's begin, seconds since the epoch."""
        return self.start + day * DAY

    def known(self, day: int) -> np.ndarray:
        """What there was to show at a day's begin: created or seen in the log before it, bool (n_items,)."""
        created = self.catalog.frame["created_at"].dt.epoch("s").to_numpy()
        known = created < self.at(day)  # nan, where the catalogue does not say, is not
        known[self.log.item[self.log.time < self.at(day)]] = True
        return known

    def weighted(self, arm: AbArm) -> Interactions:
        """The log, with events counting what the arm says they do."""
        weights = np.array([getattr(arm.settings.events, name) for name in EVENTS], dtype=np.float32)
        return replace(self.log, weight=weights[self.log.event])

    def lists(self, arm: AbArm, day: int, users: np.ndarray) -> np.ndarray:
        """The arm's answers to user rows (b,) on a day, int32 (b, K), padded -1."""
        made = arm.refreshed(day)
        answer = self._baseline(arm, made) if arm.config.system != OURS else self._ours(arm, made, arm.trained(day))
        allowed, now = self.known(made), self.at(day if arm.config.history == "live" else made)
        log, out = self.weighted(arm), np.full((len(users), K), -1, dtype=np.int32)
        for begin in range(0, len(users), BATCH):
            part = slice(begin, begin + BATCH)
            found = answer(Histories.of_users(log, users[part], now), allowed)
            out[part, : found.shape[1]] = found
        return out

    def _baseline(self, arm: AbArm, made: int) -> Callable[[Histories, np.ndarray], np.ndarray]:
        fitted = fit_baseline(arm.config.system, self.weighted(arm), self.at(made), arm.settings.baselines.all)
        return lambda users, allowed: fitted.retrieve(users, K, allowed).rows

    def _ours(self, arm: AbArm, made: int, until: int) -> Callable[[Histories, np.ndarray], np.ndarray]:
        recommender = self._recommender(arm, made, until)
        known = _without_cross_encoder(recommender) if not arm.config.cross_encoder else recommender.recommend

        def answer(users: Histories, allowed: np.ndarray) -> np.ndarray:
            rows = np.full((len(users), K), -1, dtype=np.int64)
            for find, group in ((known, users.lengths > 0), (recommender.popular, users.lengths == 0)):
                some = users.take(np.flatnonzero(group))
                if len(some):
                    rules = Filters(new_only=not recommender.snapshot.buys_again)
                    mask = allowed & rules.allowed(self.catalog, recommender.snapshot.prices, some)
                    found = find(some, K, mask).rows
                    rows[np.flatnonzero(group), : found.shape[1]] = found
            return rows

        return answer

    def _recommender(self, arm: AbArm, made: int, until: int) -> Recommender:
        model, key = self.model(arm, until)
        if (key, made) not in self._recommenders:
            while len(self._recommenders) > 1:  # each holds models of the whole shop
                self._recommenders.pop(next(iter(self._recommenders)))
            if key not in self._encoded:
                options = EncodeOptions(progress=terminal_progress)
                self._encoded[key] = encode_catalog(self.catalog, model, self.workspace.cache, self._known_texts(model), options)
            before = self.weighted(arm).between(None, self.at(made))
            snapshot = take_snapshot(self.catalog, before, self.at(made), model, self._encoded[key], arm.settings.index)
            self._recommenders[key, made] = Recommender(model, snapshot)
        return self._recommenders[key, made]

    def _known_texts(self, model: Model) -> Encoded | None:
        from recsys.snapshot.canaries import encoded_before

        bundle = sound_bundle(self.workspace.bundles)
        return encoded_before(bundle, model) if bundle else None

    def model(self, arm: AbArm, day: int) -> tuple[Model, str]:
        """The arm's model of what lies before a day, and a digest of it and of how it is indexed.

        The workspace's, if it is the very one that the arm's settings give on what lies before that moment; else one is trained and kept.
        """
        until = self.at(day)
        key = digest({"settings": repr(training_sections(arm.settings)).encode(), "until": str(until).encode()})
        if key not in self._models:
            store = self.workspace.root / "simulations" / "models"
            made = model_until(self.workspace, store, arm.settings, (self.catalog, self.weighted(arm)), until)
            self._models[key] = made, key
        return self._models[key]


def _without_cross_encoder(recommender: Recommender) -> Callable[[Histories, int, np.ndarray], Any]:
    """`Recommender.recommend` in the blend's own order."""
    parts, snapshot = recommender.model.ranking, recommender.snapshot
    if parts is None:
        return recommender.recommend
    ranker = GBDTRanker(snapshot.stats, parts.base, parts.residual, None, snapshot.tokens, parts.calibration)

    def recommend(users: Histories, k: int, allowed: np.ndarray) -> Any:
        found = recommender.candidates(users, max(k, recommender.model.retrieval.candidates), allowed)
        return recommender.shown(ranker.rank(found), k)

    return recommend
