"""Shows a report: one table on the terminal, one page that needs nothing else."""

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
    from eval.protocol.report import Figures, Report

# heading, slice ("" is the list of all items), metric
COLUMNS = (
    ("NDCG@10 all", "", "ndcg@10"),
    ("Recall@10 all", "", "recall@10"),
    ("NDCG@10 new", "new", "ndcg@10"),
    ("Recall@20 new", "new", "recall@20"),
    ("NDCG@10 cold", "cold", "ndcg@10"),
    ("Coverage@10", "", "coverage@10"),
)


def shown(figure: MetricValue | None, interval: bool = False) -> str:
    """A figure to four places, with its interval if asked; a dash where there is none."""
    if figure is None or not math.isfinite(figure.value):
        return "–"
    if interval and math.isfinite(figure.low):
        return f"{figure.value:.4f} [{figure.low:.4f}–{figure.high:.4f}]"
    return f"{figure.value:.4f}"


def table(report: Report, name: str = "ours") -> Group:
    """What `recsys evaluate` prints: ours first, then the baselines; below it how good the scores are, and the stages."""
    grid = Table(title=f"{report.users:,} users, {report.items:,} known items, cut at {report.cut[:10]}, whole catalogue ranked")
    grid.add_column("")
    for heading, _, _ in COLUMNS:
        grid.add_column(heading, justify="right")
    for system, judged in systems(report, name).items():
        cells = [shown(_figure(judged, part, metric), interval=column == 0) for column, (_, part, metric) in enumerate(COLUMNS)]
        grid.add_row(system, *cells, style="bold" if judged is report else "")
    return Group(grid, *(Text(line) for line in lines(report)))


def systems(report: Report, name: str = "ours") -> dict[str, Report]:
    """Ours and the baselines, by the name that is shown."""
    return {name: report} | {other.replace("_", " "): judged for other, judged in report.baselines.items()}


def lines(report: Report) -> list[str]:
    """What stands below the table."""
    known = (("AUC", "auc"), ("log loss", "log_loss"), ("calibration error", "ece"))
    scores = [f"{label} {shown(report.metrics[key], interval=True)}" for label, key in known if key in report.metrics]
    out = ["Scores of the candidates: " + ", ".join(scores)] if scores else []
    for stage, kinds in report.stages.items():
        parts = [f"{metric} {kind} {shown(figure)}" for kind, figures in kinds.items() for metric, figure in figures.items()]
        out.append(f"Stage {stage}: " + ", ".join(parts))
    if report.reasons:
        parts = [f"{kind} {shown(figure, interval=True)} of {figure.users:,}" for kind, figure in report.reasons.items()]
        out.append(f"Reasons whose item scores lower without what they name: {', '.join(parts)}")
    out.append(
        f"Exposure: Gini {shown(report.metrics.get('gini@10'))}, popularity (ARP) {shown(report.metrics.get('arp@10'), interval=True)}"
    )
    for kind in ("all", "new"):
        if report.baselines:
            rival, ratio = best_baseline(report, kind)
            out.append(f"NDCG@10 {kind} over the best baseline ({rival.replace('_', ' ')}): {shown(ratio, interval=True)}")
    return out


def best_baseline(report: Report, kind: str = "all") -> tuple[str, MetricValue]:
    """The baseline with the highest NDCG@10 on a list ('all' or 'new'), and ours over it, on the same users drawn together."""

    def quality(name: str) -> float:
        value = _figure(report.baselines[name], "" if kind == "all" else kind, "ndcg@10").value
        return -math.inf if math.isnan(value) else value

    name = max(report.baselines, key=quality)
    ours, theirs = (judged.per_user[kind]["ndcg@10"] for judged in (report, report.baselines[name]))
    return name, Bootstrap().paired_ratio(ours, theirs)


def page(report: Report, name: str = "ours") -> str:
    """A self-contained HTML page: the table, recall against k, reliability, slices, and every figure with its interval."""
    from eval.reports.plots import recall_plot, reliability_plot, slices_plot, svg

    environment = Environment(
        loader=PackageLoader("eval.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    judged = systems(report, name)
    return environment.get_template("report.html.j2").render(
        report=report,
        lines=lines(report),
        headings=[heading for heading, _, _ in COLUMNS],
        rows={key: [_value_and_interval(_figure(one, part, metric)) for _, part, metric in COLUMNS] for key, one in judged.items()},
        figures={"all": _cells(report.metrics)} | {part: _cells(figures) for part, figures in report.slices.items()},
        exposure={name: [_shares(group) for group in groups] for name, groups in report.exposure.items()},
        recall_plot=svg(recall_plot({key: one.curve for key, one in judged.items()})),
        reliability_plot=svg(reliability_plot({name: report.reliability})) if report.reliability else "",
        slices_plot=svg(slices_plot({key: one.slices for key, one in judged.items()})),
    )


def _shares(group: Exposure) -> list[str]:
    return [group.name, *(f"{100 * share:.1f}%" for share in (group.shown, group.bought, group.catalogue))]


def _value_and_interval(figure: MetricValue) -> tuple[str, str]:
    value, _, interval = shown(figure, interval=True).partition(" ")
    return value, interval


def _cells(figures: Figures) -> dict[str, tuple[str, int]]:
    return {metric: (shown(figure, interval=True), figure.users) for metric, figure in figures.items()}


def _figure(report: Report, part: str, metric: str) -> MetricValue:
    return (report.slices[part] if part else report.metrics)[metric]
