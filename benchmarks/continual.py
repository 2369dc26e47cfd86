"""Monthly training that goes on from the last model, against training from nothing, after some months.

    python -m benchmarks.continual SHOP --workspace DIR [--data DIR] [--months 6] [--judged 3 6] [--users N]

The last training ends 28 days before the log, and the first one `--months` earlier. After each month of `--judged`, the
model that went on month by month is compared with one from nothing.
Search is hardly fitted in either, because lists do not depend on it: without that, the ratio of the times is higher.
What was trained is kept in the workspace, and a second run takes it from there.

- continual_quality: NDCG@10 of the lists on the 28 days after, over that of the training from nothing; paired bootstrap over users.
- continual_forgetting: the same of the towers alone, on the validation window of the first model.
- continual_time: processor seconds of the monthly steps, over those of the training from nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from features.data.interactions import DAY
from features.data.shop_profile import ShopProfile
from features.data.split import Split
from recsys.offline.public_datasets import PACKAGED, ingest_once, source_of
from recsys.recommend.pipeline import Recommender
from recsys.settings.settings import Settings, load_settings
from recsys.snapshot.aggregates import LogAggregates
from recsys.snapshot.encode import encode_catalog
from recsys.snapshot.snapshot import indexed
from recsys.training.find_or_train import find_or_train
from recsys.training.options import TrainOptions
from recsys.training.windows import Windows
from recsys.workspace.workspace import Workspace
from retrieval.topk import top_k

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from recsys.artifacts.model import Model

MONTH = 28 * DAY
USERS, RESAMPLES = 4_000, 2_000
LISTS_ONLY = {"search": {"tower": {"steps": 0}, "pairs": {"queries": 8, "epochs": 1}}, "bundles": {"keep": 50}}


@dataclass(frozen=True)
class Trial:
    """One shop, trained in both ways."""

    place: Workspace
    settings: Settings
    catalog: Catalog
    log: Interactions
    months: int

    def cut(self, month: int) -> int:
        """Return when the training of a month ends, seconds since the epoch."""
        return self.log.end - (1 + self.months - month) * MONTH

    def trained(self, name: str, month: int, *, warm_start: bool) -> tuple[Model, float]:
        """Return the model of a month, and the processor seconds that its training took."""
        store, path = self.place.root / name, self.place.root / f"{name}-{month}.json"
        history = Split.by_time(self.log, self.cut(month)).history
        begun = time.process_time()
        options = TrainOptions(warm_start=warm_start)
        model, message = find_or_train(self.place, store, self.settings, options, (self.catalog, history), self.cut(month))
        if "already there" not in message:
            seconds = time.process_time() - begun
            path.write_text(json.dumps({"seconds": seconds, "towers": model.about["towers"], "continued": model.about.get("continued")}))
        return model, json.loads(path.read_text())["seconds"]

    def test(self, month: int) -> Split:
        """Return the 28 days after the trainings of a month."""
        return Split.by_time(self.log.between(None, self.cut(month) + MONTH), self.cut(month))

    @cached_property
    def kind(self) -> str:
        """Which items are ranked, as in `recsys evaluate`."""
        return "all" if ShopProfile.of(self.test(0).history).buys_again else "unseen"

    def recommender(self, model: Model, month: int) -> Recommender:
        """Return the recommender at the begin of a month's test."""
        encoded, split = encode_catalog(self.catalog, model, self.place.cache), self.test(month)
        aggregates = LogAggregates.of(self.catalog, split.history, split.cut, model.retrieval)
        return Recommender(model, indexed(self.catalog, aggregates, split.cut, model, encoded, self.settings.indexing))

    def lists(self, recommender: Recommender, month: int) -> np.ndarray:
        """Return NDCG@10 of each user of a month's test."""
        split = self.test(month)
        truth = GroundTruth.of(split, USERS, 0)
        allowed = truth.allowed(self.kind, np.arange(len(truth.users)))
        found = recommender.recommend(split.histories(truth.users), 10, allowed)
        return ndcg(found.rows, truth.relevant(self.kind), 10)

    def old_window(self, recommender: Recommender) -> np.ndarray:
        """Return NDCG@10 over texts of each user of the first model's validation window, by the towers alone."""
        history = Split.by_time(self.log, self.cut(0)).history
        text_of, vectors = recommender.snapshot.text_of, recommender.snapshot.space
        log = replace(history, item=text_of[history.item].astype(np.int32), n_items=len(vectors))
        split = Windows.plan(history.with_known_users().capped(), self.cut(0)).validation.split(log)
        truth = GroundTruth.of(split, USERS, 0)
        scores = recommender.model.tower.user_vectors(split.histories(truth.users), vectors) @ vectors.T
        allowed = truth.allowed(self.kind, np.arange(len(truth.users)))
        rows, _ = top_k(np.where(allowed, scores, -np.inf), 10)
        return ndcg(rows, truth.relevant(self.kind), 10)


def opened(name: str, options: argparse.Namespace) -> Trial:
    """Ingest a shop, and take some of its users at random."""
    place, settings = Workspace(options.workspace / f"continual-{name}"), load_settings()
    settings = Settings.model_validate(settings.model_dump(exclude_unset=True) | LISTS_ONLY)
    ingest_once(source_of(name, None if name == PACKAGED else options.data), place)
    catalog, log = place.load(settings.events)
    if options.users and options.users < log.n_users:
        log = log.without_users(np.random.default_rng(0).permutation(log.n_users)[options.users :])
    return Trial(place, settings, catalog, log, options.months)


def row(name: str, one: np.ndarray, other: np.ndarray, target: float, **more: Any) -> None:
    """Print the ratio of two means over the same users, with its paired bootstrap interval."""
    known = ~(np.isnan(one) | np.isnan(other))
    one, other = one[known], other[known]
    rng = np.random.default_rng(0)
    draws = (rng.integers(len(one), size=len(one)) for _ in range(RESAMPLES))
    ratios = [one[draw].mean() / other[draw].mean() for draw in draws]
    ratio, (low, high) = one.mean() / other.mean(), np.quantile(ratios, (0.025, 0.975))
    figures = {"ratio": ratio, "low": low, "high": high, "target": target, "kept": ratio}
    means = {"continued": round(float(one.mean()), 4), "from_nothing": round(float(other.mean()), 4), "users": len(one)}
    print(json.dumps({"name": name} | {key: round(float(value), 4) for key, value in figures.items()} | means | more), flush=True)


def main() -> None:
    """Print three rows for each month that is judged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shop")
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--judged", type=int, nargs="*")
    parser.add_argument("--users", type=int)
    options = parser.parse_args()
    trial, spent = opened(options.shop, options), []
    first, _ = trial.trained("continued", 0, warm_start=False)
    before = round(float(np.nanmean(trial.old_window(trial.recommender(first, 0)))), 4)
    for month in range(1, options.months + 1):
        model, used = trial.trained("continued", month, warm_start=True)
        spent.append(used)
        if month in (options.judged or [options.months]):
            judge(trial, model, month, before, spent)


def judge(trial: Trial, model: Model, month: int, before: float, spent: list[float]) -> None:
    """Print the rows of a month; `before` is what the first model reached on its own window, `spent` the seconds of each step."""
    fresh, seconds = trial.trained("fresh", month, warm_start=False)
    one, other = (trial.recommender(each, month) for each in (model, fresh))
    about = {"shop": trial.place.root.name, "months": month}
    row("continual_quality", trial.lists(one, month), trial.lists(other, month), 0.99, **about)
    row("continual_forgetting", trial.old_window(one), trial.old_window(other), 0.99, first_model=before, **about)
    share = np.array(spent) / seconds
    times = {"ratio": share.mean(), "low": share.min(), "high": share.max(), "target": 0.3}
    rounded = {name: round(float(value), 4) for name, value in times.items()}
    print(json.dumps({"name": "continual_time"} | rounded | {"kept": None, "from_nothing_seconds": round(seconds)} | about), flush=True)


if __name__ == "__main__":
    main()
