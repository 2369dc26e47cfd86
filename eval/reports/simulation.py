"""Shows a simulation: a table on the terminal, a page with plots; both from the readout alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure as Canvas
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from eval.reports.plots import COLOURS, svg
from eval.simulation.visits import METRICS, PRIMARY, SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from eval.simulation.readout import Compared, Daily, Look, Row, Simulation

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
WAYS = {"same users": "paired", "own users alone": "unpaired", "with CUPED": "cuped"}
DASH = "–"


def percent(value: float | None) -> str:
    """A relative difference."""
    return DASH if value is None else f"{100 * value:+.1f}%"


def relative(compared: Compared) -> str:
    """A relative difference and its interval; the plain one where a earned nothing."""
    if compared.low is None or compared.difference is None:
        return DASH
    if compared.relative is None:
        return f"{compared.difference:+.4f} [{compared.low:+.4f} to {compared.high:+.4f}]"
    return f"{percent(compared.relative)} [{percent(compared.relative_low)} to {percent(compared.relative_high)}]"


def number(value: float | None) -> str:
    """A mean."""
    return DASH if value is None else f"{value:.4f}"


def cells(row: Row) -> list[str]:
    """A line of the table, after its name."""
    same = row.paired
    return [number(same.a), number(same.b), relative(same), relative(row.unpaired), relative(row.cuped), f"{same.users:,}"]


def blocks(found: Simulation) -> dict[str, list[tuple[str, list[str], int]]]:
    """Tables by heading: metrics for everybody, then the primary metric by segment; name, cells, which arm is better on the same users."""
    metrics = [(NAMES[metric], found.row("all", metric)) for metric in METRICS]
    segments = [(SEGMENT_NAMES[segment], found.row(segment, PRIMARY)) for segment in SEGMENTS]
    return {
        name: [(label, cells(row), row.paired.sign) for label, row in rows]
        for name, rows in (("Everybody", metrics), ("NDCG@10, for whom", segments[1:]))
    }


def summary(found: Simulation) -> str:
    """What was replayed, in a line."""
    horizon = "that day" if found.horizon_days == 1 else f"within {found.horizon_days} days"
    return f"{found.days} days from {found.start}, {found.users:,} users, {found.visits:,} visits with a purchase {horizon}"


def table(found: Simulation) -> Group:
    """What `recsys simulate` prints."""
    grid = Table(title=f"a: {found.a.name}, b: {found.b.name}. {summary(found)}", box=SIMPLE_HEAD)
    grid.add_column("", no_wrap=True)
    for heading in HEADINGS:
        grid.add_column(heading, justify="right")
    for rows in blocks(found).values():
        for label, values, sign in rows:
            grid.add_row(label, *values, style="bold" if sign else "")
        grid.add_section()
    return Group(grid, *(Text(line) for line in lines(found)))


def lines(found: Simulation) -> list[str]:
    """The answers in words."""
    notes = [f"{letter}: {side.note}." for letter, side in (("a", found.a), ("b", found.b)) if side.note]
    if found.alike == 1:
        return ["Both arms showed the same list at every visit: there is nothing to compare.", *notes, _split(found), *_same_arms(found)]
    return [*notes, _better(found), _for_whom(found), _online(found), _sequential(found), _shown(found), _split(found), *_same_arms(found)]


def _better(found: Simulation) -> str:
    row = found.row("all", PRIMARY)
    same = row.paired
    return f"Better? {VERDICTS[same.sign]}: NDCG@10 {number(same.a)} to {number(same.b)}, {relative(same)} on the same users."


def _for_whom(found: Simulation) -> str:
    rows = [found.row(segment, PRIMARY) for segment in SEGMENTS[1:]]
    parts = [f"{SEGMENT_NAMES[row.segment]}: {VERDICTS[row.paired.sign] if row.paired.users else 'nobody came'}" for row in rows]
    return f"For whom? {'; '.join(parts)}."


def _online(found: Simulation) -> str:
    online = found.online
    if online.needed is None or online.needed_cuped is None:
        return "Online? There is no difference to find."
    split, days = found.split, math.ceil(2 * online.needed_cuped / max(online.users_a_day, 1e-9))
    now = f"With these {split.users_a:,} and {split.users_b:,} users a test would find it with probability {online.power:.0%}"
    wanted = f"{math.ceil(online.needed):,} users an arm, with CUPED {math.ceil(online.needed_cuped):,}"
    long = f"about {days:,} day{'s' * (days > 1)} at the {online.users_a_day:.0f} first visits a day seen here"
    return (
        f"Online? {now}, with CUPED {online.power_cuped:.0%}; the smallest difference it finds in 80% of cases is {online.detectable:.4f}. "
        f"To find this one in 80%: {wanted}, {long}."
    )


def _sequential(found: Simulation) -> str:
    if found.decided:
        return f"Looking every day: decided on {found.decided.day}, after {found.decided.users:,} users (always-valid, first visits)."
    return "Looking every day: still open at the end (always-valid, first visits)."


def _shown(found: Simulation) -> str:
    shown = f"a shows {found.a.coverage:.2%} of the known items, b {found.b.coverage:.2%}"
    return f"Coverage: {shown}; {found.alike:.1%} of the lists are the same."


def _split(found: Simulation) -> str:
    split = found.split
    if split.ok:
        return f"Split: {split.users_a:,} and {split.users_b:,} users, as a share of {split.share_b:g} in b gives (p {split.p_value:.2f})."
    return (
        f"ALARM, sample ratio mismatch: {split.users_a:,} and {split.users_b:,} users for a share of {split.share_b:g} in b "
        f"(p {split.p_value:.1e}): something but chance decides who is counted, trust no figure of the arms' own users."
    )


def _same_arms(found: Simulation) -> list[str]:
    check = found.same_arms
    if check is None:
        return []
    names = {"unpaired": "own users", "cuped": "CUPED", "always_valid": "always-valid"}
    parts = [f"{label} {check.alarms[name]}{'' if check.flat[name] else ' (not flat)'}" for name, label in names.items()]
    return [
        f"A/A, a against itself, {check.runs} splits: false alarms {', '.join(parts)}; 5% gives {check.low} to {check.high}. Who looks "
        f"daily without an always-valid interval has {check.alarms['peeking']}."
    ]


def page(found: Simulation) -> str:
    """A self-contained HTML page."""
    environment = Environment(
        loader=PackageLoader("eval.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("simulation.html.j2").render(
        found=found,
        summary=summary(found),
        headings=HEADINGS,
        blocks=blocks(found),
        lines=lines(found),
        **{"looks": ""} | {name: svg(canvas) for name, canvas in drawings(found).items()},
    )


def drawings(found: Simulation) -> dict[str, Canvas]:
    """Plots: "differences" by segment and metric, "daily" means, and "looks", where there were users enough for one."""
    came = (segment for segment in SEGMENTS if found.row(segment, PRIMARY).paired.users)
    shown = [(SEGMENT_NAMES[segment], PRIMARY, segment) for segment in came]
    shown += [(NAMES[metric], metric, "all") for metric in METRICS[1:]]
    panels = {name: {way: getattr(found.row(segment, metric), field) for way, field in WAYS.items()} for name, metric, segment in shown}
    label = NAMES[PRIMARY]
    looks = {"looks": looks_plot(found.looks, label)} if any(look.low is not None for look in found.looks) else {}
    return {"differences": differences_plot(panels), "daily": daily_plot(found.daily, (found.a.name, found.b.name), label)} | looks


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
