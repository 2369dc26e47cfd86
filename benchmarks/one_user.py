"""Latency of an answer for one user with the cross-encoder, compared with an off-the-shelf pipeline.

    python -m benchmarks.one_user [--workspace DIR]

The pipeline encodes the titles of the user's last ten items, searches a flat FAISS index, and scores 100 candidates of
up to 128 tokens with MiniLM-L6 as a cross-encoder. That cross-encoder is not trained and would lower NDCG. The
pipeline's NDCG is therefore that of its nearest texts, each represented by its best-selling item.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.paired import Rival, say
from benchmarks.shop import bench
from features.data.histories import Histories
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.state_cache import cached_states
from features.text.template import item_texts
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from recsys.snapshot.snapshot import Snapshot

USERS = 25  # for latency; both systems answer each in turn
EVALUATED = 400  # users for NDCG
LAST = 10  # items of a history


def load_catalogue(snapshot: Snapshot, cache: Path, rival: Rival, folder: Path) -> list[str]:
    """Load the catalogue into the pipeline, and return the distinct texts."""
    first = np.unique(snapshot.text_of, return_index=True)[1]
    texts = item_texts(snapshot.catalog).gather(first).to_list()
    encoder = TextEncoder.pretrained(EncoderConfig())
    pooled = encoder.pool(cached_states(encoder, texts, cache))
    vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    np.save(folder / "vectors.npy", vectors)
    rival.ask(do="stock", texts=str(folder / "texts.json"), vectors=str(folder / "vectors.npy"))
    return texts


def best_sellers(snapshot: Snapshot) -> np.ndarray:
    """Return the best-selling item of each distinct text, int64 (t,)."""
    order = np.lexsort((-snapshot.collaborative.popularity.ranking, snapshot.text_of))
    return order[np.searchsorted(snapshot.text_of[order], np.arange(len(snapshot.text_vectors)))]


def main() -> None:
    """Print two rows: the median latency and the 99th percentile."""
    shop = bench()
    recommender, log = shop.with_cross_encoder(), shop.split.history
    truth = shop.truth(EVALUATED)
    histories = Histories.of_users(log, truth.users, shop.split.cut)
    lists = recommender.recommend(histories, 10).rows
    names = [str(log.user_ids[user]) for user in truth.users]
    options = RecommendOptions(k=10)
    with tempfile.TemporaryDirectory() as name, Rival("pipeline.py", "RIVALS") as rival:
        texts = load_catalogue(recommender.snapshot, shop.workspace.cache, rival, Path(name))
        text_of, seller = recommender.snapshot.text_of, best_sellers(recommender.snapshot)
        list(recommender.answer(options, names))  # warms the process up
        ours, theirs, lists_of_pipeline = [], [], []
        for b in range(-1, USERS):  # the first is not counted
            recent = histories.take(np.array([max(b, 0)])).recent_items(len(text_of), LAST).rows[0]
            history = ", ".join(texts[text_of[row]] for row in recent[::-1].tolist() if row >= 0)
            begun = time.perf_counter()
            list(recommender.answer(options, [names[max(b, 0)]]))
            seconds = time.perf_counter() - begun
            answer = rival.ask(do="answer", history=history)
            if b >= 0:
                ours.append(seconds)
                theirs.append(answer["seconds"])
                lists_of_pipeline.append(seller[answer["nearest"]])
    quality_ours = shop.ndcg(lists, truth)
    plain = shop.ndcg(np.pad(np.array(lists_of_pipeline), ((0, len(lists) - USERS), (0, 0)), constant_values=-1), truth)[:USERS]
    drawn = np.random.default_rng(0).integers(0, USERS, (2000, USERS))
    gain = np.quantile((quality_ours[:USERS] - plain)[drawn].mean(axis=1), [0.5, 0.025, 0.975])  # bootstrap over users, both lists together
    quality = {"ndcg@10": quality_ours.mean(), "ndcg@10_pipeline": plain.mean(), "gain_low": gain[1], "gain_high": gain[2]}
    kept = float(quality_ours[:USERS].mean() / max(plain.mean(), 1e-9))
    ratios = np.array(theirs) / np.array(ours)
    figures: dict[str, float] = {"ms": round(float(np.median(ours)) * 1000, 1), "ms_pipeline": round(float(np.median(theirs)) * 1000)}
    say("one_user_p50", ratios, 50, kept, **figures, **{name: round(float(value), 4) for name, value in quality.items()})
    slow = np.quantile(theirs, 0.99) / np.quantile(ours, 0.99)
    say("one_user_p99", [slow], 30, kept, ms=round(float(np.quantile(ours, 0.99)) * 1000, 1))


if __name__ == "__main__":
    main()
