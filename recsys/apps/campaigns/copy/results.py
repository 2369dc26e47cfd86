"""What came of a campaign's variants: the share that each gets next, and whether one has won."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from eval.experiment.bandit import Sends, thompson_shares, winner
from features.errors import DataError, disk_errors

if TYPE_CHECKING:
    from pathlib import Path

VARIANT, CLICKED, SHARE = "variant", "clicked", "share"
_FORM = "expected csv with the columns variant and clicked (0 or 1), and share, a row a letter in the order of sending"


@dataclass(frozen=True)
class VariantState:
    """One variant. `share`: of the letters to come."""

    name: str
    sent: int
    clicked: int
    share: float


@dataclass(frozen=True)
class VariantTest:
    """A test of variants. `winner`: the one that has won against each other; None while the test goes on."""

    variants: tuple[VariantState, ...]
    winner: str | None

    @property
    def told(self) -> str:
        """One line for people."""
        if self.winner is not None:
            return f"{self.winner} has won: send it to all others"
        return "none has won yet: draw the variant of each further letter by these shares, and note the share in the file"

    def to_dict(self) -> dict[str, Any]:
        """Return the stable form of `--json`."""
        return {"variants": [vars(one) for one in self.variants], "winner": self.winner}


def read_results(path: Path, seed: int = 0) -> VariantTest:
    """Read a file of letters and judge the test.

    Without the column `share` every variant was drawn equally often.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, has fewer than two variants, or holds a value that is none.
    """
    with disk_errors(path, "read"):
        raw = path.read_bytes()
    try:
        frame = pl.read_csv(raw, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} is no table ({str(error).splitlines()[0][:80]}): {_FORM}") from error
    if missing := [name for name in (VARIANT, CLICKED) if name not in frame.columns]:
        raise DataError(f"{path} lacks {', '.join(missing)}, found {', '.join(frame.columns)}: {_FORM}")
    names = frame[VARIANT].cast(pl.String)
    clicked = frame[CLICKED].cast(pl.String).str.to_lowercase().replace_strict({"1": 1, "0": 0, "true": 1, "false": 0}, default=None)
    if names.null_count() or clicked.null_count():
        row = int((names.is_null() | clicked.is_null()).arg_max() or 0) + 2
        raise DataError(f"{path} line {row}: a variant is missing, or clicked is neither 0 nor 1: {_FORM}")
    known = sorted(names.unique().to_list())
    if len(known) < 2:
        raise DataError(f"{path} has {len(known)} variant, expected at least 2: there is nothing to compare")
    variant = np.searchsorted(np.array(known), names.to_numpy())
    mine = _shares(frame, len(known), path)
    # A letter tells the share of its own variant alone; only that one weighs it.
    sends = Sends(variant, clicked.to_numpy().astype(bool), np.repeat(mine[:, None], len(known), axis=1))
    sent = np.bincount(variant, minlength=len(known))
    hits = np.bincount(variant, clicked.to_numpy(), minlength=len(known)).astype(int)
    shares, best = thompson_shares(sent, hits, seed), winner(sends)
    states = zip(known, sent.tolist(), hits.tolist(), shares.tolist(), strict=True)
    return VariantTest(tuple(VariantState(name, *values) for name, *values in states), None if best is None else known[best])


def _shares(frame: pl.DataFrame, variants: int, path: Path) -> np.ndarray:
    """Return the share that the variant of each letter was drawn with."""
    if SHARE not in frame.columns:
        return np.full(frame.height, 1 / variants)
    share = frame[SHARE].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    if wrong := int((~((share > 0) & (share <= 1))).sum()):
        raise DataError(f"{path} has {wrong:,} rows whose share is not above 0 and at most 1: {_FORM}")
    return share
