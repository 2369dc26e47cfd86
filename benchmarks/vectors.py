"""Bytes a vector and search time of SQ8 against flat float32, on the shop's text vectors.

python -m benchmarks.vectors [--workspace DIR]
"""

from __future__ import annotations

import numpy as np

from benchmarks.index_rule import recall
from benchmarks.paired import alternate, say
from benchmarks.shop import bench
from retrieval.index import ItemIndex
from retrieval.index_config import IndexConfig

K, QUERIES, EVALUATED = 100, 64, 1000


def main() -> None:
    """Print two rows: bytes (lower is better), and the speedup of the search."""
    snapshot = bench().recommender.snapshot
    users = snapshot.space[np.random.default_rng(0).choice(len(snapshot.space), EVALUATED, replace=False)]
    flat, small = (ItemIndex.build(snapshot.space, IndexConfig(kind=kind)) for kind in ("flat", "sq8"))
    sizes = [len(index.to_files()["shard-000/items.faiss"]) for index in (small, flat)]
    kept = recall(small.search(users, K)[0], flat.search(users, K)[0])
    say("bytes_a_vector", [sizes[0] / sizes[1]], 0.25, kept, kept_is="recall@100", better="lower")

    def searches(index: ItemIndex) -> None:
        for query in users[:QUERIES]:
            index.search(query[None], K)

    ours, plain = alternate(lambda: searches(small), lambda: searches(flat))
    say("search_in_small_vectors", plain / ours, 1, kept, kept_is="recall@100", ms=round(float(np.median(ours)) * 1000 / QUERIES, 3))


if __name__ == "__main__":
    main()
