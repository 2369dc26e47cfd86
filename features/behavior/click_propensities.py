"""How often each place of a list of hits is looked at, estimated from the search log itself.

The position-based model says that P(click) = P(the place is looked at) * P(the item attracts whoever searches for this). A pair of a
query and an item attracts the same wherever it stands, so what it earns in one place and in another compares the places. Such a pair needs
no experiment: rankings change by themselves, with sales, prices and releases. The estimate is that of a Poisson regression with a fixed
effect for each pair: its likelihood leaves out every pair that always stood in one place.

References
----------
Joachims, Swaminathan, Schnabel (2017), WSDM, on inverse propensity weights; Agarwal and others (2019), WSDM, on harvesting changes of rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from features.names import CLICK, SEARCH_EVENTS, SHOWN

if TYPE_CHECKING:
    from features.data.queries import Queries

MAX_RANK = 50  # places that are told apart; what stands below counts as the last of them
DECAY = 0.5  # place k is looked at k ** -DECAY as often as the first where the log says nothing; below what searches measured, .6 to 1
PRIOR = 20.0  # clicks that the log must have of a place to be believed as much as `DECAY`
LARGEST_WEIGHT = 10.0  # of a click; a few clicks far down would else decide everything
_STEPS, _SMALL = 2000, 1e-7


@dataclass(frozen=True)
class ClickPropensities:
    """How often each place is looked at, relative to the first.

    Attributes
    ----------
    propensity : float64 (places,), above 0, 1 for the first place
    clicks : float64 (places,), the clicks of each place that the estimate rests on; 0 where it rests on `DECAY` alone
    """

    propensity: np.ndarray
    clicks: np.ndarray

    @classmethod
    def estimate(cls, log: Queries, max_rank: int = MAX_RANK) -> Self:
        """Estimate from the items shown and clicked; where the log has no clicks, from those put into the cart or bought.

        Rows without a rank are left out. A log that does not say what it showed, or in which every pair always stood in one place, gives
        place k the propensity k ** -DECAY.
        """
        ranked = (log.item >= 0) & (log.rank > 0)
        shown = ranked & (log.event == SEARCH_EVENTS.index(SHOWN))
        clicked = ranked & (log.event == SEARCH_EVENTS.index(CLICK))
        if not clicked.any():
            clicked = ranked & ~shown
        place = np.minimum(log.rank, max_rank) - 1
        places = int(place[ranked].max(initial=0)) + 1
        cells, of_row = np.unique((log.query.astype(np.int64) * log.n_items + log.item) * places + place, return_inverse=True)
        shows, clicks = (np.bincount(of_row[rows], minlength=len(cells)).astype(np.float64) for rows in (shown, clicked))
        told = _telling(cells // places, shows, clicks)
        pair, rank = np.unique(cells[told] // places, return_inverse=True)[1], cells[told] % places
        prior = np.arange(1, places + 1) ** -DECAY
        found = _fixed_effects(pair, rank, shows[told], clicks[told], prior)
        # A place that seems to be looked at more than the first is noise, or a banner between them.
        return cls(np.minimum(found / found[0], 1.0), np.bincount(rank, clicks[told], minlength=places))

    def of(self, rank: np.ndarray) -> np.ndarray:
        """Return the propensity of ranks from 1, float64 of their shape; 1 for a rank of 0, which is unknown."""
        place = np.clip(rank, 1, len(self.propensity)) - 1
        return np.where(rank > 0, self.propensity[place], 1.0)

    def weights(self, rank: np.ndarray) -> np.ndarray:
        """Return what a click at each rank counts: 1 / propensity, at most `LARGEST_WEIGHT`."""
        return np.minimum(1 / self.of(rank), LARGEST_WEIGHT)


def _telling(pair: np.ndarray, shows: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    """Return the cells of pairs that were shown in several places and clicked, bool (cells,); cells are sorted by pair."""
    of_pair = np.unique(pair, return_inverse=True)[1]
    shown = shows > 0
    several = np.bincount(of_pair, shown) > 1
    clicked = np.bincount(of_pair, clicks * shown) > 0
    return shown & (several & clicked)[of_pair]


def _fixed_effects(pair: np.ndarray, rank: np.ndarray, shows: np.ndarray, clicks: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return the propensity of each place that makes the clicks likeliest, float64 (places,).

    Clicks are Poisson with the mean shows * propensity * attraction. Both factors are solved for in turns; `PRIOR` clicks of each place are
    added as `prior` expects them.
    """
    places, earned = len(prior), np.bincount(pair, clicks)
    propensity, of_place = prior.copy(), np.bincount(rank, clicks, minlength=len(prior))
    for _ in range(_STEPS):
        attraction = earned / np.bincount(pair, shows * propensity[rank])
        looked = np.bincount(rank, shows * attraction[pair], minlength=places)
        before, propensity = propensity, (of_place + PRIOR * prior) / (looked + PRIOR)
        if np.abs(propensity - before).max() < _SMALL:
            break
    return propensity
