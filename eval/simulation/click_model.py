"""A position-based click model over what users really bought, and a logging policy with known propensities.

A click on the item at place k needs an examination of the place and an attraction by the item, independent of all other
places: P(click) = k ** -decay * attraction. The attraction is `bought` for what the user bought afterwards, `other` for
everything else. These three numbers are stated, not learned: such a log tests methods, it says nothing of customers.

References
----------
Richardson, Dominowska, Ragno (2007), WWW; Craswell, Zoeter, Taylor, Ramsey (2008), WSDM, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from eval.metrics.user_items import UserItems
    from eval.simulation.config import ClickConfig


def examined(places: int, config: ClickConfig) -> np.ndarray:
    """Return the probability that each place is examined, float (places,)."""
    return np.arange(1, places + 1) ** -config.decay


def attraction(rows: np.ndarray, bought: UserItems, config: ClickConfig) -> np.ndarray:
    """Return the probability of a click on each item of lists (b, k) once it is examined; 0 for an empty place."""
    return np.where(rows < 0, 0.0, np.where(bought.hits(rows), config.bought, config.other))


def expected_clicks(rows: np.ndarray, bought: UserItems, config: ClickConfig) -> np.ndarray:
    """Return the expected clicks of lists (b, k), float (b,): the ground truth for off-policy estimates."""
    return (attraction(rows, bought, config) * examined(rows.shape[1], config)).sum(axis=1)


def click_log(a: np.ndarray, b: np.ndarray, bought: UserItems, config: ClickConfig) -> pl.DataFrame:
    """Return a log of lists that variant a showed, with propensities, and variant b as the target policy.

    With probability 1 - explore variant a's list is shown as it is; otherwise the first k of a random order of all
    items of both lists. The probability of an item at a place, over all lists, is (1 - explore) [a has it there] +
    explore / m with m items in both lists: weights for independent places alone.

    Parameters
    ----------
    a, b : int (n, k), lists of the variants without empty places

    Returns
    -------
    A row a place: impression (row of a), position from 1, item (catalogue row), propensity, target_propensity, reward.
    """
    rng = np.random.default_rng(config.seed)
    users, k = a.shape
    shown, pool = a.copy(), np.empty(users, dtype=np.int64)
    for i, (first, second) in enumerate(zip(a, b, strict=True)):
        items = np.union1d(first, second)
        pool[i] = len(items)
        if rng.random() < config.explore:
            shown[i] = rng.permutation(items)[:k]
    clicks = rng.random(a.shape) < attraction(shown, bought, config) * examined(k, config)
    return pl.DataFrame(
        {
            "impression": np.repeat(np.arange(users), k),
            "position": np.tile(np.arange(1, k + 1), users),
            "item": shown.ravel(),
            "propensity": ((1 - config.explore) * (shown == a) + config.explore / pool[:, None]).ravel(),
            "target_propensity": (shown == b).ravel().astype(float),
            "reward": clicks.ravel().astype(float),
        }
    )
