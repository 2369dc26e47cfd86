"""Items that nobody had bought: NDCG@10 of the cold list, how well the expert's probabilities are calibrated, and their ceiling by text.

    python -m benchmarks.cold_items --workspace DIR --shop completejourney|online_retail [--frozen]

The workspace holds the ingested shop and a model that was trained until the cut of `recsys benchmark`; `--frozen` takes the vectors of the
pretrained encoder instead. One JSON line a row. Ratios are to the figure of the former model, which read the order of ids, with a
bootstrap over users, and to the text alone, paired.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluateConfig, EvaluationRunner
from features.data.histories import Histories
from features.data.interactions import DAY
from features.data.split import Split
from features.names import UNSOLD_SCORE
from features.text.embeddings import group
from features.text.encoder import TextEncoder
from features.text.state_cache import cached_states
from features.text.template import item_texts, text_hashes
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.model import Model
from recsys.offline.public_datasets import SHOPS
from recsys.settings.settings import Settings
from recsys.snapshot.cold_start import DAYS
from recsys.snapshot.encode import encode_catalog
from recsys.workspace.workspace import Workspace
from retrieval.collaborative.als import ALS
from retrieval.collaborative.scoring import TopScores
from retrieval.index import ItemIndex
from retrieval.new_items.cold_start import WITHOUT_DATA, ColdStart
from retrieval.new_items.logistic import probabilities

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions
    from retrieval.new_items.cold_start import ColdStartScorer

K, RESAMPLES, USERS, BINS, AT_ONCE = 10, 1000, 1000, 20, 64
# NDCG@10 of the model that read the order of ids: with the towers' vectors, and with frozen ones.
FORMER = {"completejourney": {False: 0.0118}, "online_retail": {False: 0.330, True: 0.2265}}
TARGET = {"completejourney": 1.3, "online_retail": 1.1}
ERROR = 0.005


@dataclass(frozen=True)
class Bench:
    """A shop and the vectors of its texts."""

    catalog: Catalog
    log: Interactions
    vectors: np.ndarray
    text_of: np.ndarray

    @classmethod
    def of(cls, workspace: Workspace, *, frozen: bool) -> Bench:
        """Read a workspace."""
        settings = Settings()
        catalog, log = workspace.load(settings.events)
        if frozen:
            texts = item_texts(catalog)
            first, text_of = group(text_hashes(texts))
            encoder = TextEncoder.pretrained(settings.encoder)
            vectors = encoder.pool(cached_states(encoder, texts.gather(first).to_list(), workspace.cache))
            return cls(catalog, log, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), text_of)
        encoded = encode_catalog(catalog, Model.from_files(Bundle.open(workspace.models).files), workspace.cache)
        first, text_of = group(encoded.vectors.hashes)
        return cls(catalog, log, encoded.vectors.vectors[first], text_of)

    def fitted(self, cut: int) -> ColdStartScorer:
        """Return the expert at a moment."""
        als = ALS.fit(self.log.between(None, cut).capped())
        found = (self.vectors, self.text_of, ItemIndex.build(self.vectors))
        return ColdStart.fit(self.log, self.catalog, cut, found, als, DAYS).scorer(self.catalog, self.text_of, als)

    def lists(self, scorer: ColdStartScorer, truth: GroundTruth) -> np.ndarray:
        """Return NDCG@10 of each user's cold list, nan for who bought nothing cold."""
        runner = EvaluationRunner(truth, EvaluateConfig(), lambda _label, _done, _total: None)
        rows = runner.run(TopScores(scorer, UNSOLD_SCORE).retrieve, "cold", K).rows
        return ndcg(rows, truth.relevant("cold"), K)

    def calibration(self, scorer: ColdStartScorer, split: Split) -> dict[str, float]:
        """Return error, AUC and log loss over pairs of a user and a never-sold item, of a sample of users with all these items."""
        unsold, n = scorer.cold_start.unsold, self.log.n_items
        users = np.unique(split.history.user)
        users = np.sort(np.random.default_rng(0).permutation(users)[:USERS])
        place = np.full(n, -1)
        place[unsold.rows] = unsold.group
        labels = split.labels
        key = np.unique(labels.user.astype(np.int64) * n + labels.item)
        user, text = np.searchsorted(users, key // n), place[key % n]
        mine = (text >= 0) & np.isin(key // n, users)
        bought = np.zeros((len(users), len(unsold.first)))
        np.add.at(bought, (user[mine], text[mine]), 1)
        chances = [
            probabilities(scorer.log_odds(Histories.of_users(split.history, users[start : start + AT_ONCE], split.cut)))
            for start in range(0, len(users), AT_ONCE)
        ]
        weight = np.tile(np.bincount(unsold.group), (len(users), 1))
        return _weighted(np.concatenate(chances).ravel().astype(float), bought.ravel(), weight.ravel().astype(float))


def _weighted(p: np.ndarray, bought: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return the figures of probabilities that stand for `weight` pairs each, of which `bought` were bought."""
    order = np.argsort(p, kind="stable")
    p, bought, weight = p[order], bought[order], weight[order]
    bin_ = np.minimum((np.cumsum(weight) * BINS / weight.sum()).astype(int), BINS - 1)
    off = np.bincount(bin_, p * weight) - np.bincount(bin_, bought)
    share, other = bought.sum() / weight.sum(), weight - bought
    loss = -(bought * np.log(p) + other * np.log1p(-p)).sum() / weight.sum()
    constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    auc = (bought * (np.cumsum(other) - other / 2)).sum() / (bought.sum() * other.sum())
    best = bin_ == BINS - 1
    return {
        "error": float(np.abs(off).sum() / weight.sum()),
        "share_bought": float(share),
        "mean": float(p @ weight / weight.sum()),
        "auc": float(auc),
        "log_loss_over_constant": float(loss / constant),
        "best_twentieth_expected": float((p * weight)[best].sum()),
        "best_twentieth_bought": float(bought[best].sum()),
        "pairs": float(weight.sum()),
    }


def ceiling(truth: GroundTruth, text_of: np.ndarray) -> dict[str, float]:
    """Return NDCG@10 of lists that know what no model does: each text's sales in the window, or what each user buys, by text.

    Items of one text are in random order, as for any model that does not read ids: the expectation is returned.
    """
    cold, unsold = truth.relevant("cold"), ~truth.known
    sharing = np.bincount(text_of[unsold], minlength=int(text_of.max()) + 1)
    discount = 1 / np.log2(np.arange(2, K + 2))
    sales = np.bincount(text_of[cold.item], minlength=len(sharing))
    rate = np.where(sharing > 0, sales / np.maximum(sharing, 1), 0)
    best = np.argsort(-rate[text_of] * unsold, kind="stable")[:K]
    of_all, of_user = [], []
    for user in np.unique(cold.user).tolist():
        items = cold.item[cold.user == user]
        texts, count = np.unique(text_of[items], return_counts=True)
        ideal = float(discount[: len(items)].sum())
        chance = dict(zip(texts.tolist(), (count / sharing[texts]).tolist(), strict=True))
        of_all.append(sum(chance.get(text, 0) * d for text, d in zip(text_of[best].tolist(), discount, strict=True)) / ideal)
        own = np.sort(np.repeat(count / sharing[texts], sharing[texts]))[::-1][:K]
        of_user.append(float(own @ discount[: len(own)]) / ideal)
    return {"one_list_that_knows_sales": float(np.mean(of_all)), "lists_that_know_each_users_texts": float(np.mean(of_user))}


def _row(name: str, ours: np.ndarray, other: np.ndarray | float, target: float) -> dict[str, object]:
    """Compare the means over users, with a bootstrap, paired where the other side has users too."""
    drawn = np.random.default_rng(0).integers(len(ours), size=(RESAMPLES, len(ours)))
    base = other[drawn].mean(axis=1) if isinstance(other, np.ndarray) else other
    low, high = np.quantile(ours[drawn].mean(axis=1) / base, [0.025, 0.975])
    mean = float(np.mean(other))
    ratio = float(ours.mean()) / mean
    figures = {"ratio": round(ratio, 3), "low": round(float(low), 3), "high": round(float(high), 3), "target": target}
    return {"name": name, **figures, "kept": ratio >= target, "ndcg@10": round(float(ours.mean()), 5), "against": round(mean, 5)}


def main() -> None:
    """Print one JSON line a row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--shop", choices=sorted(FORMER), required=True)
    parser.add_argument("--frozen", action="store_true")
    options = parser.parse_args()
    bench = Bench.of(Workspace(options.workspace), frozen=options.frozen)
    test = SHOPS[options.shop].cut_of(bench.log)
    for name, cut, days in (("validation", test - int(DAYS * DAY), DAYS), ("test", test, None)):
        split, of_window = Split.by_time(bench.log, cut, days), Split.by_time(bench.log, cut, DAYS)
        scorer, truth = bench.fitted(cut), GroundTruth.of(split)
        alone = replace(scorer, cold_start=replace(scorer.cold_start, model=WITHOUT_DATA))
        ours, text = bench.lists(scorer, truth), bench.lists(alone, truth)
        some = ~np.isnan(ours)
        title = f"cold items, {options.shop}, {name}"
        print(json.dumps(_row(f"{title}: over the text alone", ours[some], text[some], 1.0)), flush=True)
        former = FORMER[options.shop].get(options.frozen)
        if name == "test" and former is not None:
            row = _row(f"{title}: over the former model with ids", ours[some], former, TARGET[options.shop])
            print(json.dumps(row), flush=True)
        figures = bench.calibration(scorer, of_window)
        rounded = {key: float(f"{value:.4g}") for key, value in figures.items()}
        kept = {"target": ERROR, "kept": figures["error"] <= ERROR}
        print(json.dumps({"name": f"{title}: calibration", **rounded, **kept}), flush=True)
        print(json.dumps({"name": f"{title}: ceiling by text", **ceiling(truth, bench.text_of)}), flush=True)


if __name__ == "__main__":
    main()
