"""A server that speaks S3, for tests: moto on a loopback port, with a log of the requests that it gets."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moto.server import ThreadedMotoServer  # pyright: ignore[reportAttributeAccessIssue]

if TYPE_CHECKING:
    from collections.abc import Iterator

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_EC2_METADATA_DISABLED": "true"}


@dataclass
class S3Server(logging.Handler):
    """Attributes: endpoint, an address; requests, the lines that the server logged, such as `PUT /bucket/name HTTP/1.1`."""

    endpoint: str
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.INFO)

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.requests += [str(argument) for argument in record.args or () if "HTTP/" in str(argument)]

    def count(self, method: str, path: str) -> int:
        """How many requests there were with a method and a part of the path."""
        return sum(line.startswith(f"{method} ") and path in line for line in self.requests)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server until the context ends."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    server = S3Server(f"http://{host}:{port}")
    log = logging.getLogger("werkzeug")
    before, log.propagate = (log.level, log.propagate), False
    log.setLevel(logging.INFO)
    log.addHandler(server)
    try:
        yield server
    finally:
        log.removeHandler(server)
        log.level, log.propagate = before
        moto.stop()


def new_bucket(server: S3Server, name: str) -> None:
    """Create a bucket, and forget the requests so far."""
    import fsspec

    fsspec.filesystem("s3", endpoint_url=server.endpoint, skip_instance_cache=True).mkdir(name)
    server.requests.clear()
