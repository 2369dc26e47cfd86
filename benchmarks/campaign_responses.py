"""What the groups of features add to the chance of a response: `python -m benchmarks.campaign_responses --workspace workspace`.

The last campaigns are judged as `recsys evaluate campaigns` does, with one group of features hidden at a time. A row has the AUC within
campaigns, and that less the AUC with all features, with 95% intervals over customers.
"""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from eval.metrics.grouped_auc import grouped_auc, grouped_auc_difference
from eval.metrics.intervals import Bootstrap
from eval.metrics.probabilities import ScoredPairs
from features.behavior.campaigns import CAMPAIGN_FEATURES, SEND_FEATURES, SendHistory
from features.behavior.deals import DEAL_FEATURES
from ranking.outcomes.response import PastSends, ResponseModel, past_sends, why_not
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace

BEHAVIOR = tuple(name for name in SEND_FEATURES if name not in (*CAMPAIGN_FEATURES, *DEAL_FEATURES))
GROUPS = {"none": (), "deals": DEAL_FEATURES, "earlier campaigns": CAMPAIGN_FEATURES, "purchases": BEHAVIOR}


def judged(past: PastSends, hidden: tuple[str, ...], settings: Settings) -> tuple[ScoredPairs, np.ndarray]:
    """Return the sends of the last campaigns with the chance that a model without some features gives them, and their campaigns."""
    config = settings.campaigns.response
    x = past.x.copy()
    x[:, [SEND_FEATURES.index(name) for name in hidden]] = np.nan
    past = PastSends(past.frame, x)
    starts = past.frame.group_by("campaign_id").agg(pl.col("sent_at").min()).sort("sent_at", "campaign_id").tail(settings.campaigns.judged)
    parts, chances = [], []
    for campaign, start in starts.iter_rows():
        known, mine = past.known_at(start, config.days), past.where((past.frame["campaign_id"] == campaign).to_numpy())
        if not why_not(known, config) and 0 < mine.responded.sum() < len(mine):
            parts.append(mine.frame)
            chances.append(ResponseModel.fit(known, config, 0).chance(mine.x))
    frame = pl.concat(parts)
    users, user = np.unique(frame["user_id"].to_numpy(), return_inverse=True)
    return ScoredPairs(user, frame["responded"].to_numpy(), np.concatenate(chances), len(users)), frame["campaign_id"].to_numpy()


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    workspace, settings = Workspace(parser.parse_args().workspace), Settings()
    catalog, log = workspace.load()
    campaigns = workspace.load_campaigns()
    if campaigns is None:
        parser.error("the workspace has no campaigns")
    config = settings.campaigns.response
    end = campaigns.frame.select(pl.col("sent_at").max()).item()
    whole = config.model_copy(update={"moments": 10**6})
    past = past_sends(SendHistory(log, catalog, campaigns), end + timedelta(days=config.days + 1), whole)
    past = past.where(~past.frame["holdout"].to_numpy())
    boot, first = Bootstrap(), None
    for name, hidden in GROUPS.items():
        pairs, groups = judged(past, hidden, settings)
        value = grouped_auc(boot, pairs, groups)
        row = {"name": f"without {name}", "auc": round(value.value, 4), "low": round(value.low, 4), "high": round(value.high, 4)}
        first = first or pairs
        less = grouped_auc_difference(boot, pairs, first, groups)
        print(json.dumps(row | {"difference": [round(one, 4) for one in (less.value, less.low, less.high)]}), flush=True)


if __name__ == "__main__":
    main()
