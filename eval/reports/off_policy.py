"""Presents an off-policy evaluation: a table on the terminal, and JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from eval.off_policy.estimators import OffPolicy

NAMES = {
    "ips": "IPS, weighted rewards",
    "snips": "SNIPS, self-normalised",
    "dm": "DM, reward model alone",
    "dr": "DR, model and weights",
}


def table(found: OffPolicy) -> Group:
    """Return the logging policy's value, and each estimate of the target's with its gain."""
    title = f"{found.impressions:,} impressions of {found.units:,} users, {found.rows:,} places, taken as {found.slates}"
    grid = Table(title=title, box=SIMPLE_HEAD)
    for heading in ("", "value of an impression", "95% interval", "above the logged policy", "95% interval"):
        grid.add_column(heading, justify="right" if heading else "left")
    grid.add_row("logged policy", f"{found.logged.value:.4f}", f"{found.logged.low:.4f} to {found.logged.high:.4f}", "", "")
    for name, estimate in found.estimates.items():
        gain = f"{estimate.gain:+.4f}", f"{estimate.gain_low:+.4f} to {estimate.gain_high:+.4f}"
        grid.add_row(NAMES[name], f"{estimate.value:.4f}", f"{estimate.low:.4f} to {estimate.high:.4f}", *gain)
    return Group(grid, *(Text(line) for line in lines(found)))


def lines(found: OffPolicy) -> list[str]:
    """Return the notes on how far the estimates can be trusted."""
    out = [f"Effective sample size {found.effective:,.0f} of {found.impressions:,} impressions."]
    if not found.supported:
        out.append(
            f"Warning: the mean weight is {found.mean_weight:.3f} where it should be 1: the target shows what the log never could, or the "
            "propensities are not those of the policy that ran. IPS misses what cannot be seen."
        )
    if found.unseen > 0.01:
        out.append(
            f"Warning: {found.unseen:.1%} of what the target shows never stood at that place in the log: the reward model guesses it."
        )
    return out


def as_dict(found: OffPolicy) -> dict[str, Any]:
    """Return what `--json` prints; an undefined value is None."""
    values = asdict(found)
    return values | {"unseen": None if math.isnan(found.unseen) else found.unseen}
