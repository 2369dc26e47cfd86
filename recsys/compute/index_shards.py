"""An index whose shards lie on the machines of a Ray cluster: an actor holds each, and a search asks all of them.

Ray restarts an actor that dies; it opens its shard again, and Ray sends it the searches that it had not answered. A
search has the answers of all shards or fails.
"""

from __future__ import annotations

import contextlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from features.errors import ClusterError, RecsysError, one_line
from recsys.environment import prepare_environment
from retrieval.index import search_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from recsys.compute.ray import RayCluster
    from retrieval.index_shard import IndexShard

    OpenShard = Callable[[int], IndexShard]


class ShardActor:
    """Holds one shard, which is opened when it is first asked for."""

    def __init__(self, open_shard: OpenShard, number: int) -> None:
        prepare_environment()
        self._open = partial(open_shard, number)

    @cached_property
    def _shard(self) -> IndexShard:
        return self._open()

    def size(self) -> int:
        """Return the number of items."""
        return len(self._shard)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """See `IndexShard.search`."""
        return self._shard.search(queries, k, allowed)


@dataclass(frozen=True)
class ClusterIndex:
    """Nearest items by shards on a cluster; the answers are those of `ItemIndex` over the same files.

    Attributes
    ----------
    actors : handles of the shards' actors, in the order of their rows.
    bounds : int64 (shards + 1,), where the rows of each shard begin.
    seconds : how long a search may take, restarts included.
    """

    actors: tuple[Any, ...]
    bounds: np.ndarray
    seconds: float

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `ItemIndex.search`.

        Raises
        ------
        ClusterError
            If a shard does not answer in time, or its actor cannot be restarted.
        """
        return search_shards(self._search_there, self.bounds, queries, k, allowed)

    def _search_there(self, queries: np.ndarray, k: int, allowed: Sequence[np.ndarray | None]) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        import ray

        asked = ray.put(queries)
        answers = [actor.search.remote(asked, k, mask) for actor, mask in zip(self.actors, allowed, strict=True)]
        return _answers(answers, self.seconds)


@contextmanager
def index_on_cluster(cluster: RayCluster, open_shard: OpenShard, sizes: Sequence[int]) -> Iterator[ClusterIndex]:
    """Open each shard in an actor, until the context ends.

    Parameters
    ----------
    cluster : where; it is connected to.
    open_shard : a function at the top of a module, with its arguments bound; called with a shard's number on the machine that holds it.
    sizes : bytes of each shard, by which Ray chooses a machine with that much memory.

    Raises
    ------
    ClusterError
        If a shard is not open in time, or for the reasons of `RayCluster.connect`.
    RecsysError
        What `open_shard` raises.
    """
    cluster.connect()
    import ray
    from ray.exceptions import RayError

    config = cluster.config
    actor: Any = ray.remote(num_cpus=0, scheduling_strategy="SPREAD", max_restarts=-1, max_task_retries=config.retries)(ShardActor)
    actors = tuple(actor.options(memory=size).remote(open_shard, number) for number, size in enumerate(sizes))
    try:
        items = _answers([one.size.remote() for one in actors], config.answer_seconds)
        yield ClusterIndex(actors, np.cumsum([0, *items]), config.answer_seconds)
    finally:
        with contextlib.suppress(RayError):
            for one in actors:
                ray.kill(one)


def _answers(answers: list[Any], seconds: float) -> list[Any]:
    """Return what all actors answered."""
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    try:
        return ray.get(answers, timeout=seconds)
    except GetTimeoutError as error:
        waiting = len(ray.wait(answers, num_returns=len(answers), timeout=0)[1])
        line = f"{waiting} of {len(answers)} shards of the index have not answered within {seconds:g} s"
        raise ClusterError(f"{line}: look at the cluster's machines, or set cluster.answer_seconds higher") from error
    except RayTaskError as error:
        if isinstance(error.cause, RecsysError):
            raise error.cause from None
        raise
    except RayError as error:
        line = one_line(error)[:200]
        raise ClusterError(f"a shard of the index is lost ({line}): run the same command again") from error
