"""What pre-training of the text encoder on a shop earns: NDCG@10 of the towers with it over without it, on the same users.

    python -m benchmarks.pretraining --shop NAME --workspace DIR [--steps N] [--epochs N] [--seeds N] [--keep]

DIR holds the shop, ingested. The towers are trained until the shop's usual cut and judged on the window after that of their early
stopping, which nothing here has seen, over distinct texts: of those sold before it (`sold`) and, among the others alone, of those never
sold (`unsold`). Rows `untrained_` are of vectors alone: a customer is the mean, or in a sequence the last, of what was bought. `kept` is
the share of the seeds in which the rule of the training keeps the pre-training; --keep keeps it in any case, which shows what the rule
is worth. The users' values are means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.shop_profile import ShopProfile
from features.data.split import Split
from recsys.offline.public_datasets import SHOPS
from recsys.settings.settings import Settings
from recsys.training import pretraining
from recsys.training.find_or_train import TrainingPlan
from recsys.training.options import TrainOptions
from recsys.training.towers import TextModels, fit_text_models
from recsys.workspace.workspace import Workspace
from retrieval.topk import top_k
from retrieval.two_tower.model import TwoTower

if TYPE_CHECKING:
    from recsys.training.job import TrainingJob

USERS = 2_000
LISTS = ("sold", "unsold")


@dataclass(frozen=True)
class Arguments:
    """Options of the program."""

    shop: str
    workspace: Path
    steps: int
    epochs: int
    seeds: int
    keep: bool

    @classmethod
    def read(cls) -> Arguments:
        """Read the command line."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--shop", required=True, choices=SHOPS)
        parser.add_argument("--workspace", type=Path, required=True)
        for name, default in (("steps", 200), ("epochs", 3), ("seeds", 1)):
            parser.add_argument(f"--{name}", type=int, default=default)
        parser.add_argument("--keep", action="store_true")
        return cls(**vars(parser.parse_args()))


def job_of(given: Arguments, seed: int, steps: int) -> TrainingJob:
    """Return the training until the shop's cut, of towers alone over an encoder whose weights they leave as they are."""
    settings = Settings.model_validate(
        {"pretrain": {"steps": steps}, "train": {"epochs": max(given.epochs, 1), "patience": max(given.epochs, 1), "tuning": "frozen"}}
    )
    catalog, log = Workspace(given.workspace).load(settings.events)
    cut = SHOPS[given.shop].cut_of(log)
    history = Split.by_time(log, cut).history
    return TrainingPlan.of(settings, TrainOptions(seed=seed), (catalog, history), cut).job


def judged(job: TrainingJob, models: TextModels) -> dict[str, np.ndarray]:
    """Return NDCG@10 of each user in the window after that of early stopping, by name of the list, float64 (b,)."""
    log = pretraining.over_texts(job.log, models.text_of, len(models.vectors))
    split = job.windows.early.split(log)
    truth = GroundTruth.of(split, USERS)
    again = ShopProfile.of(split.history).buys_again
    histories = split.histories(truth.users)
    untrained = TwoTower(models.encoder.width, job.settings.tower)
    pooled = models.encoder.pool(models.states)
    untrained.start_from(pooled)
    found = {}
    for name, tower, vectors in (
        ("untrained", untrained.eval(), untrained.item_vectors(pooled)),
        ("towers", models.tower, models.vectors),
    ):
        scores = tower.user_vectors(histories, vectors) @ vectors.T
        for which in LISTS:
            relevant = truth.relevant("cold" if which == "unsold" else "all" if again else "new")
            allowed = ~truth.known if which == "unsold" else truth.allowed("all" if again else "new", np.arange(len(truth.users)))
            found[f"{name}_{which}"] = ndcg(top_k(np.where(allowed, scores, -np.inf), 10)[0], relevant, 10)
    return found


def trained(given: Arguments, seed: int, steps: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Train and judge one seed."""
    job = job_of(given, seed, steps)
    with tempfile.TemporaryDirectory() as work:
        begun = time.process_time()
        models = fit_text_models(job, torch.device("cpu"), Path(work), given.workspace / "cache")
        report = models.report["pretraining"] | {"cpu_seconds": time.process_time() - begun}
    return judged(job, models), report


def main() -> None:
    """Print a row for each list, of untrained and of trained towers."""
    given = Arguments.read()
    if given.keep:
        pretraining.earns = lambda *_: True
    runs = [[trained(given, seed, steps) for steps in (given.steps, 0)] for seed in range(given.seeds)]
    kept = float(np.mean([report["kept"] for (_, report), _ in runs]))
    seconds = [float(np.mean([run[side][1]["cpu_seconds"] for run in runs])) for side in (0, 1)]
    for name in runs[0][0][0]:
        ours, plain = (np.mean([run[side][0][name] for run in runs], axis=0) for side in (0, 1))
        ratio = Bootstrap().paired_ratio(ours, plain)
        row = {"name": f"{given.shop}_{name}", "ratio": ratio.value, "low": ratio.low, "high": ratio.high, "target": 1.0, "kept": kept}
        row |= {"ndcg": float(np.nanmean(ours)), "ndcg_without": float(np.nanmean(plain))}
        row |= {"users": ratio.users, "seeds": given.seeds, "steps": given.steps, "epochs": given.epochs}
        row |= {"cpu_seconds": seconds[0], "cpu_seconds_without": seconds[1]}
        print(json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}), flush=True)
    print(json.dumps({"pretraining": [ours for (_, ours), _ in runs]}), flush=True)


if __name__ == "__main__":
    main()
