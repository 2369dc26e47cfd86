"""Nearest-neighbour index over item vectors with FAISS; the filter of a request is applied inside the search.

Items with the same vector (the same text) share one vector in FAISS, called a place here, and are separated after the
search. The many sizes of one product then cost nothing, and graph indexes do not fill up with duplicates.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import faiss
import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.numpy import save
from threadpoolctl import threadpool_limits

from features.errors import BundleError
from features.storage.arrays import arrays_of, content_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# FAISS adds keyword arguments to these classes at run time, where no type checker sees them.
_swig: Any = faiss

Kind = Literal["flat", "sq8", "hnsw", "ivf"]
# Below this share of allowed items, exact search over them is faster than a graph or lists full of filtered items.
NARROW = 0.1


class IndexConfig(BaseModel):
    """Kind of FAISS index and its parameters.

    Attributes
    ----------
    kind : str
        "auto" chooses by the number of distinct vectors, see `kind_for`.
    hnsw_m : int
        Links of a node.
    hnsw_build, hnsw_search : int
        Size of the candidate queue while building (efConstruction) and searching (efSearch).
    ivf_lists : int, optional
        Number of clusters n_list; None takes 4 sqrt(n).
    ivf_probes : int
        Number of clusters that are searched (n_probe).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["auto"] | Kind = "auto"
    hnsw_m: int = Field(default=32, ge=2, le=256)
    hnsw_build: int = Field(default=80, ge=1)
    hnsw_search: int = Field(default=200, ge=1)
    ivf_lists: int | None = Field(default=None, ge=1)
    ivf_probes: int = Field(default=64, ge=1)


def kind_for(n: int) -> Kind:
    """Return the kind of index for n distinct vectors.

    Notes
    -----
    `python -m benchmarks.index_rule` measured at 100,000 vectors (128 dimensions, k = 100, one thread): exact search
    2.0 ms a query; HNSW .35 ms with recall .99 and three times IVF's build time; IVF .6 ms with recall 1.0. Exact
    search is used up to about 4 ms a query (an estimate); beyond that IVF, which is built in seconds. Recall depends on
    the vectors: in tight clusters smaller than k, IVF reached .76 (.93 with 256 probes). SQ8 with one scale for all
    dimensions takes a quarter of the memory and about the time of exact search, see docs/performance.md.
    """
    return "flat" if n <= 200_000 else "ivf"


@dataclass(frozen=True)
class ItemIndex:
    """Nearest items by inner product of unit vectors.

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
    def build(cls, vectors: np.ndarray, config: IndexConfig | None = None) -> ItemIndex:
        """Build the index of unit vectors, float32 (n, dim), one row an item; the same input gives the same bytes."""
        config = config or IndexConfig()
        distinct, place = _distinct(np.ascontiguousarray(vectors, dtype=np.float32))
        if config.kind == "auto" or not len(distinct):
            config = config.model_copy(update={"kind": kind_for(len(distinct))})
        index = _empty(config, len(distinct), distinct.shape[1])
        # With several threads the links of a graph depend on which thread comes first.
        with threadpool_limits(1 if config.kind == "hnsw" else None, "openmp"):
            index.train(distinct)
            index.add(distinct)
        return cls(index, place, config)

    @property
    def dim(self) -> int:
        return self.index.d

    def __len__(self) -> int:
        return len(self.place)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best allowed items for each query, best first, equal scores by row.

        Parameters
        ----------
        queries : float32 (b, dim)
        k : int
            At most so many items; fewer only if fewer are allowed.
        allowed : bool (n,) or (b, n), optional
            Items that may be returned; None allows all.

        Returns
        -------
        rows : int64 (b, k), padded with -1
        scores : float32 (b, k), padded with -inf
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        if allowed is None or allowed.ndim == 1:
            parts: Iterator[tuple[slice, np.ndarray | None]] = iter([(slice(None), allowed)])
        else:
            parts = ((slice(i, i + 1), mask) for i, mask in enumerate(allowed))
        for part, mask in parts:
            with _one_thread():
                places, place_scores = self._places(queries[part], k, mask)
            for i, (nearest, similarity) in enumerate(zip(places, place_scores, strict=True), start=part.start or 0):
                items, values = self._items(nearest, similarity, mask)
                rows[i, : min(k, len(items))], scores[i, : min(k, len(items))] = items[:k], values[:k]
        return rows, scores

    def to_files(self) -> dict[str, bytes]:
        """Return the serialised FAISS index, the items' places and the configuration."""
        header = {"items": len(self), "dim": self.dim, "config": self.config.model_dump()}
        index = faiss.serialize_index(self.index).tobytes()
        return {"items.faiss": index, "places.safetensors": save({"place": self.place}), "index.json": json.dumps(header).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ItemIndex:
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

    def _places(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest allowed places (b, k), padded with -1, and their scores (b, k)."""
        total = self.index.ntotal
        if allowed is None:
            mask = np.ones(total, dtype=bool)
        else:
            mask = np.zeros(total, dtype=bool)
            mask[self.place[allowed]] = True
        reachable, take = int(mask.sum()), min(k, total)
        if not reachable or not take:
            return np.full((len(queries), take), -1), np.zeros((len(queries), take), dtype=np.float32)
        # Always pass a selector: without one FAISS sums large batches in another order than single queries.
        selector = _swig.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        share = reachable / total
        if share < NARROW or self.config.kind in ("flat", "sq8"):
            scores, places = self._exact(queries, take, selector)
        else:
            scores, places = self.index.search(queries, take, params=self._approximate(take, share, selector))
            short = (places >= 0).sum(axis=1) < min(take, reachable)
            if short.any():
                scores[short], places[short] = self._exact(queries[short], take, selector)
        return places, scores

    def _approximate(self, k: int, share: float, selector: Any) -> Any:
        # Filtered items take up room in the queue and the lists: the fewer are allowed, the wider the search must be.
        if self.config.kind == "hnsw":
            return _swig.SearchParametersHNSW(sel=selector, efSearch=int(max(self.config.hnsw_search, k) / share))
        return _swig.SearchParametersIVF(sel=selector, nprobe=min(self.index.nlist, int(self.config.ivf_probes / share)))

    def _exact(self, queries: np.ndarray, k: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest places by a search over every allowed one."""
        if self.config.kind == "ivf":
            return self.index.search(queries, k, params=_swig.SearchParametersIVF(sel=selector, nprobe=self.index.nlist))
        index = faiss.downcast_index(self.index.storage) if self.config.kind == "hnsw" else self.index
        return index.search(queries, k, params=_swig.SearchParameters(sel=selector))

    def _items(self, places: np.ndarray, scores: np.ndarray, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the allowed items of one query's places, best first, equal scores by row."""
        items, begins = self._members
        valid = places >= 0
        places, scores = places[valid], scores[valid]
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


def _distinct(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct rows in order of first occurrence (m, dim), and the place of each row among them, int32 (n,)."""
    if not vectors.size:
        return vectors, np.zeros(len(vectors), dtype=np.int32)
    keys = vectors.view(f"V{vectors.shape[1] * vectors.itemsize}").ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return vectors[np.sort(first)], rank[inverse]


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
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, metric)
    index.cp.max_points_per_centroid = 64
    index.cp.niter = 10
    return index
