"""An answer for one user, in process, cross-encoder on, beside the obvious pipeline: `python -m benchmarks.one_user [--workspace DIR]`.

The pipeline encodes the titles of the user's last ten things, searches FAISS flat, and lets MiniLM-L6 read 100 candidates of up to 128
tokens. Its NDCG is that of its nearest texts, the best-selling item of each: its cross-encoder is not trained, and would only lower it.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.paired import Rival, say
from benchmarks.shop import Bench, bench
from features.data.histories import Histories
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.state_cache import cached_states
from features.text.template import item_texts
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from recsys.snapshot.snapshot import Snapshot

USERS = 25  # each is asked of both, in turn
JUDGED = 400  # for NDCG
LAST = 10  # things of a history


def stocked(shop: Bench, rival: Rival, folder: Path) -> list[str]:
    """Give the pipeline the catalogue; returns the distinct texts."""
    snapshot = shop.recommender.snapshot
    first = np.unique(snapshot.text_of, return_index=True)[1]
    texts = item_texts(snapshot.catalog).gather(first).to_list()
    encoder = TextEncoder.pretrained(EncoderConfig())
    pooled = encoder.pool(cached_states(encoder, texts, shop.workspace.cache))
    vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    np.save(folder / "vectors.npy", vectors)
    rival.ask(do="stock", texts=str(folder / "texts.json"), vectors=str(folder / "vectors.npy"))
    return texts


def best_sellers(snapshot: Snapshot) -> np.ndarray:
    """Of each distinct text the item that sells best, int64 (t,)."""
    order = np.lexsort((-snapshot.collaborative.popularity.ranking, snapshot.text_of))
    return order[np.searchsorted(snapshot.text_of[order], np.arange(len(snapshot.text_vectors)))]


def main() -> None:
    """Two rows: the middle of the answers, and the slowest of a hundred."""
    shop = bench()
    reading, log = shop.reading(), shop.split.history
    truth = shop.truth(JUDGED)
    histories = Histories.of_users(log, truth.users, shop.split.cut)
    lists = reading.recommend(histories, 10).rows
    names = [str(log.user_ids[user]) for user in truth.users]
    options = RecommendOptions(k=10)
    with tempfile.TemporaryDirectory() as name, Rival("pipeline.py", "RIVALS") as rival:
        texts = stocked(shop, rival, Path(name))
        text_of, seller = reading.snapshot.text_of, best_sellers(reading.snapshot)
        list(reading.answer(options, names))  # a process that has answered for a while
        ours, theirs, found = [], [], []
        for b in range(-1, USERS):  # the first is for warming up
            recent = histories.take(np.array([max(b, 0)])).recent_items(len(text_of), LAST).rows[0]
            history = ", ".join(texts[text_of[row]] for row in recent[::-1].tolist() if row >= 0)
            begun = time.perf_counter()
            list(reading.answer(options, [names[max(b, 0)]]))
            seconds = time.perf_counter() - begun
            said = rival.ask(do="answer", history=history)
            if b >= 0:
                ours.append(seconds)
                theirs.append(said["seconds"])
                found.append(seller[said["nearest"]])
    mine = shop.ndcg(lists, truth)
    plain = shop.ndcg(np.pad(np.array(found), ((0, len(lists) - USERS), (0, 0)), constant_values=-1), truth)[:USERS]
    drawn = np.random.default_rng(0).integers(0, USERS, (2000, USERS))
    gain = np.quantile((mine[:USERS] - plain)[drawn].mean(axis=1), [0.5, 0.025, 0.975])  # bootstrap over users, both lists together
    quality = {"ndcg@10": mine.mean(), "ndcg@10_pipeline": plain.mean(), "gain_low": gain[1], "gain_high": gain[2]}
    kept = float(mine[:USERS].mean() / max(plain.mean(), 1e-9))
    ratios = np.array(theirs) / np.array(ours)
    figures: dict[str, float] = {"ms": round(float(np.median(ours)) * 1000, 1), "ms_pipeline": round(float(np.median(theirs)) * 1000)}
    say("one_user_p50", ratios, 50, kept, **figures, **{name: round(float(value), 4) for name, value in quality.items()})
    slow = np.quantile(theirs, 0.99) / np.quantile(ours, 0.99)
    say("one_user_p99", [slow], 30, kept, ms=round(float(np.quantile(ours, 0.99)) * 1000, 1))


if __name__ == "__main__":
    main()
