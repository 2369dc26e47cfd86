"""Jobs on Ray: the same files as in one process, dead workers are replaced, and nothing listens beyond this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import psutil
import pytest

from features.errors import ClusterError, DataError
from features.progress import silent
from recsys.compute import ray_connection
from recsys.compute.job import Job, cut, results
from recsys.compute.local import Processes
from recsys.compute.ray import fitting, open_cluster
from recsys.settings.cluster import ClusterConfig
from tests.recsys.compute.jobs import open_squares

if TYPE_CHECKING:
    from recsys.compute.ray import RayCluster

SHARDS = cut(list(range(1, 11)), 3)


def job(folder: Path, **more: str) -> Job:
    return Job("squaring", open_squares, {"log": str(folder / "log"), **more}, folder, ".txt")


def test_results_are_those_of_this_process(cluster: RayCluster, tmp_path: Path) -> None:
    assert cluster.workers == 2
    for folder in ("ray", "here"):
        (tmp_path / folder).mkdir()
    there = results(cluster, job(tmp_path / "ray"), SHARDS, silent)
    here = results(Processes(), job(tmp_path / "here"), SHARDS, silent)
    assert [path.read_text() for path in there] == [path.read_text() for path in here]


def test_a_worker_that_dies_is_replaced(cluster: RayCluster, tmp_path: Path) -> None:
    paths = results(cluster, job(tmp_path, dies_once=str(tmp_path / "died")), SHARDS, silent)
    assert (tmp_path / "died").exists()
    assert [path.read_text() for path in paths] == ["1 4 9", "16 25 36", "49 64 81", "100"]
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == [1, 4, 7, 10]


def test_an_error_of_a_shard_is_told_as_it_is(cluster: RayCluster, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^a number is negative: give positive ones$"):
        results(cluster, job(tmp_path), [[-1]], silent)


def test_a_job_that_cannot_be_opened(cluster: RayCluster, tmp_path: Path) -> None:
    wrong = Job("squaring", open_squares, {"lag": "mistaken"}, tmp_path, ".txt")
    with pytest.raises(TypeError, match="lag"):
        results(cluster, wrong, SHARDS, silent)


def test_it_listens_on_the_loopback_interface_alone(cluster: RayCluster) -> None:
    cluster.connect()
    listening = []
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker of an earlier test ends
            listening += [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert len(listening) >= 3, "the head, the scheduler and this process listen"
    assert {one.laddr.ip for one in listening} <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    (folder,) = Path(tempfile.gettempdir()).glob(f"recsys-ray-{os.getpid()}-*")
    assert folder.stat().st_mode & 0o077 == 0, "sockets and logs are for no other user of the machine"


@pytest.mark.parametrize(
    ("machines", "settings", "expected"),
    [
        ([(3, 0), (3, 0)], {"cores": 2}, (2, "")),
        ([(8, 2), (8, 0)], {"gpus": 1}, (2, "")),
        ([(8, 1), (8, 1)], {"gpus": 2}, (0, "GPU")),
        ([(8, 2)], {"gpus": 0.6}, (2, "")),
        ([(20, 1)], {"gpus": 0.1}, (10, "")),
        ([(1, 1), (8, 0)], {"gpus": 1, "cores": 2}, (0, "machine with both GPU and cores")),
        ([(1, 0)], {"cores": 2}, (0, "core")),
        ([], {}, (0, "core")),
    ],
)
def test_a_worker_fits_on_one_machine(machines: list[tuple[int, int]], settings: dict[str, Any], expected: tuple[int, str]) -> None:
    assert fitting([{"CPU": cores, "GPU": gpus} for cores, gpus in machines], ClusterConfig(**settings)) == expected


class Starting:
    """In place of Ray: gets a signal while it starts, and replaces the handler of SIGTERM."""

    def __init__(self, got: signal.Signals, done: list[str]) -> None:
        self.got, self.done = got, done

    def init(self, **_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(os.getpid(), self.got)
        self.done.append("started")

    def shutdown(self) -> None:
        self.done.append("ended")


def test_an_interrupt_waits_until_ray_has_started_and_then_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(ray_connection, "_quiet_ray", lambda: Starting(signal.SIGINT, done))
    with pytest.raises(KeyboardInterrupt), ray_connection.connected("local", ClusterConfig(), Path()):
        done.append("used")
    assert done == ["started", "ended"]


def test_an_interrupt_of_a_start_that_fails_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    starting = Starting(signal.SIGINT, [])
    init = starting.init
    monkeypatch.setattr(starting, "init", lambda **given: (init(**given), 1 / 0))
    monkeypatch.setattr(ray_connection, "_quiet_ray", lambda: starting)
    with pytest.raises(KeyboardInterrupt), ray_connection.connected("local", ClusterConfig(), Path()):
        pass


def test_sigterm_ends_the_program_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray_connection, "_quiet_ray", lambda: Starting(signal.SIGTERM, done))
    with pytest.raises(KeyboardInterrupt), ray_connection.connected("local", ClusterConfig(), Path()):
        os.kill(os.getpid(), signal.SIGTERM)
    assert done == ["started", "ended"]
    assert signal.getsignal(signal.SIGTERM) is before


IMPORTED_FIRST = """
import sys
from pathlib import Path
from recsys.compute.ray import open_cluster
from recsys.settings.cluster import ClusterConfig
sys.modules["ray"] = sys
with open_cluster("local", ClusterConfig(), Path()):
    pass
"""


@pytest.mark.parametrize("missing", [["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"], ["RAY_AUTH_MODE"], []])
def test_ray_that_was_imported_before_is_refused(missing: list[str], tmp_path: Path) -> None:
    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_AUTO_CONNECT": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_worker_niceness": "0",
        "RAY_AUTH_MODE": "token",
    }
    environment = {name: value for name, value in (os.environ | variables).items() if name not in missing}
    done = subprocess.run([sys.executable, "-c", IMPORTED_FIRST], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == bool(missing)
    assert ("ClusterError: Ray was imported before" in done.stderr) == bool(missing)
    assert all(f"{name}=" in done.stderr for name in missing)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_nothing_answers_at_an_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=f"^no Ray cluster answers at {address}"), open_cluster(address, ClusterConfig(), tmp_path):
        pass


def test_a_service_that_is_none_of_rays(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent_one:
        address = f"127.0.0.1:{silent_one.getsockname()[1]}"
        refused = pytest.raises(ClusterError, match=f"^what answers at {address} is no Ray cluster: give the port of its head")
        with refused, open_cluster(address, ClusterConfig(connect_seconds=0.3), tmp_path):
            pass


JOINED = """
import sys
from pathlib import Path
from recsys.compute.ray import open_cluster
from recsys.settings.cluster import ClusterConfig
with open_cluster(sys.argv[1], ClusterConfig(), Path(sys.argv[2])) as cluster:
    cluster.connect()
"""


def test_a_service_of_ray_that_is_no_head_is_asked_once(tmp_path: Path) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        done = subprocess.run(
            [sys.executable, "-c", JOINED, address, tmp_path],
            env=os.environ | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},  # for an address of the loopback interface
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.stop(None)
    assert done.stderr.count("Failed to get cluster ID") == 1, "Ray tries twenty times by itself"
    last = done.stderr.splitlines()[-1]
    assert "does not take this program (ray.exceptions.RpcError: RPC error: Method not found!): check its address and version" in last


@pytest.mark.parametrize("address", ["somewhere", "host:port", ":", "ray://host", "http://host:80", "host:99999", "[::1:80", "me@host:80"])
def test_what_is_no_address(address: str, tmp_path: Path) -> None:
    with (
        pytest.raises(ClusterError, match=r"expected local, HOST:PORT or ray://HOST:PORT"),
        open_cluster(address, ClusterConfig(), tmp_path),
    ):
        pass
