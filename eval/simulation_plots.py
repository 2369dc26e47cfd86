"""The plots of a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure as Canvas

from eval.plots import COLOURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from eval.simulation import Compared, Daily, Look


def differences_plot(panels: Mapping[str, Mapping[str, Compared]]) -> Canvas:
    """Relative differences in percent with 95% intervals: a line a segment (or metric), a mark a way of comparing."""
    ways = list(next(iter(panels.values())))
    canvas = Canvas(figsize=(7, 1.2 + 0.55 * len(panels)), layout="constrained")
    axes = canvas.subplots()
    axes.axvline(0, color="#999999", linewidth=1)
    for i, way in enumerate(ways):
        for y, compared in enumerate(panels.values()):
            one = compared[way]
            if one.relative is None or one.relative_low is None or one.relative_high is None:
                continue
            low, high = 100 * (one.relative - one.relative_low), 100 * (one.relative_high - one.relative)
            place = y + (i - (len(ways) - 1) / 2) * 0.22
            label = way if not y else None
            axes.errorbar(100 * one.relative, place, xerr=[[low], [high]], fmt="o", color=COLOURS[i], label=label, capsize=3, markersize=5)
    axes.set_yticks(range(len(panels)), list(panels))
    axes.invert_yaxis()
    axes.set_xlabel("b over a, %")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    return canvas


def daily_plot(days: Sequence[Daily], names: tuple[str, str], label: str) -> Canvas:
    """Both arms' means by day; where they drift apart or together, novelty or ageing may be at work."""
    canvas = Canvas(figsize=(7, 3.8), layout="constrained")
    axes = canvas.subplots()
    for i, arm in enumerate("ab"):
        values = [np.nan if (value := getattr(day, arm)) is None else value for day in days]
        axes.plot(range(len(days)), values, marker="o", markersize=4, color=COLOURS[i], label=f"{arm}: {names[i]}")
    axes.set(ylabel=label, ylim=(0, None))
    _dates(axes, [day.day for day in days])
    axes.legend(frameon=False, fontsize=9)
    return canvas


def looks_plot(looks: Sequence[Look], label: str) -> Canvas:
    """The always-valid interval as the days go by; decided where it leaves 0."""
    shown = [look for look in looks if look.low is not None]
    canvas = Canvas(figsize=(7, 3.8), layout="constrained")
    axes = canvas.subplots()
    days = range(len(shown))
    axes.axhline(0, color="#999999", linewidth=1)
    axes.plot(days, [look.difference for look in shown], color=COLOURS[0], marker="o", markersize=4)
    axes.fill_between(days, [look.low or 0 for look in shown], [look.high or 0 for look in shown], color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.set_ylabel(f"{label}, b - a")
    _dates(axes, [look.day for look in shown])
    return canvas


def _dates(axes: Axes, days: Sequence[str]) -> None:
    step = max(1, len(days) // 8)
    axes.set_xticks(range(0, len(days), step), days[::step])
    axes.tick_params(axis="x", rotation=30, labelsize=8)
    axes.grid(alpha=0.3)
