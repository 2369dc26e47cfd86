"""Rivals that live in an environment of their own: their lists come as files, with what made them told beside."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from eval.baselines.registry import Baseline, distinct_buyers
from eval.baselines.simple import GivenLists
from features.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from eval.protocol.ground_truth import GroundTruth
    from features.data.catalog import Catalog

_log = logging.getLogger(__name__)


def read_external_lists(path: Path, catalog: Catalog, truth: GroundTruth) -> tuple[Baseline, bool]:
    """A rival's lists, what is popular behind them; and whether they hold anything that a user who is judged had bought before.

    Raises
    ------
    DataError: there is no such file, or it holds no lists of this shop's users.
    """
    if not path.is_file():
        raise DataError(f"there is no {path}: give --lists NAME=FILE, Parquet with user_id, item_id and rank")
    try:
        given = GivenLists.read(path, catalog, truth.split.history)
    except pl.exceptions.PolarsError as error:
        problem = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read as Parquet ({problem}): give a table with user_id, item_id and rank") from error
    lengths = np.diff(given.offsets)
    if silent := int((lengths[truth.users] == 0).sum()):
        _log.warning("%s has no list for %d of %d users: they get what is popular", path, silent, len(truth.users))
    user = np.repeat(np.arange(len(lengths)), lengths)
    place = np.minimum(np.searchsorted(truth.users, user), len(truth.users) - 1)
    had = truth.seen.has(place, given.item) & (truth.users[place] == user)
    return Baseline(given, distinct_buyers(truth.split.history)), bool(had.any())


def about_external_lists(path: Path) -> dict[str, Any]:
    """What the program that made the lists wrote beside them, as JSON of the same name; empty if it wrote nothing."""
    beside = path.with_suffix(".json")
    return json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
