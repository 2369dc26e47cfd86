"""Encoding a catalogue, compared with SentenceTransformer.encode: `python -m benchmarks.encode [--workspace DIR]`.

The sample holds whole groups of items that share a text, so that texts repeat as often as in the catalogue. One row
gives the cost of a distinct text, another that of the catalogue.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.paired import Rival, say
from benchmarks.shop import bench
from features.text.encoder import TextEncoder
from features.text.encoder_config import EncoderConfig
from features.text.template import item_texts

TEXTS, ROUNDS = 150, 15


def overlap(one: np.ndarray, other: np.ndarray, k: int = 10) -> float:
    """Return the mean share of each vector's k nearest neighbours that both spaces have in common."""
    near = []
    for vectors in (one, other):
        cosine = vectors @ vectors.T
        np.fill_diagonal(cosine, -np.inf)
        near.append(np.argsort(-cosine, axis=1)[:, :k])
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(near[0].tolist(), near[1].tolist(), strict=True)]))


def main() -> None:
    """Print two rows."""
    torch.set_num_threads(2)
    shop, encoder = bench(), TextEncoder.pretrained(EncoderConfig())
    snapshot, rng = shop.recommender.snapshot, np.random.default_rng(0)
    every = np.array(item_texts(snapshot.catalog).to_list(), dtype=object)
    repeats = len(every) / len(snapshot.text_vectors)
    single, whole, kept = [], [], []
    with tempfile.TemporaryDirectory() as name, Rival("pipeline.py", "RIVALS") as rival:
        out = str(Path(name) / "vectors.npy")
        for turn in range(-1, ROUNDS):
            chosen = rng.choice(len(snapshot.text_vectors), TEXTS, replace=False)
            rows = np.flatnonzero(np.isin(snapshot.text_of, chosen))
            texts = list(dict.fromkeys(every[rows].tolist()))
            begun = time.perf_counter()
            pooled = encoder.pool(encoder.token_states(texts))
            vectors = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
            seconds = time.perf_counter() - begun
            theirs = rival.ask(do="encode", texts=texts, out=out)["seconds"]
            if turn >= 0:
                single.append(theirs / seconds)
                kept.append(overlap(vectors, np.load(out)))
                whole.append(rival.ask(do="encode", texts=every[rows].tolist(), out=out)["seconds"] / seconds)
    say("encode_a_distinct_text", single, None, float(np.mean(kept)), kept_is="neighbour overlap@10")
    say("encode_the_catalogue", whole, 4, float(np.mean(kept)), kept_is="neighbour overlap@10", items_a_text=round(repeats, 2))


if __name__ == "__main__":
    main()
