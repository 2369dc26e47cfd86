"""Cold-start expert: the probability that a user buys an item that nobody has bought yet, within the next window.

It is a logistic regression over what is known of the item's text and of the user's taste, fitted on past windows: which of the items
that were unsold at the window's start did each user buy within it. The newest of those windows is kept back, and calibrates. The order
of ids is no evidence: items that share a text differ by a hash of the id alone, which breaks their ties.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from safetensors.numpy import save

from features.data.interactions import DAY
from features.names import FIRST_SALE
from features.storage.arrays import arrays_of
from features.storage.digests import unit_fraction
from retrieval.collaborative.als import ALS
from retrieval.collaborative.scoring import gather
from retrieval.new_items.debuts import HABITS, SIGNS, TASTES, DebutExamples, DebutWindow
from retrieval.new_items.evidence import Kinds, TextGraph, UnsoldTexts, habits, similarity, tastes
from retrieval.new_items.logistic import SignedLogistic, probabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.catalog import Catalog
    from features.data.histories import Histories
    from features.data.interactions import Interactions
    from retrieval.index import ItemIndex

WINDOWS = 4  # past windows: the newest calibrates, the others are fitted on
LEAST = 20  # purchases of never-sold items, to fit on and to calibrate with
TIE = 1e-3  # log odds by which items of one text differ
WITHOUT_DATA = SignedLogistic(np.array([1.0, *np.zeros(len(SIGNS) - 1)]), -8.0)  # by text alone


@dataclass(frozen=True)
class ColdStart:
    """Probability of a purchase of each item that nobody has bought.

    Attributes
    ----------
    unsold : the items and what is known of them at the cut.
    tie : float32 (m,), see `TIE`.
    model : log odds by the columns of `SIGNS`, calibrated.
    calibrated : False where too few debuts lie in the past: then the scores are an order and no probabilities.
    """

    unsold: UnsoldTexts
    tie: np.ndarray
    model: SignedLogistic
    calibrated: bool

    @classmethod
    def nothing(cls, n_items: int) -> ColdStart:
        """Return that of a snapshot that is not complete yet: it knows of no item."""
        none, empty = np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.float32)
        unsold = UnsoldTexts(none, none, none, sp.csr_array((0, 0), dtype=np.float32), empty, empty, np.full(n_items, np.nan, np.float32))
        return cls(unsold, np.zeros(0, dtype=np.float32), WITHOUT_DATA, calibrated=False)

    def carried_over(
        self, log: Interactions, catalog: Catalog, now: int, texts: tuple[np.ndarray, np.ndarray, ItemIndex], als: ALS
    ) -> ColdStart:
        """Return the expert as it was fitted, over what nobody had bought before a later `now`; the parameters are those of `fit`."""
        log = log.between(None, now)
        vectors, text_of, index = texts
        sold = _sold(log, log.n_items)
        graph = TextGraph.of(np.unique(text_of[~sold]), vectors, index, np.bincount(text_of[sold], minlength=len(vectors)) > 0)
        unsold = UnsoldTexts.at(log, now, Kinds.of(catalog, text_of), graph, vectors, als.factors)
        return ColdStart(unsold, _ties(catalog, unsold), self.model, self.calibrated)

    @classmethod
    def fit(
        cls, log: Interactions, catalog: Catalog, now: int, texts: tuple[np.ndarray, np.ndarray, ItemIndex], als: ALS, days: float = 28.0
    ) -> ColdStart:
        """Fit on the last windows before `now`.

        Parameters
        ----------
        log : events at or after `now` are ignored.
        now : the cut, in seconds since the epoch.
        texts : vectors of the distinct texts (t, dim), the text of each item (n_items,), and an index of the vectors.
        als : fitted on the log before `now`; past windows have a fit of their own with its parameters.
        days : length of a window.
        """
        log, length = log.between(None, now), int(days * DAY)
        vectors, text_of, index = texts
        kinds = Kinds.of(catalog, text_of)
        starts = [start for back in range(WINDOWS, 0, -1) if len(log.between(None, start := now - back * length))]
        sold = _sold(log, log.n_items)
        ever = log.between(None, starts[0]) if starts else log
        wanted = np.unique(text_of[~_sold(ever, log.n_items)])
        graph = TextGraph.of(wanted, vectors, index, np.bincount(text_of[sold], minlength=len(vectors)) > 0)

        def at(log: Interactions, moment: int, als: ALS) -> UnsoldTexts:
            return UnsoldTexts.at(log, moment, kinds, graph, vectors, als.factors)

        rng = np.random.default_rng(0)
        windows = []
        for start in starts:
            before = log.between(None, start)
            known = ALS.fit(before.capped(), als.config)  # `als` has seen what was bought within the window
            past = DebutWindow(before, log.between(start, start + length), start, at(before, start, known), kinds, known)
            windows.append(past.examples(rng))
        unsold = at(log, now, als)
        return cls(unsold, _ties(catalog, unsold), *_fitted(windows))

    def scorer(self, catalog: Catalog, text_of: np.ndarray, als: ALS) -> ColdStartScorer:
        """Return the scorer over the catalogue that this was fitted on."""
        return ColdStartScorer(self, Kinds.of(catalog, text_of), als)

    def to_files(self) -> dict[str, bytes]:
        """Return arrays in safetensors, and whether scores are probabilities in JSON."""
        unsold, near = self.unsold, self.unsold.near
        arrays = {name: getattr(unsold, name) for name in ("rows", "group", "first", "factors", "columns", FIRST_SALE)}
        indices, indptr = near.indices.astype(np.int32), near.indptr.astype(np.int32)
        arrays |= {"near_data": near.data, "near_indices": indices, "near_indptr": indptr, "near_shape": np.array(near.shape)}
        arrays |= {"tie": self.tie, "weights": self.model.weights, "intercept": np.array([self.model.intercept])}
        about = json.dumps({"calibrated": self.calibrated, "columns": list(SIGNS)})
        return {"cold_start.safetensors": save(arrays), "cold_start.json": about.encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ColdStart:
        """Read the files of `to_files`."""
        arrays, about = arrays_of(files, "cold_start.safetensors"), json.loads(files["cold_start.json"])
        near = sp.csr_array(
            (arrays["near_data"], arrays["near_indices"], arrays["near_indptr"]), shape=tuple(arrays["near_shape"].tolist())
        )
        unsold = UnsoldTexts(near=near, **{name: arrays[name] for name in ("rows", "group", "first", "factors", "columns", FIRST_SALE)})
        return cls(unsold, arrays["tie"], SignedLogistic(arrays["weights"], float(arrays["intercept"][0])), about["calibrated"])


@dataclass(frozen=True)
class ColdStartScorer:
    """Scores never-sold items by the probability that the user buys them; 0 for all others. Implements `ItemScorer`."""

    cold_start: ColdStart
    kinds: Kinds
    als: ALS

    @property
    def n_items(self) -> int:
        return len(self.kinds.text)

    def similarity(self, users: Histories) -> np.ndarray:
        """Return the summed sharpened cosine of each distinct unsold text to what each user bought, float32 (b, g)."""
        return similarity(users, self.cold_start.unsold, self.kinds)

    def log_odds(self, users: Histories) -> np.ndarray:
        """Return the log odds of each distinct unsold text, float32 (b, g)."""
        unsold, model = self.cold_start.unsold, self.cold_start.model
        weight = dict(zip(SIGNS, model.weights, strict=True))
        out = np.tile(model.intercept + unsold.columns @ model.weights[len(TASTES) + len(HABITS) :], (len(users), 1)).astype(np.float32)
        for name, column in tastes(users, unsold, self.kinds, self.als.user_factors(users)).items():
            out += np.float32(weight[name]) * column
        for name, column in habits(users, unsold.first_sale).items():
            out += np.float32(weight[name]) * column[:, None]
        return out

    def scores(self, users: Histories) -> np.ndarray:
        """See `ItemScorer`."""
        unsold = self.cold_start.unsold
        out = np.zeros((len(users), self.n_items), dtype=np.float32)
        out[:, unsold.rows] = probabilities(self.log_odds(users)[:, unsold.group] + self.cold_start.tie)
        return out

    def pair_scores(self, users: Histories, rows: np.ndarray) -> np.ndarray:
        """See `ItemScorer`."""
        return gather(self.scores(users), rows)


def _ties(catalog: Catalog, unsold: UnsoldTexts) -> np.ndarray:
    """Return the log odds that break ties between items of one text, float32 (m,)."""
    return np.array([TIE * unit_fraction(item) for item in catalog.ids[unsold.rows].tolist()], dtype=np.float32)


def _sold(log: Interactions, n_items: int) -> np.ndarray:
    """Return which items have an event, bool (n_items,)."""
    return np.bincount(log.item, minlength=n_items) > 0


def _fitted(windows: list[DebutExamples]) -> tuple[SignedLogistic, bool]:
    """Return the model of the earlier windows, calibrated on the newest, and whether there were enough purchases for it."""
    earlier, newest = windows[:-1], windows[-1:]
    if not earlier or DebutExamples.joined(earlier).bought < LEAST or newest[0].bought < LEAST:
        return WITHOUT_DATA, False
    known = DebutExamples.joined(earlier)
    model = SignedLogistic.fit(known.x, known.y, known.weight, list(SIGNS.values()))
    held = newest[0]
    map_ = SignedLogistic.fit(model(held.x)[:, None], held.y, held.weight, [1])
    slope = float(map_.weights[0])
    return SignedLogistic(model.weights * slope, model.intercept * slope + map_.intercept), True
