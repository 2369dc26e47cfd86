"""One Ray of two workers on this machine for all tests of a process."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from recsys.compute.ray import ray_cluster
from recsys.settings.cluster import ClusterConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.compute.ray import RayCluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    if importlib.util.find_spec("ray") is None:  # not imported: `ray_cluster` sets what Ray reads when it is
        pytest.skip("Ray is not installed")
    with ray_cluster("local", ClusterConfig(workers=2, memory_mb=80), tmp_path_factory.mktemp("cache")) as opened:
        yield opened
