"""One shard of an index: a FAISS index over the vectors of some items; the filter of a request is applied inside the search.

Items with the same vector (the same text) share one vector in FAISS, called a place here, and are separated after the
search. The many sizes of one product then cost nothing, and graph indexes do not fill up with duplicates.
"""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from features.errors import BundleError
from features.storage.arrays import arrays_of, content_of
from features.storage.distinct_rows import distinct_rows
from retrieval.index_config import IndexConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# FAISS adds keyword arguments to these classes at run time, where no type checker sees them.
_swig: Any = faiss

# Below this share of allowed items, exact search over them is faster than a graph or lists full of filtered items.
NARROW = 0.1
ADDED = 1 << 16  # vectors that are added together
# FAISS clusters a sample of so many vectors a list; more bring nothing.
TRAINING_VECTORS_A_LIST = 64


@dataclass(frozen=True)
class IndexShard:
    """Nearest items of a shard by inner product of unit vectors. Rows are those of the shard.

    Attributes
    ----------
    index : faiss.Index
        Over the m distinct vectors.
    place : int32 (n,)
        The distinct vector of each item.
    config : IndexConfig
        Its kind is never "auto".
    content : uint8 array, optional
        The bytes that the index was read from; FAISS reads its vectors from them without a copy.
    """

    index: Any
    place: np.ndarray
    config: IndexConfig
    content: np.ndarray | None = None

    @classmethod
    def build(cls, vectors: np.ndarray, config: IndexConfig | None = None) -> IndexShard:
        """Build the index of unit vectors; the same input gives the same bytes.

        Parameters
        ----------
        vectors : float32 (n, dim)
            One row an item. They may lie in a memory-mapped file: no float32 copy of all of them is made, unless the kind
            is "hnsw" or "sq8".
        """
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        first, place = distinct_rows(rows)
        config = (config or IndexConfig()).for_size(len(first))
        index = _empty(config, len(first), rows.shape[1])
        # With several threads the links of a graph depend on which thread comes first, and with several batches on their bounds.
        graph = config.kind == "hnsw"
        with threadpool_limits(1 if graph else None, "openmp"):
            if not index.is_trained:
                index.train(rows[first[_sample(index, len(first))]])
            step = max(1, len(first)) if graph else ADDED
            for begin in range(0, len(first), step):
                index.add(rows[first[begin : begin + step]])
        return cls(index, place, config)

    @property
    def dim(self) -> int:
        return self.index.d

    def __len__(self) -> int:
        return len(self.place)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best allowed items for each query, as `retrieval.index.ItemIndex.search`; rows are those of the shard."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if allowed is None or allowed.ndim == 1:
            parts: Iterator[tuple[slice, np.ndarray | None]] = iter([(slice(None), allowed)])
        else:
            parts = ((slice(i, i + 1), mask) for i, mask in enumerate(allowed))
        for part, mask in parts:
            with _one_thread():
                found = self._places(queries[part], k, mask)
            for i, (nearest, similarity) in enumerate(found, start=part.start or 0):
                items, values = self._items(nearest, similarity, mask) if queries[i].any() else self._first(k, mask)
                rows[i, : min(k, len(items))], scores[i, : min(k, len(items))] = items[:k], values[:k]
        return rows, scores

    def to_files(self) -> dict[str, bytes]:
        """Return the serialised FAISS index, the items' places and the configuration."""
        header = {"items": len(self), "dim": self.dim, "config": self.config.model_dump()}
        content = io.BytesIO()  # faiss.serialize_index would hold the bytes three times
        faiss.write_index(self.index, _swig.PyCallbackIOWriter(content.write))
        places = save({"place": self.place})
        return {"items.faiss": content.getvalue(), "places.safetensors": places, "index.json": json.dumps(header).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> IndexShard:
        """Read the files of `to_files`. FAISS trusts any bytes: check the files' digests first.

        Raises
        ------
        BundleError
            If the files are not an index, or do not belong together.
        """
        try:
            header, place = json.loads(files["index.json"]), arrays_of(files, "places.safetensors")["place"]
            content = content_of(files, "items.faiss")
            index = faiss.read_index(_swig.ZeroCopyIOReader(faiss.swig_ptr(content), content.nbytes))
            config = IndexConfig.model_validate(header["config"])
            expected = (header["items"], header["dim"], int(place.max(initial=-1)) + 1)
        except (KeyError, ValueError, RuntimeError, SafetensorError) as error:
            raise BundleError(f"the index cannot be read ({str(error)[:80]!r}): build the index again, or roll back") from error
        found = (len(place), index.d, index.ntotal)
        if found != expected:
            raise BundleError(f"the index holds (items, dim, vectors) {found}, expected {expected}: build the index again, or roll back")
        return cls(index, place, config, content)

    @cached_property
    def _members(self) -> tuple[np.ndarray, np.ndarray]:
        """Items sorted by place, int64 (n,), and the offset of each place's items, int64 (m + 1,)."""
        sizes = np.bincount(self.place, minlength=self.index.ntotal)
        return np.argsort(self.place, kind="stable"), np.concatenate([[0], np.cumsum(sizes)])

    @property
    def _all_differ(self) -> bool:
        """Whether no two items share a vector; then an item's place is its row."""
        return self.index.ntotal == len(self.place)

    @cached_property
    def _every_place(self) -> Any:
        return _selector(np.ones(self.index.ntotal, dtype=bool))

    def _places(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the nearest allowed places of each query, at least k and all that score as the k-th, and their scores.

        Places are padded with -1. A query of zeros gets none.
        """
        total, mask = self.index.ntotal, allowed
        if allowed is not None and not self._all_differ:
            mask = np.zeros(total, dtype=bool)
            mask[self.place[allowed]] = True
        reachable = total if mask is None else int(np.count_nonzero(mask))
        found = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))] * len(queries)
        if not reachable or not k:
            return found
        # Always pass a selector: without one FAISS sums large batches in another order than single queries.
        selector = self._every_place if mask is None else _selector(mask)
        open_queries, take = np.flatnonzero(queries.any(axis=1)), min(k + 1, total)
        while len(open_queries):
            scores, places = self._nearest(queries[open_queries], take, reachable, selector)
            for query, nearest, similarity in zip(open_queries, places, scores, strict=True):
                found[query] = nearest, similarity
            # FAISS keeps any of the places that score alike.
            tied = (places[:, -1] >= 0) & (scores[:, -1] == scores[:, min(k, take) - 1])
            open_queries = open_queries[tied & (take < total)]
            take = min(4 * take, total)
        return found

    def _nearest(self, queries: np.ndarray, take: int, reachable: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and places (b, take) of the nearest of the `reachable` places that a selector lets through."""
        share = reachable / self.index.ntotal
        if share < NARROW or self.config.kind in ("flat", "sq8"):
            return self._exact(queries, take, selector)
        scores, places = self.index.search(queries, take, params=self._approximate(take, share, selector))
        short = (places >= 0).sum(axis=1) < min(take, reachable)
        if short.any():
            scores[short], places[short] = self._exact(queries[short], take, selector)
        return scores, places

    def _approximate(self, k: int, share: float, selector: Any) -> Any:
        # Filtered items take up room in the queue and the lists: the fewer are allowed, the wider the search must be.
        if self.config.kind == "hnsw":
            return _swig.SearchParametersHNSW(sel=selector, efSearch=int(max(self.config.hnsw_search, k) / share))
        return _swig.SearchParametersIVF(sel=selector, nprobe=min(self.index.nlist, int(self.config.ivf_probes / share)))

    def _exact(self, queries: np.ndarray, k: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest places by a search over every allowed one."""
        if self.config.kind in ("ivf", "ivf_sq8"):
            return self.index.search(queries, k, params=_swig.SearchParametersIVF(sel=selector, nprobe=self.index.nlist))
        index = faiss.downcast_index(self.index.storage) if self.config.kind == "hnsw" else self.index
        return index.search(queries, k, params=_swig.SearchParameters(sel=selector))

    def _first(self, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the first k allowed items and scores of 0: to a query of zeros all are alike."""
        items = np.arange(min(k, len(self))) if allowed is None else np.flatnonzero(allowed)[:k]
        return items, np.zeros(len(items), dtype=np.float32)

    def _items(self, places: np.ndarray, scores: np.ndarray, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the allowed items of one query's places, best first, equal scores by row."""
        valid = places >= 0
        places, scores = places[valid], scores[valid]
        if self._all_differ:
            order = np.lexsort((places, -scores))
            return places[order], scores[order]
        items, begins = self._members
        counts = begins[places + 1] - begins[places]
        offsets = np.cumsum(counts) - counts
        rows = items[np.arange(counts.sum()) + np.repeat(begins[places] - offsets, counts)]
        values = np.repeat(scores, counts)
        if allowed is not None:
            rows, values = rows[allowed[rows]], values[allowed[rows]]
        order = np.lexsort((rows, -values))
        return rows[order], values[order]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit FAISS to the calling thread.

    Waking other threads takes longer than one query, and callers spread batches over threads themselves.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _selector(mask: np.ndarray) -> Any:
    return _swig.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _sample(index: Any, n: int) -> np.ndarray:
    """Return which of n vectors FAISS would cluster by itself, of which it then needs no others; all for an index without lists."""
    size = getattr(index, "nlist", n) * TRAINING_VECTORS_A_LIST
    if n <= size:
        return np.arange(n)
    order = np.empty(n, dtype=np.int32)
    _swig.rand_perm(faiss.swig_ptr(order), n, index.cp.seed)
    return order[:size]


def _empty(config: IndexConfig, n: int, dim: int) -> Any:
    metric = faiss.METRIC_INNER_PRODUCT
    if config.kind == "flat":
        return faiss.IndexFlatIP(dim)
    if config.kind == "sq8":
        return faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_8bit_uniform, metric)
    if config.kind == "hnsw":
        index = faiss.IndexHNSWFlat(dim, config.hnsw_m, metric)
        index.hnsw.efConstruction = config.hnsw_build
        return index
    # FAISS expects 39 training vectors a cluster, and warns on stderr below that.
    lists = max(1, min(config.ivf_lists or int(4 * n**0.5), n // 39))
    quantizer = faiss.IndexFlatIP(dim)
    if config.kind == "ivf":
        index = faiss.IndexIVFFlat(quantizer, dim, lists, metric)
    else:
        # Without residuals a score does not depend on the cluster, whose own score differs in its last bits by batch.
        by_residual = False
        index = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, faiss.ScalarQuantizer.QT_8bit, metric, by_residual)
    index.cp.max_points_per_centroid = TRAINING_VECTORS_A_LIST
    index.cp.niter = 10
    return index
