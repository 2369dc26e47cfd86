"""Configuration of the nearest-neighbour index: its kind by size, and the number of its shards."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["flat", "sq8", "hnsw", "ivf", "ivf_sq8"]
SHARD_BYTES = 320_000_000  # of 8-bit vectors in a shard: 2.5 million of 128 dimensions, whose build takes less than 2 GiB


class IndexConfig(BaseModel):
    """Kind of FAISS index and its parameters.

    Attributes
    ----------
    kind : str
        "auto" chooses by the number of distinct vectors in a shard, see `kind_for`.
    shards : int, optional
        Number of parts that the items are split into; None chooses by the bytes of the vectors, see `shards_for`.
    hnsw_m : int
        Links of a node.
    hnsw_build, hnsw_search : int
        Size of the candidate queue while building (efConstruction) and searching (efSearch).
    ivf_lists : int, optional
        Number of clusters n_list of a shard; None takes 4 sqrt(n).
    ivf_probes : int
        Number of clusters of a shard that are searched (n_probe).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["auto"] | Kind = "auto"
    shards: int | None = Field(default=None, ge=1, le=1000)
    hnsw_m: int = Field(default=32, ge=2, le=256)
    hnsw_build: int = Field(default=80, ge=1)
    hnsw_search: int = Field(default=200, ge=1)
    ivf_lists: int | None = Field(default=None, ge=1)
    ivf_probes: int = Field(default=64, ge=1)

    def for_size(self, n: int) -> IndexConfig:
        """Return the configuration of a shard with n distinct vectors, whose kind is never "auto"."""
        return self.model_copy(update={"kind": kind_for(n)}) if self.kind == "auto" or not n else self


def kind_for(n: int) -> Kind:
    """Return the kind of index for n distinct vectors.

    Notes
    -----
    `python -m benchmarks.index_rule` measured at 100,000 vectors (128 dimensions, k = 100, one thread): exact search
    2.0 ms a query; HNSW .35 ms with recall .99 and three times IVF's build time; IVF .6 ms with recall 1.0. Exact
    search is used up to about 4 ms a query (an estimate); beyond that IVF, which is built in seconds. Recall depends on
    the vectors: in tight clusters smaller than k, IVF reached .76 (.93 with 256 probes). SQ8 with one scale for all
    dimensions takes a quarter of the memory and about the time of exact search, see docs/performance.md. Beyond a
    million, IVF over 8-bit vectors: see docs/decisions/138-sharded-index.md.
    """
    return "flat" if n <= 200_000 else "ivf" if n <= 1_000_000 else "ivf_sq8"


def shards_for(n: int, dim: int) -> int:
    """Return the number of shards of n vectors: as few as hold at most `SHARD_BYTES` of 8-bit vectors each."""
    return max(1, -(-n * dim // SHARD_BYTES))
