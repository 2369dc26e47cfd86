"""One Ray of two workers on this machine for all tests of a process."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from recsys.compute.ray import open_cluster
from recsys.settings.cluster import ClusterConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.compute.ray import RayCluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    if importlib.util.find_spec("ray") is None:  # not imported: `open_cluster` sets what Ray reads when it is
        pytest.skip("Ray is not installed")
    with open_cluster("local", ClusterConfig(workers=2, memory_mb=80, answer_seconds=120), tmp_path_factory.mktemp("cache")) as opened:
        assert opened is not None
        yield opened
