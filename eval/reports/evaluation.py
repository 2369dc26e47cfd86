"""Presents a report: a table on the terminal, a self-contained HTML page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group
from rich.table import Table
from rich.text import Text

from eval.metrics.intervals import Bootstrap

if TYPE_CHECKING:
    from eval.metrics.exposure import Exposure
    from eval.metrics.intervals import MetricValue
    from eval.protocol.report import MetricValues, Report

# Heading, slice ("" is the list of all items), metric.
COLUMNS = (
    ("NDCG@10 all", "", "ndcg@10"),
    ("Recall@10 all", "", "recall@10"),
    ("NDCG@10 new", "new", "ndcg@10"),
    ("Recall@20 new", "new", "recall@20"),
    ("NDCG@10 few buyers", "few", "ndcg@10"),
    ("NDCG@10 cold", "cold", "ndcg@10"),
    ("Coverage@10", "", "coverage@10"),
)


def shown(metric: MetricValue | None, interval: bool = False) -> str:
    """Return a value to four decimal places, with its interval where wanted; a dash where undefined."""
    if metric is None or not math.isfinite(metric.value):
        return "–"
    if interval and math.isfinite(metric.low):
        return f"{metric.value:.4f} [{metric.low:.4f}–{metric.high:.4f}]"
    return f"{metric.value:.4f}"


def table(report: Report, name: str = "ours") -> Group:
    """Return what `recsys evaluate` prints: ours, then the baselines; below it scores, stages, reasons, exposure."""
    grid = Table(title=f"{report.users:,} users, {report.items:,} known items, cut at {report.cut[:10]}, whole catalogue ranked")
    grid.add_column("")
    for heading, _, _ in COLUMNS:
        grid.add_column(heading, justify="right")
    for system, one in systems(report, name).items():
        cells = [shown(_metric(one, part, metric), interval=column == 0) for column, (_, part, metric) in enumerate(COLUMNS)]
        grid.add_row(system, *cells, style="bold" if one is report else "")
    return Group(grid, *(Text(line) for line in lines(report)))


def systems(report: Report, name: str = "ours") -> dict[str, Report]:
    """Return the reports of ours and of the baselines, by the name that is shown."""
    return {name: report} | {key.replace("_", " "): baseline for key, baseline in report.baselines.items()}


def lines(report: Report) -> list[str]:
    """Return the lines below the table."""
    known = (("AUC", "auc"), ("log loss", "log_loss"), ("calibration error", "ece"))
    scores = [f"{label} {shown(report.metrics[key], interval=True)}" for label, key in known if key in report.metrics]
    out = ["Scores of the candidates: " + ", ".join(scores)] if scores else []
    for stage, kinds in report.stages.items():
        parts = [f"{metric} {kind} {shown(value)}" for kind, values in kinds.items() for metric, value in values.items()]
        out.append(f"Stage {stage}: " + ", ".join(parts))
    if report.reasons:
        parts = [f"{kind} {shown(value, interval=True)} of {value.users:,}" for kind, value in report.reasons.items()]
        out.append(f"Reasons whose item scores lower without what they name: {', '.join(parts)}")
    out.append(
        f"Exposure: Gini {shown(report.metrics.get('gini@10'))}, popularity (ARP) {shown(report.metrics.get('arp@10'), interval=True)}"
    )
    if report.exploration:
        parts = [f"{name} {shown(value, interval=True)}" for name, value in report.exploration.items()]
        out.append(f"Places for new items (retrieval.exploration), in lists without rules and without diversity: {', '.join(parts)}")
    for kind in ("all", "new"):
        if report.baselines:
            baseline, ratio = best_baseline(report, kind)
            out.append(f"NDCG@10 {kind} over the best baseline ({baseline.replace('_', ' ')}): {shown(ratio, interval=True)}")
    return out


def best_baseline(report: Report, kind: str = "all") -> tuple[str, MetricValue]:
    """Return the baseline with the highest NDCG@10 on a list, and the ratio of ours to it on the same users.

    Parameters
    ----------
    kind : "all" or "new"
    """

    def quality(name: str) -> float:
        value = _metric(report.baselines[name], "" if kind == "all" else kind, "ndcg@10").value
        return -math.inf if math.isnan(value) else value

    name = max(report.baselines, key=quality)
    ours, theirs = (one.per_user[kind]["ndcg@10"] for one in (report, report.baselines[name]))
    return name, Bootstrap().paired_ratio(ours, theirs)


def page(report: Report, name: str = "ours") -> str:
    """Return a self-contained HTML page: the table, recall by k, reliability, slices, all metrics with intervals."""
    from eval.reports.plots import recall_plot, reliability_plot, slices_plot, svg

    environment = Environment(
        loader=PackageLoader("eval.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    compared = systems(report, name)
    return environment.get_template("report.html.j2").render(
        report=report,
        lines=lines(report),
        headings=[heading for heading, _, _ in COLUMNS],
        rows={key: [_value_and_interval(_metric(one, part, metric)) for _, part, metric in COLUMNS] for key, one in compared.items()},
        metrics={"all": _cells(report.metrics)} | {part: _cells(values) for part, values in report.slices.items()},
        exposure={name: [_shares(group) for group in groups] for name, groups in report.exposure.items()},
        recall_plot=svg(recall_plot({key: one.curve for key, one in compared.items()})),
        reliability_plot=svg(reliability_plot({name: report.reliability})) if report.reliability else "",
        slices_plot=svg(slices_plot({key: one.slices for key, one in compared.items()})),
    )


def _shares(group: Exposure) -> list[str]:
    return [group.name, *(f"{100 * share:.1f}%" for share in (group.shown, group.bought, group.catalogue))]


def _value_and_interval(metric: MetricValue) -> tuple[str, str]:
    value, _, interval = shown(metric, interval=True).partition(" ")
    return value, interval


def _cells(values: MetricValues) -> dict[str, tuple[str, int]]:
    return {metric: (shown(value, interval=True), value.users) for metric, value in values.items()}


def _metric(report: Report, part: str, metric: str) -> MetricValue:
    return (report.slices[part] if part else report.metrics)[metric]
