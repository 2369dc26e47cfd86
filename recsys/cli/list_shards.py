"""Lists of many users on a cluster: each worker opens the bundle once and answers shards of users as one machine does."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.storage.digests import of_file, of_json
from recsys.compute.job import Job, cut, results
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.onnx.session import Device
    from recsys.cli.options import State
    from recsys.compute.job import Cluster

_BATCHES = 4  # of `Recommender.answer`, in a shard: a second of work


def write_lists(cluster: Cluster, state: State, options: RecommendOptions, users: Sequence[str], out: Path) -> int:
    """Write the lists of users as `recsys.cli.list_files.write_answers` does, and return the number of rows.

    What a killed call has made is used by the next one of the same users, bundle, options, rules and prices, on the same day.

    Raises
    ------
    BundleError: none is published, or it is damaged.
    DataError: an item id or a category of the options is unknown.
    """
    from recsys.artifacts.bundle import Bundle
    from recsys.cli.list_files import join_parts
    from recsys.progress import terminal_progress
    from recsys.recommend.pipeline import BATCH
    from recsys.remote.publishing import fetch_first
    from recsys.workspace.item_changes import Known

    workspace = state.workspace
    fetch_first(workspace, state.settings)
    arguments = {
        "workspace": str(workspace.root.absolute()),
        "bundle_id": Bundle.open(workspace.bundles).id,
        "options": asdict(options),
        "device": state.settings.serve.device,
        # Workers read these for themselves; here they are part of the name of the results, as the users are: each command removes its own.
        "users": of_json(list(users)),
        "rules": [of_file(path) if path.exists() else None for path in (workspace.rules, workspace.merchandising)],
        "items": asdict(workspace.item_changes.since(Known()).known),
        "day": datetime.now(UTC).date().isoformat(),
    }
    job = Job("answering users", open_lists, arguments, workspace.cache.absolute(), out.suffix)
    with job.alone():
        rows = join_parts(results(cluster, job, cut(users, _BATCHES * BATCH), terminal_progress), out)
        job.remove()
    return rows


def open_lists(workspace: str, bundle_id: str, options: dict[str, Any], device: Device, **_of_the_name: object) -> Callable[..., None]:
    """Open a bundle; return the function that writes the lists of a shard of users."""
    from recsys.cli.list_files import write_answers
    from recsys.recommend.open import open_recommender
    from recsys.recommend.pipeline import BATCH
    from recsys.workspace.workspace import Workspace

    recommender = open_recommender(Workspace(Path(workspace)), bundle_id, shared=True, device=device)
    of_request: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    asked = RecommendOptions(**of_request)

    def lists(users: Sequence[str], path: Path) -> None:
        # One batch at a time: several would be answered by threads, and the cores belong to the other workers.
        write_answers((answer for some in cut(users, BATCH) for answer in recommender.answer(asked, some)), path)

    return lists
