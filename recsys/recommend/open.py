"""What the commands do with a workspace: train, build, refresh, answer, evaluate."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from features.errors import BundleError
from features.storage.arrays import Subfolder
from ranking.blocklist import Blocklist
from recsys.artifacts.bundle import Bundle, check_layout, current_id
from recsys.artifacts.mapped import MappedFiles
from recsys.artifacts.model import ServedModel
from recsys.recommend.recommender import Recommender
from recsys.snapshot.canaries import canaries
from recsys.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from features.onnx.session import Device as AnsweringDevice
    from recsys.recommend.answers import Answer, Matches
    from recsys.recommend.request import RecommendOptions
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)


def open_recommender(
    workspace: Workspace, bundle_id: str | None = None, *, shared: bool = False, device: AnsweringDevice = "cpu"
) -> Recommender:
    """The recommender of a bundle, the one in use if none is named; every file is checked as it is read.

    shared: its large files are mapped, so that processes share them: see `recsys.artifacts.mapped`. device: where networks answer.

    Raises
    ------
    BundleError: there is none, it is damaged, of another layout, or it does not answer its canaries as it did when it was built.
    ConfigError: the workspace's rules.toml cannot be read, or the device is not there.
    """
    while True:
        bundle = Bundle.open(workspace.bundles, bundle_id)
        check_layout(bundle)
        try:
            opened = _opened(bundle, MappedFiles(bundle) if shared else bundle.files, device)
            return replace(opened, blocklist=Blocklist.read(workspace.rules))
        except BundleError:
            # Another took its place, and it was removed, while it was being read.
            if bundle_id is not None or current_id(workspace.bundles) == bundle.id:
                raise


def _opened(bundle: Bundle, files: Mapping[str, bytes], device: AnsweringDevice) -> Recommender:
    snapshot = Snapshot.from_files(Subfolder(files, "snapshot"))
    if canaries(snapshot) != bundle.manifest.about["canaries"]:
        raise BundleError(f"bundle {bundle.id} does not answer its canary queries as it did when built: `recsys rollback`, or build again")
    return Recommender(ServedModel(files, device).read(), snapshot, bundle.id)


def recommend(workspace: Workspace, settings: Settings, options: RecommendOptions) -> Answer:
    """One user's answer."""
    return next(iter(recommend_users(workspace, settings, options, [options.user])))


def recommend_users(workspace: Workspace, settings: Settings, options: RecommendOptions, users: Sequence[str | None]) -> Iterable[Answer]:
    """Answers for many users, in their order."""
    return open_recommender(workspace, device=settings.serve.device).answer(options, users)


def similar(workspace: Workspace, settings: Settings, item_id: str, k: int) -> Matches:
    """Items nearest to an item."""
    return open_recommender(workspace, device=settings.serve.device).similar(item_id, k)


def search(workspace: Workspace, settings: Settings, text: str, k: int) -> Matches:
    """Items nearest in meaning to some words."""
    return open_recommender(workspace, device=settings.serve.device).search(text, k)
