"""Campaigns without an effect on a real log: `python -m benchmarks.campaign_aa --workspace workspace --runs 400`.

Customers who bought in the four weeks before a moment are split by chance, again and again, and nobody is written to. `recsys campaign
evaluate` reads each split as a campaign. A row for each share of the holdout has how many of them show an extra spend, or a loss, whose 95%
interval leaves 0 out: 5% of the runs, within the binomial interval.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from eval.experiment.aa_test import flat
from eval.experiment.effects import binomial_interval
from eval.experiment.splits import in_b
from features.behavior.campaigns import SendHistory, seconds
from features.data.campaigns import Campaigns
from features.data.interactions import DAY
from recsys.apps.campaigns.outcome import BUYERS, SPEND, outcome_of
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--moment", type=datetime.fromisoformat, default=datetime(2017, 9, 1))
    options = parser.parse_args()
    catalog, log = Workspace(options.workspace).load()
    moment, settings = options.moment, Settings()
    days = settings.campaigns.response.days
    # Nothing else of the log is read, and a short one is read quickly.
    log = log.between(seconds(moment) - days * DAY, seconds(moment) + (days + 1) * DAY)
    users = log.user_ids[np.unique(log.user[log.time < seconds(moment)])].tolist()
    rows = pl.DataFrame({"user_id": users}).with_columns(pl.lit("aa").alias("campaign_id"), pl.lit(moment).alias("sent_at"))
    for share in (0.1, 0.5):
        alarms = dict.fromkeys((SPEND, BUYERS), 0)
        for run in range(options.runs):
            campaigns = Campaigns.of(rows.with_columns(holdout=pl.Series(in_b(users, f"aa/{run}", share))))
            effects = outcome_of(SendHistory(log, catalog, campaigns), "aa", settings, share).effects
            for name in alarms:
                alarms[name] += not effects[name].low <= 0 <= effects[name].high
        for name, count in alarms.items():
            row = {"name": f"aa, holdout {share:g}, {name}", "runs": options.runs, "failures": count, "users": len(users)}
            print(json.dumps(row | {"interval": binomial_interval(options.runs), "kept": flat(count, options.runs)}), flush=True)


if __name__ == "__main__":
    main()
