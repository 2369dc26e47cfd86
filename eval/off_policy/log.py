"""Reads a log of impressions with propensities, and what a target policy would show, for `eval.off_policy.estimators`.

| column | holds |
|---|---|
| impression_id | which list was shown; rows of one list share it. Without it each row is a list of its own |
| position | place in the list, from 1. Without it every list has one place |
| item_id | what was shown; needed together with a file of the target policy |
| propensity | probability that the logging policy shows that there, above 0 up to 1 |
| target_propensity | probability that the target policy does; needed without a file of it |
| reward | what came of it: a click, a purchase, an amount |
| user_id | the user: impressions of one user are not independent. Without it every impression is independent |
| context | what else the reward model distinguishes, a kind of user or of page, in a few values |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from eval.off_policy.estimators import Logged, Target
from features.errors import DataError, one_line

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

NUMBERS = ("propensity", "target_propensity", "reward")
KEYS = ("impression_id", "position")
TOLERANCE = 1e-6  # how far from 1 the target's probabilities at a place may sum up to


def read_log(path: Path, target: Path | None = None) -> Logged:
    """Read a log from csv or Parquet.

    Parameters
    ----------
    target : a file with impression_id, position, item_id and probability: the target policy in full

    Raises
    ------
    DataError
        A file cannot be read, a column is missing, or a value is out of range.
    """
    needed = ("propensity", "reward") + (("item_id", *KEYS) if target else ("target_propensity",))
    frame = _complete(_read(path, needed), path)
    # An impression without a user is a unit of its own.
    frame = frame.with_columns(user_id=pl.coalesce("user_id", pl.format("impression {}", "impression")))
    shown = _read_target(target, frame) if target else None
    if shown is not None:
        known = shown.select(*KEYS, "item_id", "probability")
        frame = frame.join(known, on=[*KEYS, "item_id"], how="left").with_columns(target_propensity=pl.col("probability").fill_null(0.0))
    _check(frame, path)
    frame = frame.sort("impression", "position")
    cells = _cells(frame, shown)
    unit = frame.group_by("impression").agg(pl.col("user_id").first()).sort("impression")["user_id"].rank("dense").cast(pl.Int64) - 1
    propensity, probability, reward = (frame[name].to_numpy() for name in NUMBERS)
    return Logged(
        impression=frame["impression"].to_numpy(),
        position=frame["position"].to_numpy() - 1,
        reward=reward,
        propensity=propensity,
        probability=probability,
        unit=unit.to_numpy(),
        cell=cells[: len(frame)],
        target=None if shown is None else _target(shown, cells[len(frame) :]),
    )


def _read(path: Path, needed: tuple[str, ...]) -> pl.DataFrame:
    try:
        # Ids stay strings: 007 is not 7.
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise DataError(f"there is no file {path}: give a csv or Parquet file") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:] or 'csv'}: {one_line(error)[:200]}") from error
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(f"{path} lacks the columns {', '.join(missing)}; found {', '.join(frame.columns)}: see docs/simulate.md")
    if not len(frame):
        raise DataError(f"{path} holds no rows: expected one row for each place of each list that was shown")
    return frame


def _complete(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Add missing columns, cast all to their types, and number the lists in `impression`."""
    row = pl.int_range(pl.len()).cast(pl.String)
    constants = [pl.lit("1").alias(name) for name in ("position", "context") if name not in frame.columns]
    frame = frame.with_columns(*constants, *([row.alias("impression_id")] if "impression_id" not in frame.columns else []))
    frame = frame.with_columns(*([pl.col("impression_id").alias("user_id")] if "user_id" not in frame.columns else []))
    frame = frame.with_columns(*([pl.lit("").alias("item_id")] if "item_id" not in frame.columns else []))
    texts = ("impression_id", "user_id", "item_id", "context")
    frame = frame.with_columns(pl.col(*texts).cast(pl.String), *(_number(frame, name, path) for name in NUMBERS if name in frame.columns))
    frame = frame.with_columns(position=_number(frame, "position", path).cast(pl.Int64))
    return frame.with_columns(impression=pl.col("impression_id").rank("dense").cast(pl.Int64) - 1)


def _number(frame: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """Return a column as numbers.

    Raises
    ------
    DataError
        A value is not a number; the message names its row.
    """
    values = frame[name].cast(pl.Float64, strict=False)
    bad = (values.is_null() | ~values.is_finite()).fill_null(True).arg_true()
    if len(bad):
        at = int(bad[0])
        raise DataError(f"{path}, row {at + 1}: {name} is {frame[name][at]!r}, expected a number ({len(bad):,} such rows)")
    return values.alias(name)


def _check(frame: pl.DataFrame, path: Path) -> None:
    """Check that values are in range, and that each list has each place once and without a gap."""
    for name, wrong, expected in (
        (
            "propensity",
            (pl.col("propensity") <= 0) | (pl.col("propensity") > 1),
            "above 0 and at most 1, as it was shown",
        ),
        ("target_propensity", ~pl.col("target_propensity").is_between(0, 1), "0 to 1"),
        ("position", pl.col("position") < 1, "1 or more"),
        ("position", pl.struct(KEYS).is_duplicated(), "each position once in a list"),
        ("position", pl.col("position").max().over("impression_id") != pl.len().over("impression_id"), "1, 2, 3 and so on without a gap"),
        ("user_id", pl.col("user_id").n_unique().over("impression_id") > 1, "one user a list"),
        ("context", pl.col("context").n_unique().over("impression_id") > 1, "one context a list"),
    ):
        bad = frame.filter(wrong)
        if len(bad):
            where, value = bad["impression_id"][0], bad[name][0]
            raise DataError(f"{path}: {name} is {value!r} in impression {where!r}, expected {expected} ({len(bad):,} such rows)")


def _read_target(path: Path, log: pl.DataFrame) -> pl.DataFrame:
    """Read what the target policy shows at the places of the log; `impression` and `context` come from the log.

    Raises
    ------
    DataError
        A place of the log has no row, or the probabilities at a place do not sum up to 1.
    """
    frame = _read(path, (*KEYS, "item_id", "probability"))
    frame = frame.with_columns(pl.col("impression_id", "item_id").cast(pl.String), _number(frame, "probability", path))
    frame = frame.with_columns(position=_number(frame, "position", path).cast(pl.Int64))
    if frame.select(*KEYS, "item_id").is_duplicated().any():
        raise DataError(f"{path} names an item twice at one place: expected a row for each impression_id, position and item_id")
    places = log.select(*KEYS, "impression", "context").unique(KEYS)
    sums = places.join(frame.group_by(KEYS).agg(pl.col("probability").sum()), on=KEYS, how="left").with_columns(
        pl.col("probability").fill_null(0.0)
    )
    wrong = sums.filter((pl.col("probability") - 1).abs() > TOLERANCE).sort(KEYS)
    if len(wrong):
        where, place, total = wrong.select(*KEYS, "probability").row(0)
        raise DataError(
            f"{path}: probabilities at position {place} of impression {where!r} sum to {total:g}, expected 1 ({len(wrong):,} such places)"
        )
    return frame.join(places, on=KEYS, how="inner")


def _cells(frame: pl.DataFrame, target: pl.DataFrame | None) -> np.ndarray:
    """Return codes of item, place and context, of the log's rows and then the target's, int64."""
    columns = ["item_id", "position", "context"]
    parts = [frame.select(columns)] + ([] if target is None else [target.select(columns)])
    return pl.concat(parts).select(pl.struct(columns).rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()


def _target(shown: pl.DataFrame, cells: np.ndarray) -> Target:
    return Target(shown["impression"].to_numpy(), shown["position"].to_numpy() - 1, cells, shown["probability"].to_numpy())
