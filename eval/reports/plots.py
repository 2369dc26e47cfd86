"""The plots of the report; `svg` makes of one the text that stands inside a page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.metrics.probabilities import Reliability
    from eval.protocol.report import Figures

# Okabe and Ito's colours, told apart by colour-blind readers too; ours takes the first and the thickest line.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999", "#000000")
HARD = ("new", "cold", "unseen")


def recall_plot(curves: Mapping[str, Figures]) -> Canvas:
    """Recall of the list of all items against its length; ours, the first, with its interval."""
    canvas = Canvas(figsize=(7, 4.2), layout="constrained")
    axes = canvas.subplots()
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
    return canvas


def reliability_plot(systems: Mapping[str, Reliability]) -> Canvas:
    """What was promised against what came, on scales where small probabilities can be seen; below it the pairs of each point."""
    canvas = Canvas(figsize=(7, 4.6), layout="constrained")
    axes, counts = canvas.subplots(2, sharex=True, height_ratios=(4, 1))
    seen = np.concatenate([values for points in systems.values() for values in (points.promised, points.came)])
    floor = max(float(seen[seen > 0].min(initial=1.0)) / 2, 1e-6)
    axes.plot([floor, 1], [floor, 1], color="#999999", linestyle="--", label="perfectly calibrated")
    for i, (name, points) in enumerate(systems.items()):
        axes.plot(points.promised, points.came, color=COLOURS[i], marker="o", label=f"{name}, calibration error {points.error:.4f}")
        counts.vlines(points.promised, 0, points.counts, color=COLOURS[i], linewidth=4)
    for axis in ("x", "y"):
        # Linear below the smallest value that came, so that bins where nothing was bought are not lost.
        getattr(axes, f"set_{axis}scale")("symlog", linthresh=floor, linscale=0.3)
        getattr(axes, f"set_{axis}lim")(0, 1)
    axes.set(ylabel="share bought")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    counts.set(xlabel="predicted probability", ylabel="pairs", ylim=(0, None))
    return canvas


def bars_plot(panels: Mapping[str, Mapping[str, tuple[str, float, float, float]]]) -> Canvas:
    """NDCG@10 of many systems with intervals, a panel a list; each bar is (kind, value, low, high), coloured by its kind."""
    kinds = list(dict.fromkeys(bar[0] for bars in panels.values() for bar in bars.values()))
    most = max(len(bars) for bars in panels.values())
    canvas = Canvas(figsize=(7, len(panels) * (0.8 + 0.24 * most)), layout="constrained")
    for axes, (part, bars) in zip(np.atleast_1d(canvas.subplots(len(panels), 1)), panels.items(), strict=True):
        value, low, high = np.array([bar[1:] for bar in bars.values()]).reshape(-1, 3).T
        colours = [COLOURS[kinds.index(bar[0])] for bar in bars.values()]
        error = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
        axes.barh(list(bars), value, color=colours, xerr=error, error_kw={"linewidth": 0.8, "ecolor": "#333333"})
        axes.invert_yaxis()
        axes.set(xlabel=f"NDCG@10, list {part!r}", xlim=(0, None))
        axes.tick_params(axis="y", labelsize=8)
        axes.grid(axis="x", alpha=0.3)
    return canvas


def slices_plot(systems: Mapping[str, Mapping[str, Figures]], metric: str = "ndcg@10") -> Canvas:
    """A bar for each slice and system with its 95% interval; new and cold items, which are much harder, on a scale of their own."""
    canvas = Canvas(figsize=(7, 4.6), layout="constrained")
    names = list(next(iter(systems.values())))
    hard = [name for name in names if name in HARD]
    panels = [[name for name in names if name not in HARD], hard]
    width = 0.8 / len(systems)
    for axes, shown in zip(canvas.subplots(1, 2, width_ratios=[len(panel) for panel in panels]), panels, strict=True):
        for i, (system, slices) in enumerate(systems.items()):
            figures = [slices[name][metric] for name in shown]
            values = np.nan_to_num([f.value for f in figures])
            low, high = (np.nan_to_num([abs(getattr(f, end) - f.value) for f in figures]) for end in ("low", "high"))
            place = np.arange(len(shown)) + (i - (len(systems) - 1) / 2) * width
            colour = COLOURS[i % len(COLOURS)]
            axes.bar(place, values, width, label=system, color=colour, yerr=[low, high], error_kw={"linewidth": 0.8, "ecolor": "#333333"})
        axes.set_xticks(range(len(shown)), shown)
        axes.set(ylim=(0, None))
        axes.grid(axis="y", alpha=0.3)
    canvas.axes[0].set_ylabel("NDCG@10")
    canvas.legend(*canvas.axes[0].get_legend_handles_labels(), loc="outside upper left", frameon=False, fontsize=9, ncols=4)
    return canvas


def svg(canvas: Canvas) -> str:
    """Text of the drawing."""
    # The canvas of the object interface: no window system, no global state, safe in a server.
    out = io.StringIO()
    with rc_context({"svg.hashsalt": "report"}):  # the same report gives the same page
        canvas.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
