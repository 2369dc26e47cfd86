"""`recsys evaluate customers`: chance of buying, spend and next purchase at past weekly moments, beside the field's own baselines."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from eval.metrics import spend as spend_metrics
from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs, reliability
from eval.metrics.spend import SpendPairs
from features.errors import DataError
from features.names import SPEND
from features.storage.atomic import write_whole
from ranking.outcomes.customer_models import MONTH, QUARTER
from ranking.outcomes.examples import PastCustomers
from recsys.apps.customers.past_predictions import BG_NBD, LAST_90, MEAN_GAP, OURS, RFM, Rows, add_month, add_quarter, cuts_of
from recsys.progress import terminal_progress

if TYPE_CHECKING:
    from eval.metrics.intervals import MetricValue
    from features.data.interactions import Interactions
    from features.progress import Progress
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

Metrics = dict[str, "MetricValue"]
AUC, CALIBRATION = "buys_auc", "buys_calibration_error"
GINI, TOTAL, COVERAGE = "spend_gini", "spend_total_ratio", "spend_coverage"
DATE, DATE_ALL = "next_purchase_error", "next_purchase_error_all"
_HEADINGS = {
    AUC: f"buys within {MONTH} days: AUC",
    CALIBRATION: "calibration error",
    GINI: f"spend in {QUARTER} days: Gini",
    TOTAL: "total / actual",
    COVERAGE: "80% interval covers",
    DATE: "next purchase: median error, days",
}
_NAMES = {OURS: "ours", BG_NBD: "BG/NBD, Gamma-Gamma", RFM: "regression on RFM", LAST_90: "as last 90 days", MEAN_GAP: "mean gap"}


@dataclass(frozen=True)
class CustomersReport:
    """Metrics of each system over all moments, ours by moment, and paired differences.

    Attributes
    ----------
    metrics : system -> metric.
    differences : baseline -> metric -> ours minus the baseline's; of errors in days the ratio.
    slices : moment, ISO 8601 -> metric of ours.
    settings : what was chosen for a baseline.
    notes : what could not be evaluated and why.
    """

    metrics: dict[str, Metrics]
    differences: dict[str, Metrics]
    slices: dict[str, Metrics]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the stable form of `--json`."""
        baselines = {
            name: {"metrics": _values(metrics), "settings": self.settings.get(name, {})}
            for name, metrics in self.metrics.items()
            if name != OURS
        }
        content = {
            "metrics": _values(self.metrics.get(OURS, {})),
            "slices": {name: _values(metrics) for name, metrics in self.slices.items()},
            "baselines": baselines,
            "differences": {name: _values(metrics) for name, metrics in self.differences.items()},
            "notes": self.notes,
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def table(self) -> Table:
        """Return what the command prints."""
        grid = Table("", *_HEADINGS.values(), box=None, header_style="bold", title="Customers at past moments, a week apart")
        for name, metrics in self.metrics.items():
            grid.add_row(_NAMES[name], *(_cell(metrics.get(key)) for key in _HEADINGS))
        return grid


def evaluate_customers(workspace: Workspace, settings: Settings, seed: int = 0) -> CustomersReport:
    """Fit the models and their baselines before past moments, judge them on what came after, and write JSON to reports/.

    Raises
    ------
    DataError
        If the log has no calendar, or no moment leaves enough before and after it.
    """
    _, log = workspace.load(settings.events)
    report = evaluate_log(log, settings, seed, terminal_progress)
    write_whole(workspace.reports / "customers_evaluation.json", report.to_json())
    return report


def evaluate_log(log: Interactions, settings: Settings, seed: int, progress: Progress) -> CustomersReport:
    """Evaluate on a log as `evaluate_customers` does."""
    config = settings.customers
    past = PastCustomers(log, config.models.customers, seed)
    if past.start is None or log.moments is None:
        raise DataError("the log has no events: run `recsys ingest` with a log that has purchases")
    end = int(log.moments.max()) + 1
    month, quarter = (cuts_of(past, end, days, config.cuts) for days in (MONTH, QUARTER))
    of_month, of_quarter, fit = Rows(), Rows(), (config.models, seed)
    with progress("past moments", len(month) + len(quarter)) as step:
        for cuts, rows, add in ((month, of_month, add_month), (quarter, of_quarter, add_quarter)):
            for index, cut in enumerate(cuts):
                add(rows, past, cut, index, fit)
                step()
    if not len(of_month) and not len(of_quarter):
        why = (of_month.missing or of_quarter.missing or ["the log is too short"])[0]
        raise DataError(f"no past moment can be judged ({why}): come back with a longer log")
    boot = Bootstrap(settings.evaluate.resamples, settings.evaluate.seed)
    return _report(of_month, of_quarter, (month, quarter), boot)


def _report(of_month: Rows, of_quarter: Rows, cuts: tuple[list[int], list[int]], boot: Bootstrap) -> CustomersReport:
    metrics: dict[str, Metrics] = {}
    differences: dict[str, Metrics] = {}
    slices: dict[str, Metrics] = {}
    notes: list[str] = []
    parts = ((of_month, cuts[0], _judge_month, _compare_month), (of_quarter, cuts[1], _judge_quarter, _compare_quarter))
    for rows, moments, judge, compare in parts:
        if rows.missing:
            notes.append(f"{len(rows.missing):,} of {len(moments):,} moments are left out, {rows.missing[0]}")
        if not len(rows):
            continue
        everything = np.ones(len(rows), dtype=bool)
        for name in dict.fromkeys(system for system, _ in rows.said):
            metrics[name] = metrics.get(name, {}) | judge(rows, name, everything, boot)
        for name, found in compare(rows, boot).items():
            differences[name] = differences.get(name, {}) | found
        for index in np.unique(rows.cut).tolist():
            day = datetime.fromtimestamp(moments[index], UTC).date().isoformat()
            slices[day] = slices.get(day, {}) | judge(rows, OURS, rows.cut == index, boot)
    return CustomersReport(metrics, differences, dict(sorted(slices.items())), of_month.settings | of_quarter.settings, notes)


def _judge_month(rows: Rows, name: str, mask: np.ndarray, boot: Bootstrap) -> Metrics:
    pairs = _chances(rows, name, mask)
    points = reliability(pairs.labels, pairs.scores)
    return {AUC: boot.auc(pairs), CALIBRATION: boot.calibration_error(pairs, points)}


def _compare_month(rows: Rows, boot: Bootstrap) -> dict[str, Metrics]:
    everything = np.ones(len(rows), dtype=bool)
    ours = _chances(rows, OURS, everything)
    return {name: {AUC: boot.auc_difference(ours, _chances(rows, name, everything))} for name in (BG_NBD, RFM)}


def _judge_quarter(rows: Rows, name: str, mask: np.ndarray, boot: Bootstrap) -> Metrics:
    found: Metrics = {}
    if (name, SPEND) in rows.said:
        pairs = _pairs(rows, rows.actual[SPEND], rows.said[name, SPEND], mask)
        found |= {GINI: spend_metrics.gini(boot, pairs), TOTAL: spend_metrics.total_ratio(boot, pairs)}
    if (name, "low") in rows.said:
        pairs = _pairs(rows, rows.actual[SPEND], rows.said[name, "low"], mask)
        found[COVERAGE] = spend_metrics.coverage(boot, pairs, rows.said[name, "high"][mask])
    if (name, "days") in rows.said:
        found |= {key: spend_metrics.median_error(boot, pairs) for key, pairs in _dates(rows, name, mask).items()}
    return found


def _compare_quarter(rows: Rows, boot: Bootstrap) -> dict[str, Metrics]:
    everything = np.ones(len(rows), dtype=bool)
    spent = rows.actual[SPEND]
    ours = _pairs(rows, spent, rows.said[OURS, SPEND], everything)
    found: dict[str, Metrics] = {}
    for name in (BG_NBD, LAST_90):
        found[name] = {GINI: spend_metrics.gini_difference(boot, ours, _pairs(rows, spent, rows.said[name, SPEND], everything))}
    gap = _dates(rows, MEAN_GAP, everything)
    found[MEAN_GAP] = {
        key: spend_metrics.median_error_ratio(boot, pairs, gap[key]) for key, pairs in _dates(rows, OURS, everything).items()
    }
    return found


def _dates(rows: Rows, name: str, mask: np.ndarray) -> dict[str, SpendPairs]:
    """Return the waits of those who came back within the horizon, and of all customers with waits beyond it cut to it."""
    wait, days = rows.actual["wait"], rows.said[name, "days"]
    back = mask & np.isfinite(wait)
    if_any = rows.said.get((name, "days_if_any"), days)
    cut = np.minimum(wait, QUARTER)
    return {DATE: _pairs(rows, wait, if_any, back), DATE_ALL: _pairs(rows, cut, np.minimum(days, QUARTER), mask)}


def _chances(rows: Rows, name: str, mask: np.ndarray) -> ScoredPairs:
    user = np.unique(rows.user[mask], return_inverse=True)[1]
    return ScoredPairs(user, rows.actual["bought"][mask].astype(bool), rows.said[name, "chance"][mask], int(user.max(initial=-1)) + 1)


def _pairs(rows: Rows, actual: np.ndarray, said: np.ndarray, mask: np.ndarray) -> SpendPairs:
    user = np.unique(rows.user[mask], return_inverse=True)[1]
    return SpendPairs(user, actual[mask], said[mask], int(user.max(initial=-1)) + 1)


def _cell(metric: MetricValue | None) -> str:
    if metric is None or not math.isfinite(metric.value):
        return "–"
    return f"{metric.value:.3f}\n{metric.low:.3f}–{metric.high:.3f}"


def _values(metrics: Metrics) -> dict[str, dict[str, float | int | None]]:
    return {name: metric.as_json() for name, metric in metrics.items()}
