"""Writes a simulation's lists as a log with propensities and simulated clicks, for `recsys off-policy`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.user_items import UserItems
from eval.simulation.click_model import click_log, expected_clicks
from eval.simulation.report import Clicks

if TYPE_CHECKING:
    from pathlib import Path

    from eval.simulation.config import ClickConfig
    from eval.simulation.visits import Visits

_log = logging.getLogger(__name__)
COLUMNS = ("impression_id", "user_id", "position", "item_id", "propensity", "target_propensity", "reward")


def write_clicks(path: Path, visits: Visits, item_ids: np.ndarray, config: ClickConfig) -> Clicks:
    """Write the lists of arm a, shown with exploration, as a csv file, and those of arm b to NAME.target.csv.

    Visits with fewer than K items in either list are left out.

    Parameters
    ----------
    item_ids : object (n_items,)
        External ids by catalogue row.

    Returns
    -------
    Clicks
        The expected clicks a list of each arm under the click model.
    """
    full = np.flatnonzero((visits.lists["a"] >= 0).all(axis=1) & (visits.lists["b"] >= 0).all(axis=1))
    a, b = (visits.lists[side][full] for side in "ab")
    bought = _of_visits(visits.bought, full)
    log = click_log(a, b, bought, config)
    impression = log["impression"].to_numpy()
    log = log.with_columns(
        impression_id=impression.astype(str),
        user_id=visits.log.user_ids[visits.user[full]][impression].astype(str),
        item_id=item_ids[log["item"]].astype(str),
    )
    places = {"impression_id": log["impression_id"], "position": log["position"]}
    target = pl.DataFrame(places | {"item_id": item_ids[b.ravel()].astype(str), "probability": np.ones(b.size)})
    path.parent.mkdir(parents=True, exist_ok=True)
    log.select(COLUMNS).write_csv(path)
    target.write_csv(path.with_suffix(".target.csv"))
    expected = [float(expected_clicks(rows, bought, config).mean()) for rows in (a, b)]
    _log.info(
        "%s: clicks of the position-based model on %s lists; expected clicks a list: %.4f for a, %.4f for b", path, len(full), *expected
    )
    return Clicks(lists=len(full), a=expected[0], b=expected[1])


def _of_visits(bought: UserItems, some: np.ndarray) -> UserItems:
    """Return the pairs of some visits, renumbered from 0."""
    place = np.full(bought.n_users, -1)
    place[some] = np.arange(len(some))
    held = place[bought.user] >= 0
    return UserItems.of(place[bought.user[held]], bought.item[held], len(some), bought.n_items)
