"""Presents a benchmark: a table on the terminal, a page with plots, a section of docs/benchmarks.md."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from eval.protocol.benchmark_table import METRICS, SCORES
from eval.reports.plots import bars_plot, reliability_plot, svg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eval.protocol.benchmark_table import BenchmarkRow, Interval, Result

HEADINGS = {"ndcg@10": "NDCG@10", "recall@10": "Recall@10", "over_best": "× best baseline"}
SCORE_HEADINGS = {"auc": "AUC", "log_loss": "log loss", "ece": "calibration error"}
NONE = ("–", "")


def shown(interval: Interval | None, digits: int = 4) -> tuple[str, str]:
    """Return a value and its interval; a dash where undefined."""
    if interval is None or interval.value is None:
        return NONE
    low_high = "" if interval.low is None else f"{interval.low:.{digits}f}–{interval.high:.{digits}f}"
    return f"{interval.value:.{digits}f}", low_high


def one_line(interval: Interval | None, digits: int = 4) -> str:
    """Return a value and its interval on one line."""
    value, low_high = shown(interval, digits)
    return f"{value} [{low_high}]" if low_high else value


def headings(result: Result) -> list[str]:
    """Return the headings of the table's columns, after that of the name."""
    quality = [f"{HEADINGS[metric]} {part}" for part in result.lists for metric in HEADINGS]
    return [*quality, *SCORE_HEADINGS.values(), "tuning s", "fit s", "ms a list"]


def cells(result: Result, row: BenchmarkRow) -> list[tuple[str, str]]:
    """Return value and interval of each column of a row; ratios have three decimal places."""
    quality = [shown(row.lists.get(part, {}).get(metric), 4 if metric in METRICS else 3) for part in result.lists for metric in HEADINGS]
    return [*quality, *(shown(row.scores.get(key)) for key in SCORES), *_times(row)]


def _times(row: BenchmarkRow) -> list[tuple[str, str]]:
    """Return the columns of times."""
    times = [(f"{row.seconds[key]:,.0f}" if key in row.seconds else NONE[0], "") for key in ("tune", "fit")]
    a_list = f"{1000 * row.seconds['answer'] / row.answered:.1f}" if row.answered and "answer" in row.seconds else NONE[0]
    return [*times, (a_list, "")]


def label(row: BenchmarkRow) -> str:
    """Return the name that a row is shown under."""
    return f"ours {row.name}" if row.kind == "without" else row.name.replace("_", " ")


def table(result: Result) -> Group:
    """Return what `recsys benchmark` prints: ours, ours without each part, baselines from the best down, notes."""
    grid = Table(title=f"{result.data}: {summary(result)}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column("", no_wrap=True)
    for heading in headings(result):
        grid.add_column(heading, justify="right", overflow="fold")
    last = ""
    for row in result.rows:
        if last not in ("", row.kind):
            grid.add_section()
        last = row.kind
        grid.add_row(label(row), *(_narrow("\n".join(cell)) for cell in cells(result, row)), style="bold" if row.kind == "ours" else "")
    return Group(grid, *(Text(line) for line in lines(result)))


def _narrow(cell: str) -> str:
    """Drop the zero before the decimal point: the table is wide."""
    return re.sub(r"\b0\.", ".", cell)


def summary(result: Result) -> str:
    """Return one line on the users, the items and the protocol."""
    split = result.split
    users = f"{split.users:,}" if split.users == split.of_users else f"{split.users:,} of {split.of_users:,}, drawn at random,"
    return f"{users} users, {split.items:,} known items; {split.protocol}"


def lines(result: Result) -> list[str]:
    """Return the notes: ours over the best baseline of each list, what each part adds, and how a part was left out."""
    by_name = {row.name: row for row in result.rows}
    out = []
    for part, name in result.best.items():
        ratio = by_name[name].lists[part]["ours_over"]
        out.append(f"NDCG@10 {part}: ours is {one_line(ratio, 3)} times the best baseline, {name.replace('_', ' ')}")
    if result.ours.note:
        out.append(f"Ours: {result.ours.note}")
    for row in result.rows:
        if row.kind == "without":
            ratios = ", ".join(f"{part} {one_line(values['ours_over'], 3)}" for part, values in row.lists.items())
            out.append(f"NDCG@10 of ours over ours {row.name} ({row.note}): {ratios}")
    return out


def page(result: Result) -> str:
    """Return a self-contained HTML page: the table, bars with intervals, the reliability plot."""
    environment = Environment(
        loader=PackageLoader("eval.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    points = {
        label(row): row.reliability.reliability for row in result.rows if row.name in ("ours", "without cross-encoder") and row.reliability
    }
    return environment.get_template("benchmark.html.j2").render(
        result=result,
        summary=summary(result),
        headings=headings(result),
        rows=[(label(row), row.kind, cells(result, row)) for row in result.rows],
        lines=lines(result),
        bars=svg(bars_plot({part: _bars(result, part) for part in result.lists})),
        reliability=svg(reliability_plot(points)) if points else "",
        about=facts(result),
        settings={label(row): row.settings for row in result.rows if row.kind == "baseline" and row.settings},
    )


def _bars(result: Result, part: str) -> Mapping[str, tuple[str, float, float, float]]:
    """Return kind, value, low and high of each system's NDCG@10 on a list, by its name."""
    bars = {}
    for row in result.rows:
        interval = row.lists.get(part, {}).get("ndcg@10")
        if interval and interval.value is not None and interval.low is not None and interval.high is not None:
            bars[label(row)] = (row.kind, interval.value, interval.low, interval.high)
    return bars


def facts(result: Result) -> list[str]:
    """Return lines on the settings, the machine and the versions."""
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items() if name != "evaluate")
    machine = ", ".join(f"{name} {value}" for name, value in result.machine.items())
    packages = ", ".join(f"{name} {value}" for name, value in result.versions.items())
    return [f"Settings: {settings}.", f"Machine: {machine}.", f"Versions: {packages}."]


def markdown(result: Result) -> str:
    """Return the section of docs/benchmarks.md."""
    head = ["", *headings(result)]
    rows = [[label(row), *(f"{cell} [{low_high}]" if low_high else cell for cell, low_high in cells(result, row))] for row in result.rows]
    text = [f"## {result.data}", "", f"`recsys benchmark {result.name}`: {summary(result)}.", ""]
    text += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows), ""]
    text += [f"- {line}" for line in lines(result)]
    return "\n".join([*text, "", *facts(result), ""])
