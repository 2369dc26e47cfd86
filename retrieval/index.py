"""Nearest-neighbour index over item vectors, in shards: each is a FAISS index over a contiguous range of the rows.

A shard is built and searched alone, so neither takes more memory than one shard needs. A search asks every shard for k
items and merges them by score.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.errors import BundleError
from features.storage.arrays import Subfolder, in_folder
from retrieval.index_config import IndexConfig, shards_for
from retrieval.index_shard import IndexShard
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class NearestItems(Protocol):
    """An index, here or on other machines."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best allowed items for each query: see `ItemIndex.search`."""
        ...


class ShardSearch(Protocol):
    """Searches each shard of an index, here or on other machines."""

    def __call__(self, queries: np.ndarray, k: int, allowed: Sequence[np.ndarray | None]) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Return rows (b, k) and scores (b, k) of each shard, see `IndexShard.search`; `allowed` has a filter for each shard."""
        ...


@dataclass(frozen=True)
class ItemIndex:
    """Nearest items by inner product of unit vectors.

    Attributes
    ----------
    shards : of contiguous ranges of rows, in order; at least one.
    """

    shards: tuple[IndexShard, ...]

    @classmethod
    def build(cls, vectors: np.ndarray, config: IndexConfig | None = None) -> ItemIndex:
        """Build the index of unit vectors; the same input gives the same bytes.

        Parameters
        ----------
        vectors : float32 (n, dim)
            One row an item. They may lie in a memory-mapped file, of which one shard's rows are read at a time.
        """
        config = config or IndexConfig()
        bounds = shard_bounds(len(vectors), config.shards or shards_for(*vectors.shape))
        return cls(tuple(IndexShard.build(vectors[begin:stop], config) for begin, stop in pairwise(bounds)))

    @property
    def dim(self) -> int:
        return self.shards[0].dim

    def __len__(self) -> int:
        return int(self._bounds[-1])

    @property
    def kind(self) -> str:
        """The kind of the shards; where sizes differ enough for several kinds, all of them."""
        return "+".join(sorted({shard.config.kind for shard in self.shards}))

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
        return search_shards(self._search_here, self._bounds, queries, k, allowed)

    def to_files(self) -> dict[str, bytes]:
        """Return the number of items and shards, and the files of each shard in a folder of its own."""
        files = {"index.json": json.dumps({"items": len(self), "shards": len(self.shards)}).encode()}
        for number, shard in enumerate(self.shards):
            files |= in_folder(shard_folder(number), shard.to_files())
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> ItemIndex:
        """Read the files of `to_files`. FAISS trusts any bytes: check the files' digests first.

        Raises
        ------
        BundleError
            If the files are not an index, or do not belong together.
        """
        items, shards = index_header(files)
        index = cls(tuple(IndexShard.from_files(Subfolder(files, shard_folder(number))) for number in range(shards)))
        if len(index) != items:
            raise BundleError(f"the shards of the index hold {len(index)} items, expected {items}: build the index again, or roll back")
        return index

    @cached_property
    def _bounds(self) -> np.ndarray:
        return np.cumsum([0, *map(len, self.shards)])

    def _search_here(self, queries: np.ndarray, k: int, allowed: Sequence[np.ndarray | None]) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        return [shard.search(queries, k, mask) for shard, mask in zip(self.shards, allowed, strict=True)]


def search_shards(
    search: ShardSearch, bounds: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Search every shard and merge: see `ItemIndex.search`.

    Parameters
    ----------
    bounds : int64 (shards + 1,)
        Shard i has the rows bounds[i] to bounds[i + 1].
    """
    masks = [None if allowed is None else allowed[..., begin:stop] for begin, stop in pairwise(bounds)]
    return merged(search(queries, k, masks), bounds, k)


def merged(found: Sequence[tuple[np.ndarray, np.ndarray]], bounds: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best of all shards, best first, equal scores by row, from rows and scores (b, k) of each."""
    if len(found) == 1:
        return found[0]
    rows = np.concatenate([np.where(part >= 0, part + begin, -1) for (part, _), begin in zip(found, bounds[:-1], strict=True)], axis=1)
    # Not faiss.merge_knn_results, whose order of equal scores is not that of the shards.
    columns, scores = top_k(np.concatenate([scores for _, scores in found], axis=1), k)
    return np.where(columns >= 0, np.take_along_axis(rows, np.maximum(columns, 0), axis=1), -1), scores


def shard_bounds(n: int, shards: int) -> list[int]:
    """Return where each of the shards of n rows begins, and n; no shard is empty unless there are no rows."""
    shards = max(1, min(shards, n))
    return [n * number // shards for number in range(shards + 1)]


def shard_folder(number: int) -> str:
    """Return the name of a shard's folder."""
    return f"shard-{number:03}"


def index_header(files: Mapping[str, bytes]) -> tuple[int, int]:
    """Read the number of items and of shards of an index.

    Raises
    ------
    BundleError
        If the file is missing or damaged.
    """
    try:
        header = json.loads(files["index.json"])
        items, shards = int(header["items"]), int(header["shards"])
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError(f"the index cannot be read ({str(error)[:80]!r}): build the index again, or roll back") from error
    if shards < 1:
        raise BundleError(f"the index has {shards} shards, expected at least one: build the index again, or roll back")
    return items, shards
