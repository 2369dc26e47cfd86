"""The index: exact where it claims to be, k items whenever k are allowed, reproducible bytes, the same in shards."""

from __future__ import annotations

import json

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BundleError
from retrieval.index import ItemIndex, shard_bounds
from retrieval.index_config import IndexConfig, kind_for, shards_for
from retrieval.index_shard import NARROW, IndexShard

KINDS = ["flat", "sq8", "hnsw", "ivf", "ivf_sq8"]
ROUNDED = ("sq8", "ivf_sq8")  # they round the vectors themselves
N, DIM, K = 800, 16, 10


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    vectors = rng.standard_normal((n, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """800 items, among them 200 that share one vector."""
    vectors = unit(np.random.default_rng(3), N)
    vectors[np.random.default_rng(4).permutation(N)[:200]] = vectors[11]
    return vectors


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return unit(np.random.default_rng(8), 25)


@pytest.fixture(scope="module", params=[*((kind, 1) for kind in KINDS), ("flat", 3), ("hnsw", 2), ("ivf_sq8", 3)], ids=str)
def index(request: pytest.FixtureRequest, vectors: np.ndarray) -> ItemIndex:
    kind, shards = request.param
    return ItemIndex.build(vectors, IndexConfig(kind=kind, shards=shards))


def slow_search(vectors: np.ndarray, query: np.ndarray, k: int, allowed: np.ndarray) -> list[int]:
    """Sort all scores; rounded, so that equal vectors have equal scores in any order of summation."""
    scores = np.where(allowed, np.round(vectors @ query, 6), -np.inf)
    return np.argsort(-scores, kind="stable")[: min(k, int(allowed.sum()))].tolist()


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.01])
def test_k_items_come_back_whenever_k_are_allowed(index, queries, share):
    allowed = np.random.default_rng(1).random(N) < share
    for k in (1, K, 100, N + 5):
        rows, scores = index.search(queries, k, allowed)
        assert rows.shape == scores.shape == (len(queries), k)
        found = rows >= 0
        assert (found.sum(axis=1) == min(k, allowed.sum())).all()
        assert allowed[rows[found]].all()
        assert (scores[~found] == -np.inf).all()
        assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in rows)


def test_a_graph_that_finds_too_few_falls_back_to_exact_search(vectors, queries):
    # So shallow a search finds too few by itself, although the filter allows many.
    index = ItemIndex.build(vectors, IndexConfig(kind="hnsw", hnsw_m=2, hnsw_build=2, hnsw_search=1))
    allowed = np.arange(N) % 4 == 0
    assert allowed.mean() > NARROW
    rows, _ = index.search(queries, 150, allowed)
    assert (rows >= 0).all()


def test_clusters_that_hold_too_few_fall_back_to_exact_search(vectors, queries):
    index = ItemIndex.build(vectors, IndexConfig(kind="ivf", ivf_lists=15, ivf_probes=1))
    assert (index.search(queries, 300)[0] >= 0).all()


def test_a_narrow_filter_is_searched_exactly(index, vectors, queries):
    if index.kind in ROUNDED:
        pytest.skip("8-bit vectors are rounded")
    allowed = np.random.default_rng(2).random(N) < NARROW / 2
    rows, _ = index.search(queries, K, allowed)
    assert rows.tolist() == [slow_search(vectors, query, K, allowed) for query in queries]


def eighths(rng, n):
    return (rng.integers(-8, 9, (n, DIM)) / 8).astype(np.float32)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_flat_equals_a_full_sort(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    n = data.draw(st.integers(1, 30))
    # Eighths, so that sums are exact in any order; many of them equal.
    vectors = eighths(rng, n)[rng.integers(0, n, n)]
    allowed = rng.random(n) < data.draw(st.sampled_from([0.2, 0.7, 1.0]))
    query = eighths(rng, 1)
    k = data.draw(st.integers(1, 35))
    rows, scores = ItemIndex.build(vectors, IndexConfig(kind="flat")).search(query, k, allowed)
    expected = slow_search(vectors, query[0], k, allowed)
    assert rows[0].tolist() == expected + [-1] * (k - len(expected))
    assert np.allclose(scores[0, : len(expected)], (vectors @ query[0])[expected], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_approximate_indexes_have_high_recall(kind, vectors, queries):
    exact, _ = ItemIndex.build(vectors, IndexConfig(kind="flat")).search(queries, K)
    found, _ = ItemIndex.build(vectors, IndexConfig(kind=kind)).search(queries, K)
    assert np.mean([len(set(a) & set(b)) / K for a, b in zip(exact, found, strict=True)]) > 0.9


def test_a_filter_for_each_query(index, queries):
    allowed = np.random.default_rng(6).random((len(queries), N)) < 0.5
    allowed[3] = False
    rows, scores = index.search(queries, K, allowed)
    for place, query in enumerate(queries):
        alone = index.search(query[None], K, allowed[place])
        assert np.array_equal(rows[place], alone[0][0])
        assert np.array_equal(scores[place], alone[1][0])
    assert (rows[3] == -1).all()


def test_a_batch_equals_its_single_queries(index, queries):
    rows, scores = index.search(queries, K)
    alone = [index.search(query[None], K) for query in queries]
    assert np.array_equal(rows, np.concatenate([a[0] for a in alone]))
    assert np.array_equal(scores, np.concatenate([a[1] for a in alone]))


def test_equal_vectors_come_in_order_of_rows(index, vectors):
    same = np.flatnonzero((vectors == vectors[11]).all(axis=1))
    rows, scores = index.search(vectors[11][None], 50)
    assert rows[0].tolist() == same[:50].tolist()
    assert len(set(scores[0])) == 1


def test_equal_vectors_are_stored_once(index, vectors):
    begin = 0
    for shard in index.shards:
        assert shard.index.ntotal == len(np.unique(vectors[begin : begin + len(shard)], axis=0)) < len(shard)
        begin += len(shard)
    assert begin == len(index) == N


def test_files_round_trip(index, vectors, queries):
    files = index.to_files()
    assert files == ItemIndex.build(vectors, index.shards[0].config).to_files()
    again = ItemIndex.from_files(files)
    assert [shard.config for shard in again.shards] == [shard.config for shard in index.shards]
    for one, other in zip(index.search(queries, K), again.search(queries, K), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["index.json", "shard-001/items.faiss", "shard-001/places.safetensors", "shard-001/index.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_broken_files_are_refused(vectors, name, damage):
    files = ItemIndex.build(vectors, IndexConfig(shards=2)).to_files()
    files |= {name: {"cut": files[name][: len(files[name]) // 2], "empty": b"", "gone": b""}[damage]}
    if damage == "gone":
        del files[name]
    with pytest.raises(BundleError, match="build the index again"):
        ItemIndex.from_files(files)


def test_files_of_two_indexes_are_refused(vectors):
    files, other = ItemIndex.build(vectors).to_files(), ItemIndex.build(vectors[:300]).to_files()
    for name in files:
        with pytest.raises(BundleError, match="expected"):
            ItemIndex.from_files(files | {name: other[name]})
    name = "shard-000/index.json"
    about = json.loads(files[name])
    with pytest.raises(BundleError, match="cannot be read"):
        ItemIndex.from_files(files | {name: json.dumps(about | {"config": {"kind": "magic"}}).encode()})


@pytest.mark.parametrize("header", [{"items": N, "shards": 0}, {"items": N}, [], {"items": N, "shards": 2}])
def test_a_wrong_number_of_shards_is_refused(vectors, header):
    files = ItemIndex.build(vectors).to_files()
    with pytest.raises(BundleError, match="build the index again"):
        ItemIndex.from_files(files | {"index.json": json.dumps(header).encode()})


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_flat_shards_equal_one_flat_index(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    n, b = data.draw(st.integers(0, 40)), 3
    vectors = eighths(rng, max(n, 1))[rng.integers(0, max(n, 1), n)]
    share = data.draw(st.sampled_from([0.1, 0.7, 1.0]))
    allowed = data.draw(st.sampled_from([None, rng.random(n) < share, rng.random((b, n)) < share]))
    queries, k = eighths(rng, b), data.draw(st.integers(1, 45))
    one = ItemIndex.build(vectors, IndexConfig(kind="flat", shards=1))
    several = ItemIndex.build(vectors, IndexConfig(kind="flat", shards=data.draw(st.integers(2, 9))))
    assert len(several) == len(one) == n
    for expected, found in zip(one.search(queries, k, allowed), several.search(queries, k, allowed), strict=True):
        assert np.array_equal(expected, found)


def test_a_sample_trains_as_all_vectors_would():
    vectors = unit(np.random.default_rng(5), 2_000)
    shard = IndexShard.build(vectors, IndexConfig(kind="ivf", ivf_lists=12))
    plain = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, 12, faiss.METRIC_INNER_PRODUCT)
    plain.cp.max_points_per_centroid, plain.cp.niter = 64, 10
    plain.train(vectors)
    plain.add(vectors)
    assert shard.to_files()["items.faiss"] == faiss.serialize_index(plain).tobytes()


def test_vectors_in_a_file_give_the_same_index(vectors, tmp_path):
    np.save(tmp_path / "vectors.npy", vectors)
    config = IndexConfig(kind="ivf_sq8", shards=2)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert ItemIndex.build(mapped, config).to_files() == ItemIndex.build(vectors, config).to_files()


@pytest.mark.parametrize("kind", [*KINDS, "auto"])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_catalogues(kind, n):
    vectors = unit(np.random.default_rng(0), n)
    index = ItemIndex.from_files(ItemIndex.build(vectors, IndexConfig(kind=kind)).to_files())
    rows, _ = index.search(unit(np.random.default_rng(1), 2), 3)
    assert rows.shape == (2, 3)
    assert ((rows >= 0).sum(axis=1) == n).all()


def test_the_kind_depends_on_the_size():
    assert kind_for(1) == kind_for(200_000) == "flat"
    assert kind_for(200_001) == kind_for(1_000_000) == "ivf"
    assert kind_for(1_000_001) == "ivf_sq8"
    assert ItemIndex.build(unit(np.random.default_rng(0), 5)).kind == "flat"


def test_a_query_of_zeros_gets_the_first_items(index):
    allowed = np.arange(N) % 3 == 1
    rows, scores = index.search(np.zeros((1, DIM), dtype=np.float32), 5, allowed)
    assert (rows[0].tolist(), scores[0].tolist()) == ([1, 4, 7, 10, 13], [0] * 5)
    assert index.search(np.zeros((1, DIM), dtype=np.float32), 5)[0][0].tolist() == [0, 1, 2, 3, 4]


def test_the_number_of_shards_depends_on_the_size():
    assert shards_for(0, 128) == shards_for(1, 128) == shards_for(2_500_000, 128) == 1
    assert shards_for(2_500_001, 128) == shards_for(5_000_000, 128) == 2
    assert shards_for(10_000_000, 128) == 4
    assert shards_for(10_000_000, 384) == 12
    assert shard_bounds(10, 3) == [0, 3, 6, 10]
    assert shard_bounds(2, 5) == [0, 1, 2]
    assert shard_bounds(0, 5) == [0, 0]
