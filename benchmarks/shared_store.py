"""Bytes and requests that a shared store costs: publishing each bundle of a workspace, then nothing new, and fetching the same.

    python -m benchmarks.shared_store WORKSPACE

The workspace is copied first. The server is moto's, in this process; it counts requests, and bytes are counted by the objects sent.
`ratio` is the share of the bytes of what is in use (tables, model, bundle) that went over the network.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.paired import say
from features.storage.remote.config import StorageConfig
from recsys.artifacts.bundle import list_bundles
from recsys.artifacts.publish import use
from recsys.remote.pull import pull
from recsys.remote.push import push
from recsys.settings.settings import Settings
from recsys.workspace.workspace import Workspace
from tests.s3_server import CREDENTIALS, S3Server, new_bucket, s3_server


def requests(server: S3Server) -> dict[str, int]:
    """Return the requests since the last call, by method."""
    counts = {method: server.count(method, "") for method in ("GET", "PUT", "POST", "HEAD", "DELETE")}
    server.requests.clear()
    return {f"{method.lower()}s": count for method, count in counts.items() if count}


def in_use(workspace: Workspace) -> int:
    """Return the bytes of the tables, the model and the bundle in use."""
    total = 0
    for part in (workspace.data, workspace.models, workspace.bundles):
        folder = part / (part / "CURRENT").read_text(encoding="utf-8").strip() if part.is_dir() else part
        total += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return total


def main(source: Path) -> None:
    """Print a row for each publishing and each fetch."""
    os.environ |= CREDENTIALS
    total = 0
    with tempfile.TemporaryDirectory(prefix="shared-store-") as name, s3_server() as server:
        new_bucket(server, "bucket")
        settings = Settings(storage=StorageConfig(url="s3://bucket/shop", endpoint=server.endpoint))
        publisher, reader = Workspace(Path(name) / "publisher"), Workspace(Path(name) / "reader")
        for part in ("data", "models", "bundles"):
            if (source / part).is_dir():
                shutil.copytree(source / part, publisher.root / part)
        for number, bundle_id in enumerate(reversed(list_bundles(publisher.bundles)), 1):
            use(publisher.bundles, bundle_id)
            sent = push(publisher, settings)
            total = in_use(publisher)
            facts = {"mib": round(total / 2**20, 1), "objects": sent.sent, **requests(server)}
            say(f"push_bundle_{number}", [sent.size / total], 1.0, None, **facts)
            fetched = pull(reader, settings)
            say(f"pull_bundle_{number}", [fetched.size / total], 1.0, None, objects=fetched.fetched, **requests(server))
        sent = push(publisher, settings)
        say("push_nothing_new", [sent.size / total], 0.0, None, objects=sent.sent, **requests(server))
        fetched = pull(reader, settings)
        say("pull_nothing_new", [fetched.size / total], 0.0, None, objects=fetched.fetched, **requests(server))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
