"""Fits the models of an audience on past windows, once for a bundle: what was bought in them, and by whom."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.item_stats import ItemStats
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.errors import DataError
from features.names import BUYERS_28, BUYERS_91, BUYERS_EVER
from features.storage.arrays import Subfolder, in_folder
from recsys.apps.customers.audience.model import AudienceModel, LabelledPairs, fit_model
from recsys.apps.customers.audience.pair_features import PairFeatures
from recsys.apps.customers.audience.products import Product, Products
from recsys.artifacts.job_cache import read_files, write_files
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recsys.apps.customers.audience.products import Kind
    from recsys.recommend.pipeline import Recommender

_log = logging.getLogger(__name__)
FOLDER = "audience"  # of the cache
WINDOW = 28  # days
KINDS: tuple[Kind, ...] = ("sold", "unsold", "category")
USERS = 20_000  # of a window
FITTED = {"sold": 500, "unsold": 1000, "category": 150}  # products of the window that a booster is fitted on
CALIBRATED = {"sold": 200, "unsold": 200, "category": 100}  # of the window that it is calibrated on
PAIRS_AT_ONCE = 250_000
LEAST = 30  # purchases in a window, below which nothing can be learned
NEGATIVES = 100_000  # of the window that a booster is fitted on


@dataclass(frozen=True)
class AudienceModels:
    """The models by kind of product; a kind of which too little was bought has none."""

    models: dict[Kind, AudienceModel]

    def to_files(self) -> dict[str, bytes]:
        """Return the contents by file name."""
        files: dict[str, bytes] = {}
        for kind, model in self.models.items():
            files |= in_folder(kind, model.to_files())
        return files


def models_of(recommender: Recommender, cache: Path) -> AudienceModels:
    """Read the models of a bundle from the cache, or fit and keep them; those of other bundles are removed."""
    folder = cache / FOLDER / recommender.bundle_id
    if recommender.bundle_id and folder.is_dir():
        files = {name.replace("--", "/"): content for name, content in read_files(folder).items()}
        return AudienceModels({kind: AudienceModel.from_files(Subfolder(files, kind)) for kind in KINDS if Subfolder(files, kind)})
    _log.info("the first audience of a bundle: learning from what was bought in the last %d days", 2 * WINDOW)
    models = fit_models(recommender)
    if recommender.bundle_id:
        shutil.rmtree(cache / FOLDER, ignore_errors=True)
        write_files(folder, {name.replace("/", "--"): content for name, content in models.to_files().items()})
    return models


def fit_models(recommender: Recommender, seed: int = 0) -> AudienceModels:
    """Fit on the last window but one and calibrate on the last window before the recommender's moment.

    Raises
    ------
    DataError
        If the log has no calendar, or is shorter than four windows.
    """
    snapshot = recommender.snapshot
    if snapshot.log.ordinal or not len(snapshot.log):
        raise DataError("the log has no dates, so nobody can be said to buy within days: bring a log with a time of each purchase")
    days = (snapshot.now - snapshot.log.start) / DAY
    if days < 4 * WINDOW:
        raise DataError(f"the log covers {days:.0f} days, expected at least {4 * WINDOW}: come back with a longer log")
    pairs: dict[Kind, list[tuple[LabelledPairs, tuple[str, ...]]]] = {kind: [] for kind in KINDS}
    for back in (2, 1):
        cut = snapshot.now - back * WINDOW * DAY
        past = at_moment(recommender, cut)
        bought = snapshot.log.between(cut, cut + WINDOW * DAY)
        bought = bought.where(np.isin(bought.event, LABEL_EVENTS))
        for kind in KINDS:
            pairs[kind].append(PastWindow(past, bought.user, bought.item, seed + back).examples(kind, sampled=back == 2))
    models: dict[Kind, AudienceModel] = {}
    for kind, ((earlier, names), (later, _)) in pairs.items():
        if min(earlier.y.sum(), later.y.sum()) < LEAST:
            _log.info("nothing is learned of %s products: fewer than %d purchases of them in a window", kind, LEAST)
            continue
        models[kind] = fit_model(earlier, later, names, seed)
    return AudienceModels(models)


def at_moment(recommender: Recommender, cut: int) -> Recommender:
    """Return the recommender as it would have been at a past moment, with the model as it is."""
    snapshot = recommender.snapshot
    log = snapshot.log.between(None, cut)
    past = replace(
        snapshot,
        log=log,
        now=cut,
        stats=ItemStats.fit(log, snapshot.catalog, cut),
        collaborative=Collaborative.fit(log, cut, recommender.model.retrieval),
    )
    return replace(recommender, snapshot=past, bundle_id="")


@dataclass(frozen=True)
class PastWindow:
    """A past moment and what was bought within the window after it.

    Attributes
    ----------
    user, item : of each purchase, int (n,).
    """

    past: Recommender
    user: np.ndarray
    item: np.ndarray
    seed: int

    def examples(self, kind: Kind, *, sampled: bool) -> tuple[LabelledPairs, tuple[str, ...]]:
        """Return pairs of one kind and the features' names; `sampled` keeps few of those that were not bought."""
        rng = np.random.default_rng([self.seed, KINDS.index(kind)])
        products, users = self.products(kind, rng, bought=sampled), self._users(rng)
        histories = Histories.of_users(self.past.snapshot.log, users, self.past.snapshot.now)
        features = PairFeatures(self.past, histories)
        share = min(1.0, NEGATIVES / max(1, len(users) * len(products))) if sampled else 1.0
        parts: list[LabelledPairs] = []
        names: tuple[str, ...] = ()
        step = max(1, PAIRS_AT_ONCE // max(1, len(users)))
        for start in range(0, len(products), step):
            some = products[start : start + step]
            table = features.of(kind, some)
            names = tuple(sorted(table))
            y = self.bought(users, some)
            keep = y | (rng.random(y.shape) < share)
            x = np.stack([table[name][keep] for name in names], axis=1).astype(np.float32)
            y = y[keep]
            weight = np.where(y, 1, 1 / share).astype(np.float32)
            parts.append(LabelledPairs(x, y, weight, start + np.nonzero(keep)[1]))
        if not parts:
            empty = np.zeros(0)
            return LabelledPairs(np.zeros((0, 0)), empty.astype(bool), empty, empty.astype(np.int64)), names
        return LabelledPairs(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "weight", "product"))), names

    def products(self, kind: Kind, rng: np.random.Generator, *, bought: bool) -> list[Product]:
        """Sample products: those that were bought in the window, to learn an order from, or by what was known before, for calibration.

        Of those that nobody had bought, both have the ones that then sold for the first time: a shop asks about a product that it will
        offer, and those that stayed on no shelf teach nothing.
        """
        makes, stats, most = Products(self.past), self.past.snapshot.stats.columns, (FITTED if bought else CALIBRATED)[kind]
        if kind == "category":
            shelves = makes.shelves()
            return [shelves[i] for i in rng.permutation(len(shelves))[:most]]
        if kind == "unsold":
            first = np.unique(self.item[stats[BUYERS_EVER][self.item] == 0])
            chosen = rng.permutation(first)[:most]
            # Half are told without brand, price and own text, as words alone are.
            return [replace(makes.unsold(row), known=bool(i % 2)) for i, row in enumerate(chosen.tolist())]
        if bought:
            sold = np.unique(self.item[stats[BUYERS_EVER][self.item] > 0])
            return [makes.item(row) for row in rng.permutation(sold)[:most].tolist()]
        selling = np.flatnonzero(stats[BUYERS_91] > 0)
        often = np.sqrt(stats[BUYERS_28][selling] + 1.0)
        count = min(most, len(selling))
        return [makes.item(row) for row in rng.choice(selling, count, replace=False, p=often / often.sum()).tolist()]

    def bought(self, users: np.ndarray, products: Sequence[Product]) -> np.ndarray:
        """Return who bought what within the window, bool (customers, products)."""
        place = np.full(int(max(self.user.max(initial=-1), users.max(initial=-1))) + 1, -1)
        place[users] = np.arange(len(users))
        out = np.zeros((len(users), len(products)), dtype=bool)
        for column, product in enumerate(products):
            mine = [product.row] if product.kind == "unsold" else product.rows
            buyers = place[self.user[np.isin(self.item, mine)]]
            out[buyers[buyers >= 0], column] = True
        return out

    def _users(self, rng: np.random.Generator) -> np.ndarray:
        log = self.past.snapshot.log
        known = np.unique(log.user)
        return known if len(known) <= USERS else np.sort(rng.choice(known, USERS, replace=False))
