"""A simulation's lists as a log with propensities: what `recsys off-policy` reads, with clicks of `eval.simulation.click_model`."""

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
    """Arm a's lists, shown with exploration, as a csv file; beside it NAME.target.csv, arm b's lists in full. No visits with short lists.

    item_ids: of the catalogue's rows, object (n_items,). Returns what the click
    model would really give a list of each arm.
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
    truth = [float(expected_clicks(rows, bought, config).mean()) for rows in (a, b)]
    _log.info("%s: clicks of the position-based model on %s lists; it would give a list %.4f of a, %.4f of b", path, len(full), *truth)
    return Clicks(lists=len(full), a=truth[0], b=truth[1])


def _of_visits(bought: UserItems, some: np.ndarray) -> UserItems:
    """The pairs of some visits, which are counted from 0 then."""
    place = np.full(bought.n_users, -1)
    place[some] = np.arange(len(some))
    held = place[bought.user] >= 0
    return UserItems.of(place[bought.user[held]], bought.item[held], len(some), bought.n_items)
