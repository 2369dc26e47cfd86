"""Off-policy evaluation on the small logs of the Open Bandit Dataset, compared with the on-policy value of the target.

    python -m benchmarks.open_bandit FOLDER

FOLDER is the package `obp` 0.4.1 as unpacked from its wheel (`pip download obp --no-deps`), with dataset/obd/ and
policy/conf/. ZOZOTOWN filled three positions at random or by Thompson sampling during the same days. Each log has
10,000 rows with propensities. Each policy is evaluated from the log of the other. The program prints a JSON line for
each campaign and direction: the estimates, what the policy earned in its log, and `kept`. `kept` says whether the
difference of DR lies within the 95% interval of both together. It is null, with `refused`, where too few effective
impressions remain. Data: Saito and others (2021), NeurIPS, "Open Bandit Dataset and Pipeline".
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from eval.off_policy.estimators import Logged, Target, off_policy
from features.errors import DataError

ITEMS = {"all": 80, "men": 34, "women": 46}
PLACES, DRAWS = 3, 200_000


def thompson(folder: Path, campaign: str) -> np.ndarray:
    """Return the probability of each item at each position under the Thompson sampling that ran, (places, items).

    It is simulated from the policy's fixed prior.
    """
    prior = yaml.safe_load((folder / "policy" / "conf" / "prior_bts.yaml").read_text(encoding="utf-8"))[campaign]
    rng, shown = np.random.default_rng(0), np.zeros((PLACES, ITEMS[campaign]))
    drawn = rng.beta(prior["alpha"], prior["beta"], (DRAWS, ITEMS[campaign]))
    best = np.argsort(-drawn, axis=1)[:, :PLACES]
    for place in range(PLACES):
        shown[place] = np.bincount(best[:, place], minlength=ITEMS[campaign]) / DRAWS
    return shown


def evaluated(log: pl.DataFrame, chances: np.ndarray) -> dict[str, Any]:
    """Evaluate a policy, (places, items), from the log of the other; the position of a row is its context."""
    item, place = log["item_id"].to_numpy(), log["position"].to_numpy() - 1
    n, items = len(log), chances.shape[1]
    everywhere = (place[:, None] * items + np.arange(items)).ravel()
    target = Target(np.repeat(np.arange(n), items), np.zeros(n * items, dtype=np.int64), everywhere, chances[place].ravel())
    numbers = (log["click"].to_numpy().astype(float), log["propensity_score"].to_numpy(), chances[place, item])
    try:
        found = off_policy(Logged(np.arange(n), np.zeros(n, dtype=np.int64), *numbers, np.arange(n), place * items + item, target))
    except DataError as error:
        return {"refused": str(error).split(", expected")[0], "kept": None}
    estimates = {name: [round(x, 5) for x in (one.value, one.low, one.high)] for name, one in found.estimates.items()}
    return {"effective": round(found.effective), "supported": found.supported, **estimates}


def main() -> None:
    """Print a row for each campaign and direction."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for campaign, items in ITEMS.items():
        logs = {name: pl.read_csv(folder / "dataset" / "obd" / name / campaign / f"{campaign}.csv") for name in ("random", "bts")}
        chances = {"random": np.full((PLACES, items), 1 / items), "bts": thompson(folder, campaign)}
        for source, policy in (("random", "bts"), ("bts", "random")):
            row = evaluated(logs[source], chances[policy])
            clicks = logs[policy]["click"].to_numpy().astype(float)
            earned, reach = clicks.mean(), 1.96 * clicks.std() / math.sqrt(len(clicks))
            if "dr" in row:
                value, low, high = row["dr"]
                row["kept"] = bool(abs(value - earned) <= math.hypot(reach, (high - low) / 2))
            print(json.dumps({"name": f"open_bandit_{campaign}_{policy}_from_{source}", "earned": round(earned, 5), **row}), flush=True)


if __name__ == "__main__":
    main()
