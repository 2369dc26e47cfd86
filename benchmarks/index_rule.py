"""Recall, time and bytes of each kind of FAISS index by size; `kind_for` in retrieval/index.py follows from it.

    python -m benchmarks.index_rule [SIZE ...]        prints one JSON line a kind and size; default sizes 1000 10000
    100000

Vectors lie in a tree of departments, product types and items, and queries lie near items, as text vectors do. On plain
noise, every approximate index has low recall.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from retrieval.index import ItemIndex
from retrieval.index_config import IndexConfig, Kind

DIM = 128
QUERIES = 100
K = 100
ALLOWED_SHARE = 0.3
KINDS: tuple[Kind, ...] = ("flat", "sq8", "hnsw", "ivf", "ivf_sq8")


def unit_vectors(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return items (n, DIM) and queries (QUERIES, DIM) near them.

    The items form a tree of about n^(1/3) departments and n^(2/3) product types.
    """
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((n, DIM), dtype=np.float32)
    for groups in (round(n ** (1 / 3)), round(n ** (2 / 3))):
        items += rng.standard_normal((groups, DIM), dtype=np.float32)[np.arange(n) * groups // n]
    queries = items[rng.integers(0, n, QUERIES)] + rng.standard_normal((QUERIES, DIM), dtype=np.float32)
    return items / np.linalg.norm(items, axis=1, keepdims=True), queries / np.linalg.norm(queries, axis=1, keepdims=True)


def recall(rows: np.ndarray, exact: np.ndarray) -> float:
    """Return the mean share of the exact rows (b, k) among the retrieved rows (b, k)."""
    return float(np.mean([np.isin(t[t >= 0], f).mean() for f, t in zip(rows, exact, strict=True)]))


def main(sizes: list[int]) -> None:
    """Print a row for every kind and size."""
    for n in sizes:
        items, queries = unit_vectors(n, seed=n)
        allowed = np.random.default_rng(1).random(n) < ALLOWED_SHARE
        exact: dict[str, np.ndarray] = {}
        for kind in KINDS:
            start = time.perf_counter()
            index = ItemIndex.build(items, IndexConfig(kind=kind))
            row: dict[str, object] = {"name": f"index_{kind}", "items": n, "build_s": round(time.perf_counter() - start, 2)}
            for name, mask in {"all": None, "allowed": allowed}.items():
                index.search(queries[:1], K, mask)
                start = time.perf_counter()
                found = np.concatenate([index.search(query[None], K, mask)[0] for query in queries])
                row[f"ms_{name}"] = round((time.perf_counter() - start) * 1000 / QUERIES, 3)
                row[f"recall_{name}"] = round(recall(found, exact.setdefault(name, found)), 4)  # flat is first, and exact
            print(json.dumps(row | {"bytes": len(index.to_files()["shard-000/items.faiss"])}), flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1_000, 10_000, 100_000])
