"""Plots of the reports; `svg` gives the text that a page embeds."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.probabilities import Reliability
    from eval.protocol.report import MetricValues

# Okabe and Ito's palette, which colour-blind readers can tell apart; ours has the first colour and the thickest line.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999", "#000000")
HARD = ("new", "few", "cold", "unseen")  # lists with much lower values


def recall_plot(curves: Mapping[str, MetricValues]) -> Figure:
    """Plot recall of the main list against its length; ours, the first, with its interval."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    ticks: set[int] = set()
    for i, (name, curve) in enumerate(curves.items()):
        ks = [int(k) for k in curve]
        ticks.update(ks)
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(
            ks,
            [f.value for f in curve.values()],
            color=colour,
            label=name,
            linewidth=1.4 if i else 2.8,
            marker="o",
            markersize=3,
            zorder=2 if i else 3,
        )
        if not i:
            axes.fill_between(ks, [f.low for f in curve.values()], [f.high for f in curve.values()], color=colour, alpha=0.2, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(sorted(ticks), [str(k) for k in sorted(ticks)])
    axes.minorticks_off()
    axes.set(xlabel="k, length of the list", ylabel="recall@k, all items", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    return figure


def reliability_plot(systems: Mapping[str, Reliability]) -> Figure:
    """Plot observed shares against predicted probabilities on symmetric log scales; below it the pairs of each bin."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes, counts = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    seen = np.concatenate([values for points in systems.values() for values in (points.predicted, points.observed)])
    floor = max(float(seen[seen > 0].min(initial=1.0)) / 2, 1e-6)
    axes.plot([floor, 1], [floor, 1], color="#999999", linestyle="--", label="perfectly calibrated")
    for i, (name, points) in enumerate(systems.items()):
        axes.plot(points.predicted, points.observed, color=COLOURS[i], marker="o", label=f"{name}, calibration error {points.error:.4f}")
        counts.vlines(points.predicted, 0, points.counts, color=COLOURS[i], linewidth=4)
    for axis in ("x", "y"):
        # Linear below the smallest value, so that bins where nothing was bought stay visible.
        getattr(axes, f"set_{axis}scale")("symlog", linthresh=floor, linscale=0.3)
        getattr(axes, f"set_{axis}lim")(0, 1)
    axes.set(ylabel="share bought")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    counts.set(xlabel="predicted probability", ylabel="pairs", ylim=(0, None))
    return figure


def bars_plot(panels: Mapping[str, Mapping[str, tuple[str, float, float, float]]]) -> Figure:
    """Plot NDCG@10 of many systems with intervals, a panel a list.

    Parameters
    ----------
    panels : list -> system -> (kind, value, low, high); bars are coloured by kind
    """
    kinds = list(dict.fromkeys(bar[0] for bars in panels.values() for bar in bars.values()))
    most = max(len(bars) for bars in panels.values())
    figure = Figure(figsize=(7, len(panels) * (0.8 + 0.24 * most)), layout="constrained")
    for axes, (part, bars) in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels.items(), strict=True):
        value, low, high = np.array([bar[1:] for bar in bars.values()]).reshape(-1, 3).T
        colours = [COLOURS[kinds.index(bar[0])] for bar in bars.values()]
        error = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
        axes.barh(list(bars), value, color=colours, xerr=error, error_kw={"linewidth": 0.8, "ecolor": "#333333"})
        axes.invert_yaxis()
        axes.set(xlabel=f"NDCG@10, list {part!r}", xlim=(0, None))
        axes.tick_params(axis="y", labelsize=8)
        axes.grid(axis="x", alpha=0.3)
    return figure


def slices_plot(systems: Mapping[str, Mapping[str, MetricValues]], metric: str = "ndcg@10") -> Figure:
    """Plot a metric by slice and system with 95% intervals; new, few-buyer and cold items have a scale of their own."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    names = list(next(iter(systems.values())))
    hard = [name for name in names if name in HARD]
    panels = [[name for name in names if name not in HARD], hard]
    width = 0.8 / len(systems)
    for axes, shown in zip(figure.subplots(1, 2, width_ratios=[len(panel) for panel in panels]), panels, strict=True):
        for i, (system, slices) in enumerate(systems.items()):
            metrics = [slices[name][metric] for name in shown]
            values = np.nan_to_num([f.value for f in metrics])
            low, high = (np.nan_to_num([abs(getattr(f, end) - f.value) for f in metrics]) for end in ("low", "high"))
            place = np.arange(len(shown)) + (i - (len(systems) - 1) / 2) * width
            colour = COLOURS[i % len(COLOURS)]
            axes.bar(place, values, width, label=system, color=colour, yerr=[low, high], error_kw={"linewidth": 0.8, "ecolor": "#333333"})
        axes.set_xticks(range(len(shown)), shown)
        axes.set(ylim=(0, None))
        axes.grid(axis="y", alpha=0.3)
    figure.axes[0].set_ylabel("NDCG@10")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", frameon=False, fontsize=9, ncols=4)
    return figure


def svg(figure: Figure) -> str:
    """Return the SVG text of a figure; the same figure gives the same text."""
    # Figures of the object interface use no window system and no global state, so a server can draw them.
    out = io.StringIO()
    with rc_context({"svg.hashsalt": "report"}):  # the same report gives the same page
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
