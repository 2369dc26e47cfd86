"""`recsys evaluate campaigns`: who responds to the last campaigns, by models fitted on earlier ones, beside simple rules."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from rich.table import Table

from eval.baselines.customers.rfm import RfmRegression
from eval.metrics.grouped_auc import grouped_auc, grouped_auc_difference
from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs, reliability
from eval.protocol.benchmark_table import Interval
from eval.reports.benchmark import shown
from features.behavior.campaigns import SEND_FEATURES, SendHistory
from features.errors import DataError
from features.names import CAMPAIGN_ID, CONTACTS, HOLDOUT, PURCHASE_DAYS, RECENCY, REDEMPTIONS, SENT_AT, SPEND_PER_DAY, USER_ID
from features.storage.atomic import write_whole
from ranking.outcomes.response import PastSends, ResponseModel, past_sends, why_not
from recsys.progress import terminal_progress

if TYPE_CHECKING:
    from eval.metrics.intervals import MetricValue
    from features.progress import Progress
    from recsys.settings.apps.campaigns import CampaignsConfig
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

Metrics = dict[str, "MetricValue"]
OURS, BEFORE, REGRESSION = "ours", "redeemed_before", "regression"
AUC, POOLED, CALIBRATION = "response_auc", "response_auc_pooled", "response_calibration_error"
_HEADINGS = {AUC: "redeemed: AUC within campaigns", POOLED: "AUC over all", CALIBRATION: "calibration error"}
_NAMES = {OURS: "ours", BEFORE: "redeemed before", REGRESSION: "logistic regression"}
_HISTORY = (RECENCY, PURCHASE_DAYS, SPEND_PER_DAY, CONTACTS, REDEMPTIONS)
_PLACES = [SEND_FEATURES.index(name) for name in _HISTORY]
_NEVER = 1e4  # days since the last purchase of customers without one


@dataclass
class Judged:
    """Sends of the judged campaigns, and what each system said of them.

    Attributes
    ----------
    said : system -> float (n,).
    campaign : int64 (n,), index into `names`.
    settings : what was chosen for the regression at the last campaign.
    notes : campaigns that are left out and why.
    """

    user: list[np.ndarray] = field(default_factory=list)
    responded: list[np.ndarray] = field(default_factory=list)
    campaign: list[np.ndarray] = field(default_factory=list)
    said: dict[str, list[np.ndarray]] = field(default_factory=lambda: {name: [] for name in _NAMES})
    names: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def pairs(self, system: str, campaign: int | None = None) -> ScoredPairs:
        """Return the sends with a system's scores, of one campaign or of all."""
        mask = np.ones(sum(map(len, self.user)), dtype=bool) if campaign is None else self.groups == campaign
        users, labels, scores = (np.concatenate(parts)[mask] for parts in (self.user, self.responded, self.said[system]))
        _, user = np.unique(users, return_inverse=True)
        return ScoredPairs(user, labels, scores, int(user.max(initial=-1)) + 1)

    @property
    def groups(self) -> np.ndarray:
        """The campaign of each send."""
        return np.concatenate(self.campaign)


@dataclass(frozen=True)
class CampaignsReport:
    """Metrics of each system over the judged campaigns, ours by campaign, and paired differences.

    Attributes
    ----------
    metrics : system -> metric.
    differences : baseline -> metric -> ours minus the baseline's.
    slices : campaign -> metric of ours.
    settings : what was chosen for a baseline.
    notes : campaigns that are left out and why.
    """

    metrics: dict[str, Metrics]
    differences: dict[str, Metrics]
    slices: dict[str, Metrics]
    settings: dict[str, Any]
    notes: list[str]

    def to_json(self) -> str:
        """Return the stable form of `--json`."""
        content = {
            "metrics": _values(self.metrics[OURS]),
            "slices": {name: _values(metrics) for name, metrics in self.slices.items()},
            "baselines": {
                name: {"metrics": _values(metrics), "settings": self.settings.get(name, {})}
                for name, metrics in self.metrics.items()
                if name != OURS
            },
            "differences": {name: _values(metrics) for name, metrics in self.differences.items()},
            "notes": self.notes,
        }
        return json.dumps(content, indent=2, allow_nan=False) + "\n"

    def table(self) -> Table:
        """Return what the command prints."""
        grid = Table("", *_HEADINGS.values(), box=None, header_style="bold", title="The last campaigns, by what was known before each")
        for name, metrics in self.metrics.items():
            grid.add_row(_NAMES[name], *_cells(metrics))
        for name, metrics in self.differences.items():
            grid.add_row(f"ours less {_NAMES[name]}", *_cells(metrics))
        return grid


def evaluate_campaigns(workspace: Workspace, settings: Settings, seed: int = 0) -> CampaignsReport:
    """Fit on what was known before each of the last campaigns, judge on its redemptions, and write JSON to reports/.

    Raises
    ------
    DataError
        If there are no campaigns, nothing was redeemed, or too little was sent before the last ones.
    """
    catalog, log = workspace.load(settings.events)
    campaigns = workspace.load_campaigns()
    if campaigns is None or not len(campaigns):
        raise DataError("the shop has no campaigns to judge: run `recsys ingest --campaigns FILE` with what was sent to whom")
    report = evaluate_history(SendHistory(log, catalog, campaigns), settings, seed, terminal_progress)
    write_whole(workspace.reports / "campaigns_evaluation.json", report.to_json())
    return report


def evaluate_history(history: SendHistory, settings: Settings, seed: int, progress: Progress) -> CampaignsReport:
    """Evaluate on tables as `evaluate_campaigns` does."""
    config = settings.campaigns
    frame = history.campaigns.frame.filter(~pl.col(HOLDOUT))
    starts = frame.group_by(CAMPAIGN_ID).agg(pl.col(SENT_AT).min()).sort(SENT_AT, CAMPAIGN_ID).tail(config.judged)
    last = frame[SENT_AT].max()
    if not isinstance(last, datetime):
        raise DataError(
            "nobody was written to, all customers of the campaigns are in the holdout: mend the column holdout and ingest again"
        )
    past = past_sends(history, last + timedelta(days=config.response.days + 1), config.response.model_copy(update={"moments": 10**6}))
    past = past.where(~past.frame[HOLDOUT].to_numpy())
    if not past.responded.any():
        raise DataError("nothing of the campaigns was redeemed: ingest redeemed_at to judge who responds")
    judged = Judged()
    with progress("campaigns", starts.height) as step:
        for campaign, start in starts.iter_rows():
            _judge(judged, past, (campaign, start), config, seed)
            step()
    if not judged.names:
        raise DataError(f"no campaign can be judged ({judged.notes[0]}): come back after more campaigns")
    return _report(judged, Bootstrap(settings.evaluate.resamples, settings.evaluate.seed))


def _judge(judged: Judged, past: PastSends, campaign: tuple[str, datetime], config: CampaignsConfig, seed: int) -> None:
    """Append the sends of a campaign with what each system, fitted on what was known before it, says of them."""
    name, start = campaign
    known, mine = past.known_at(start, config.response.days), past.where((past.frame[CAMPAIGN_ID] == name).to_numpy())
    if why := why_not(known, config.response):
        judged.notes.append(f"campaign {name} is left out: before it, {why}")
        return
    if mine.responded.all() or not mine.responded.any():
        judged.notes.append(f"campaign {name} is left out: {int(mine.responded.sum()):,} of {len(mine):,} responded")
        return
    model = ResponseModel.fit(known, config.response, seed)
    # The newest campaign with both outcomes chooses the regression's settings, the others are what it is fitted on.
    newest = _newest(known)
    regression = RfmRegression.tuned(_history(known.x), known.responded, np.where(newest, 0, 1))
    judged.settings[REGRESSION] = regression.setting
    said = {
        OURS: model.chance(mine.x),
        BEFORE: mine.x[:, SEND_FEATURES.index(REDEMPTIONS)],
        REGRESSION: regression.chance(_history(mine.x)),
    }
    for system, values in said.items():
        judged.said[system].append(values)
    judged.user.append(mine.frame[USER_ID].to_numpy())
    judged.responded.append(mine.responded)
    judged.campaign.append(np.full(len(mine), len(judged.names)))
    judged.names.append(name)


def _newest(known: PastSends) -> np.ndarray:
    """Return which sends are the newest quarter, by whole campaigns, bool (n,)."""
    sent = known.frame[SENT_AT].to_numpy()
    edge = np.sort(sent)[-max(1, len(sent) // 4)]
    return sent >= edge


def _history(x: np.ndarray) -> np.ndarray:
    values = x[:, _PLACES].astype(np.float64)
    values[:, 0] = np.where(np.isnan(values[:, 0]), _NEVER, values[:, 0])
    return np.maximum(np.nan_to_num(values), 0)


def _report(judged: Judged, boot: Bootstrap) -> CampaignsReport:
    metrics: dict[str, Metrics] = {}
    differences: dict[str, Metrics] = {}
    ours, groups = judged.pairs(OURS), judged.groups
    for name in _NAMES:
        pairs = judged.pairs(name)
        metrics[name] = {AUC: grouped_auc(boot, pairs, groups), POOLED: boot.auc(pairs)}
        if name != BEFORE:
            metrics[name][CALIBRATION] = boot.calibration_error(pairs, reliability(pairs.labels, pairs.scores))
        if name != OURS:
            differences[name] = {AUC: grouped_auc_difference(boot, ours, pairs, groups), POOLED: boot.auc_difference(ours, pairs)}
    slices = {name: {AUC: boot.auc(judged.pairs(OURS, index))} for index, name in enumerate(judged.names)}
    return CampaignsReport(metrics, differences, slices, judged.settings, judged.notes)


def _cells(metrics: Metrics) -> list[str]:
    intervals = {name: Interval.of(metric) for name, metric in metrics.items()}
    return ["\n".join(shown(intervals.get(key), 3)) for key in _HEADINGS]


def _values(metrics: Metrics) -> dict[str, dict[str, float | int | None]]:
    return {name: metric.as_json() for name, metric in metrics.items()}
