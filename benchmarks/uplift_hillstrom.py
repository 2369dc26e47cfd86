"""Uplift or response, on a randomised e-mail campaign: `python -m benchmarks.uplift_hillstrom --data DIR`.

The data: 64,000 customers of a shop who got the women's mail, the men's or none, by chance (Hillstrom 2008). Five folds; a model learns on
four and is judged on the fifth by its Qini coefficient (`eval.metrics.uplift`), times 1000. `chosen` chooses between the learners on parts
of the four folds alone (`recsys.apps.campaigns.learner_choice`). A row is a JSON line: the mail, the outcome, the mean over the folds with
its 95% interval over customers, and `chosen` less the better one of transformed outcome and response.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import polars as pl

from eval.metrics.intervals import Bootstrap
from eval.metrics.uplift import Trial, qini_values
from ranking.outcomes.uplift import RESPONSE, UPLIFT_LEARNERS, Treatment, UpliftConfig, fit_uplift
from recsys.apps.campaigns.learner_choice import fit_chosen

FOLDS = 5
CHOSEN = "chosen"
BASELINES = ("transformed_outcome", RESPONSE)


def treatment_of(frame: pl.DataFrame, mail: str, outcome: str) -> Treatment:
    """Return the customers who got a mail, and those who got none."""
    some = frame.filter(pl.col("segment").is_in([mail, "No E-Mail"]))
    numbers = some.select("recency", "history", "mens", "womens", "newbie")
    columns = pl.concat([numbers, some.select("zip_code", "channel").to_dummies()], how="horizontal")
    return Treatment(columns.to_numpy().astype(np.float32), (some["segment"] == mail).to_numpy(), some[outcome].to_numpy().astype(float))


def rows(treatment: Treatment, seeds: int, config: UpliftConfig) -> list[dict]:
    """Return a row for each learner, of means over seeds."""
    found: dict[str, list] = {}
    picks: list[str] = []
    for seed in range(seeds):
        folds = np.random.default_rng(seed).integers(0, FOLDS, len(treatment.treated))
        scores = {name: np.zeros(len(folds)) for name in (*UPLIFT_LEARNERS, RESPONSE, CHOSEN)}
        for fold in range(FOLDS):
            held, learned = folds == fold, treatment.take(folds != fold)
            for learner in (*UPLIFT_LEARNERS, RESPONSE):
                scores[learner][held] = fit_uplift(learner, learned, config, seed).predict(treatment.features[held])
            chosen = fit_chosen(learned, config, seed)
            picks.append(chosen.choice.learner)
            scores[CHOSEN][held] = chosen.model.predict(treatment.features[held])
        for name, value in qini_values(scores, Trial(treatment.treated, treatment.outcomes), Bootstrap(200, seed), folds).items():
            found.setdefault(name, []).append((value.value, value.low, value.high))
    better = max(BASELINES, key=lambda name: np.mean([value for value, _, _ in found[name]]))
    shown = {name: found[name] for name in (*UPLIFT_LEARNERS, RESPONSE, CHOSEN)} | {f"{CHOSEN} - {better}": found[f"{CHOSEN} - {better}"]}
    table = []
    for name, values in shown.items():
        value, low, high = np.round(1000 * np.mean(values, axis=0), 2).tolist()
        table.append({"name": name, "qini_1000": value, "low": low, "high": high})
    return [*table, {"name": "choices", "learners": {one: picks.count(one) for one in sorted(set(picks))}}]


def main() -> None:
    """Print the rows of both mails and both outcomes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hillstrom_email/customers.parquet")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    frame = pl.read_parquet(options.data / "hillstrom_email" / "customers.parquet")
    for mail in ("Womens E-Mail", "Mens E-Mail"):
        for outcome in ("visit", "conversion"):
            for row in rows(treatment_of(frame, mail, outcome), options.seeds, UpliftConfig()):
                print(json.dumps({"mail": mail, "outcome": outcome, **row}), flush=True)


if __name__ == "__main__":
    main()
