"""Presents a simulation: a table on the terminal and a page with plots, both from its report alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from eval.reports.plots import COLOURS, svg
from eval.simulation.visits import METRICS, PRIMARY, SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from eval.simulation.report import Comparison, Daily, Look, SegmentRow, Simulation

HEADINGS = ("a", "b", "b over a, same users", "own users alone", "with CUPED", "users")
NAMES = {
    PRIMARY: "NDCG@10",
    "hit_rate@10": "hit rate@10",
    "revenue@10": "share of revenue@10",
    "ndcg@10 repeat": "NDCG@10, repeats",
    "ndcg@10 new": "NDCG@10, new",
}
SEGMENT_NAMES = {"all": "everybody", "heavy": "heavy users", "light": "light users", "newcomers": "newcomers"}
VERDICTS = {1: "b is better", -1: "a is better", 0: "no difference beyond chance"}
COMPARISONS = {"same users": "paired", "own users alone": "unpaired", "with CUPED": "cuped"}
DASH = "–"


def percent(value: float | None) -> str:
    """Return a relative difference in percent."""
    return DASH if value is None else f"{100 * value:+.1f}%"


def relative(compared: Comparison) -> str:
    """Return a relative difference and its interval; the absolute one where a is 0."""
    if compared.low is None or compared.difference is None:
        return DASH
    if compared.relative is None:
        return f"{compared.difference:+.4f} [{compared.low:+.4f} to {compared.high:+.4f}]"
    return f"{percent(compared.relative)} [{percent(compared.relative_low)} to {percent(compared.relative_high)}]"


def number(value: float | None) -> str:
    """Return a mean."""
    return DASH if value is None else f"{value:.4f}"


def cells(row: SegmentRow) -> list[str]:
    """Return the cells of a row, after its name."""
    same = row.paired
    return [number(same.a), number(same.b), relative(same), relative(row.unpaired), relative(row.cuped), f"{same.users:,}"]


def blocks(report: Simulation) -> dict[str, list[tuple[str, list[str], int]]]:
    """Return the tables by heading: metrics for everybody, then the primary metric by segment.

    A row is its name, its cells, and which variant is better on the same users (`Comparison.sign`).
    """
    metrics = [(NAMES[metric], report.row("all", metric)) for metric in METRICS]
    segments = [(SEGMENT_NAMES[segment], report.row(segment, PRIMARY)) for segment in SEGMENTS]
    return {
        name: [(label, cells(row), row.paired.sign) for label, row in rows]
        for name, rows in (("Everybody", metrics), ("NDCG@10, for whom", segments[1:]))
    }


def summary(report: Simulation) -> str:
    """Return one line on the days, the users and the visits."""
    horizon = "that day" if report.horizon_days == 1 else f"within {report.horizon_days} days"
    return f"{report.days} days from {report.start}, {report.users:,} users, {report.visits:,} visits with a purchase {horizon}"


def table(report: Simulation) -> Group:
    """Return what `recsys simulate` prints."""
    grid = Table(title=f"a: {report.a.name}, b: {report.b.name}. {summary(report)}", box=SIMPLE_HEAD)
    grid.add_column("", no_wrap=True)
    for heading in HEADINGS:
        grid.add_column(heading, justify="right")
    for rows in blocks(report).values():
        for label, values, sign in rows:
            grid.add_row(label, *values, style="bold" if sign else "")
        grid.add_section()
    return Group(grid, *(Text(line) for line in lines(report)))


def lines(report: Simulation) -> list[str]:
    """Return the answers in words."""
    notes = [f"{letter}: {side.note}." for letter, side in (("a", report.a), ("b", report.b)) if side.note]
    if report.alike == 1:
        return ["Both arms showed the same list at every visit: there is nothing to compare.", *notes, _split(report), *_aa_test(report)]
    return [
        *notes,
        _better(report),
        _for_whom(report),
        _online(report),
        _sequential(report),
        _shown(report),
        _split(report),
        *_aa_test(report),
    ]


def _better(report: Simulation) -> str:
    row = report.row("all", PRIMARY)
    same = row.paired
    return f"Better? {VERDICTS[same.sign]}: NDCG@10 {number(same.a)} to {number(same.b)}, {relative(same)} on the same users."


def _for_whom(report: Simulation) -> str:
    rows = [report.row(segment, PRIMARY) for segment in SEGMENTS[1:]]
    parts = [f"{SEGMENT_NAMES[row.segment]}: {VERDICTS[row.paired.sign] if row.paired.users else 'nobody came'}" for row in rows]
    return f"For whom? {'; '.join(parts)}."


def _online(report: Simulation) -> str:
    online = report.online
    if online.needed is None or online.needed_cuped is None:
        return "Online? There is no difference to find."
    split, days = report.split, math.ceil(2 * online.needed_cuped / max(online.users_a_day, 1e-9))
    now = f"With these {split.users_a:,} and {split.users_b:,} users a test would find it with probability {online.power:.0%}"
    needed = f"{math.ceil(online.needed):,} users an arm, with CUPED {math.ceil(online.needed_cuped):,}"
    duration = f"about {days:,} day{'s' * (days > 1)} at the {online.users_a_day:.0f} first visits a day seen here"
    return (
        f"Online? {now}, with CUPED {online.power_cuped:.0%}; the smallest difference it finds in 80% of cases is {online.detectable:.4f}. "
        f"To find this one in 80%: {needed}, {duration}."
    )


def _sequential(report: Simulation) -> str:
    if report.decided:
        return f"Looking every day: decided on {report.decided.day}, after {report.decided.users:,} users (always-valid, first visits)."
    return "Looking every day: still open at the end (always-valid, first visits)."


def _shown(report: Simulation) -> str:
    shown = f"a shows {report.a.coverage:.2%} of the known items, b {report.b.coverage:.2%}"
    return f"Coverage: {shown}; {report.alike:.1%} of the lists are the same."


def _split(report: Simulation) -> str:
    split = report.split
    if split.ok:
        return f"Split: {split.users_a:,} and {split.users_b:,} users, as a share of {split.share_b:g} in b gives (p {split.p_value:.2f})."
    return (
        f"ALARM, sample ratio mismatch: {split.users_a:,} and {split.users_b:,} users for a share of {split.share_b:g} in b "
        f"(p {split.p_value:.1e}): something other than chance decides which users count, trust no result of the arms' own users."
    )


def _aa_test(report: Simulation) -> list[str]:
    check = report.same_arms
    if check is None:
        return []
    names = {"unpaired": "own users", "cuped": "CUPED", "always_valid": "always-valid"}
    parts = [f"{label} {check.alarms[name]}{'' if check.flat[name] else ' (not flat)'}" for name, label in names.items()]
    return [
        f"A/A, a against itself, {check.runs} splits: false alarms {', '.join(parts)}; 5% gives {check.low} to {check.high}. "
        f"Looking daily without an always-valid interval gives {check.alarms['peeking']}."
    ]


def page(report: Simulation) -> str:
    """Return a self-contained HTML page."""
    environment = Environment(
        loader=PackageLoader("eval.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("simulation.html.j2").render(
        report=report,
        summary=summary(report),
        headings=HEADINGS,
        blocks=blocks(report),
        lines=lines(report),
        **{"looks": ""} | {name: svg(figure) for name, figure in drawings(report).items()},
    )


def drawings(report: Simulation) -> dict[str, Figure]:
    """Return the plots: "differences" by segment and metric, "daily" means, and "looks".

    "looks" is missing where there were too few users for an interval.
    """
    visited = (segment for segment in SEGMENTS if report.row(segment, PRIMARY).paired.users)
    shown = [(SEGMENT_NAMES[segment], PRIMARY, segment) for segment in visited]
    shown += [(NAMES[metric], metric, "all") for metric in METRICS[1:]]
    panels = {
        name: {comparison: getattr(report.row(segment, metric), field) for comparison, field in COMPARISONS.items()}
        for name, metric, segment in shown
    }
    label = NAMES[PRIMARY]
    looks = {"looks": looks_plot(report.looks, label)} if any(look.low is not None for look in report.looks) else {}
    return {"differences": differences_plot(panels), "daily": daily_plot(report.daily, (report.a.name, report.b.name), label)} | looks


def differences_plot(panels: Mapping[str, Mapping[str, Comparison]]) -> Figure:
    """Plot relative differences in percent with 95% intervals: a line a segment or metric, a mark a comparison."""
    comparisons = list(next(iter(panels.values())))
    figure = Figure(figsize=(7, 1.2 + 0.55 * len(panels)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="#999999", linewidth=1)
    for i, comparison in enumerate(comparisons):
        for y, compared in enumerate(panels.values()):
            effect = compared[comparison]
            if effect.relative is None or effect.relative_low is None or effect.relative_high is None:
                continue
            low, high = 100 * (effect.relative - effect.relative_low), 100 * (effect.relative_high - effect.relative)
            place = y + (i - (len(comparisons) - 1) / 2) * 0.22
            label = comparison if not y else None
            axes.errorbar(
                100 * effect.relative, place, xerr=[[low], [high]], fmt="o", color=COLOURS[i], label=label, capsize=3, markersize=5
            )
    axes.set_yticks(range(len(panels)), list(panels))
    axes.invert_yaxis()
    axes.set_xlabel("b over a, %")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    return figure


def daily_plot(days: Sequence[Daily], names: tuple[str, str], label: str) -> Figure:
    """Plot the means of both variants by day; a gap that widens or narrows may come from models that age."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    for i, arm in enumerate("ab"):
        values = [np.nan if (value := getattr(day, arm)) is None else value for day in days]
        axes.plot(range(len(days)), values, marker="o", markersize=4, color=COLOURS[i], label=f"{arm}: {names[i]}")
    axes.set(ylabel=label, ylim=(0, None))
    _dates(axes, [day.day for day in days])
    axes.legend(frameon=False, fontsize=9)
    return figure


def looks_plot(looks: Sequence[Look], label: str) -> Figure:
    """Plot the always-valid interval by day; the test is decided where it leaves 0."""
    shown = [look for look in looks if look.low is not None]
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    days = range(len(shown))
    axes.axhline(0, color="#999999", linewidth=1)
    axes.plot(days, [look.difference for look in shown], color=COLOURS[0], marker="o", markersize=4)
    axes.fill_between(days, [look.low or 0 for look in shown], [look.high or 0 for look in shown], color=COLOURS[0], alpha=0.2, linewidth=0)
    axes.set_ylabel(f"{label}, b - a")
    _dates(axes, [look.day for look in shown])
    return figure


def _dates(axes: Axes, days: Sequence[str]) -> None:
    """Label the x axis with at most about eight days."""
    step = max(1, len(days) // 8)
    axes.set_xticks(range(0, len(days), step), days[::step])
    axes.tick_params(axis="x", rotation=30, labelsize=8)
    axes.grid(alpha=0.3)
