"""An index on a cluster: the answers of one machine, also while actors die, or one clear line."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import psutil
import pytest

from features.errors import BundleError, ClusterError
from recsys.compute.index_shards import ClusterIndex, index_on_cluster
from recsys.compute.ray import open_cluster
from recsys.settings.cluster import ClusterConfig
from retrieval.index import ItemIndex
from retrieval.index_config import IndexConfig
from retrieval.index_shard import IndexShard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from recsys.compute.ray import RayCluster

DIM, SIZES = 8, [20_000_000] * 3


def made() -> np.ndarray:
    return (np.random.default_rng(0).integers(-8, 9, (90, DIM)) / 8).astype(np.float32)


def open_made(number: int) -> IndexShard:
    """Build a shard anew, as an actor that was restarted opens it anew."""
    return ItemIndex.build(made(), IndexConfig(kind="flat", shards=3)).shards[number]


def open_damaged(number: int) -> IndexShard:
    raise BundleError(f"shard {number} is damaged: build the index again")


def open_slowly(seconds: float, number: int) -> IndexShard:
    time.sleep(seconds * (number == 1))
    return open_made(number)


def test_it_connects_to_the_cluster_and_starts_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ClusterError("connected here")

    monkeypatch.setattr("recsys.compute.ray.connected", refuse)
    with (
        open_cluster("local", ClusterConfig(), tmp_path) as cluster,
        pytest.raises(ClusterError, match="^connected here$"),
        index_on_cluster(cast("RayCluster", cluster), open_made, SIZES),
    ):
        pass


@pytest.fixture(scope="module")
def there(cluster: RayCluster) -> Iterator[ClusterIndex]:
    with index_on_cluster(cluster, open_made, SIZES) as index:
        yield index


def same(there: ClusterIndex) -> bool:
    rng = np.random.default_rng(1)
    queries, here = rng.standard_normal((4, DIM), dtype=np.float32), ItemIndex.build(made())
    cases: list[Any] = [None, rng.random(90) < 0.1, rng.random((4, 90)) < 0.5]
    return all(
        np.array_equal(one, other)
        for allowed in cases
        for one, other in zip(here.search(queries, 12, allowed), there.search(queries, 12, allowed), strict=True)
    )


def actors() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just died
            found += [child] if "ShardActor" in " ".join(child.cmdline()) else []
    return found


def test_answers_are_those_of_one_index(there: ClusterIndex) -> None:
    assert len(there) == 90
    assert same(there)


def test_an_actor_that_dies_is_restarted(there: ClusterIndex) -> None:
    running = actors()
    assert len(running) == 3
    for one in running[:2]:
        one.kill()
    assert same(there)
    assert len(actors()) == 3
    assert len({one.pid for one in actors()} & {one.pid for one in running}) == 1


def test_a_shard_that_cannot_be_opened_says_why(cluster: RayCluster) -> None:
    with pytest.raises(BundleError, match=r"^shard \d is damaged: build the index again$"), index_on_cluster(cluster, open_damaged, SIZES):
        pass


def test_a_shard_that_does_not_answer_fails_the_search(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "config", ClusterConfig(answer_seconds=1))
    words = r"^\d of 3 shards of the index have not answered within 1 s"
    with pytest.raises(ClusterError, match=words), index_on_cluster(cluster, partial(open_slowly, 60.0), SIZES):
        pass
