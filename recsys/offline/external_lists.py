"""Reads the lists of external systems, which run in other environments and hand over files."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from eval.baselines.registry import Baseline, distinct_buyers
from eval.baselines.simple import GivenLists
from features.errors import DataError, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from eval.protocol.ground_truth import GroundTruth
    from features.data.catalog import Catalog

_log = logging.getLogger(__name__)


def read_external_lists(path: Path, catalog: Catalog, truth: GroundTruth) -> tuple[Baseline, bool]:
    """Read the lists of an external system; popular items follow them where they are short.

    Returns
    -------
    tuple of Baseline and bool
        The lists, and whether any of them holds an item that its user had bought before.

    Raises
    ------
    DataError: the file is missing, or it holds no lists for this shop's users.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: give --lists NAME=FILE, Parquet with user_id, item_id and rank")
    try:
        given = GivenLists.read(path, catalog, truth.split.history)
    except pl.exceptions.PolarsError as error:
        problem = one_line(error)
        raise DataError(f"{path} cannot be read as Parquet ({problem}): give a table with user_id, item_id and rank") from error
    lengths = np.diff(given.offsets)
    if missing := int((lengths[truth.users] == 0).sum()):
        _log.warning("%s has no list for %d of %d users: they get popular items", path, missing, len(truth.users))
    user = np.repeat(np.arange(len(lengths)), lengths)
    place = np.minimum(np.searchsorted(truth.users, user), len(truth.users) - 1)
    repeats = truth.seen.has(place, given.item) & (truth.users[place] == user)
    return Baseline(given, distinct_buyers(truth.split.history)), bool(repeats.any())


def about_external_lists(path: Path) -> dict[str, Any]:
    """Return what the external program wrote to a JSON file of the same name; empty without such a file."""
    about = path.with_suffix(".json")
    return json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
