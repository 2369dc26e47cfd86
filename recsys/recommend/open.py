"""Opens the recommender of a published bundle."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from features.errors import BundleError
from features.storage.arrays import Subfolder
from ranking.blocklist import Blocklist
from ranking.merchandising.conflicts import check
from ranking.merchandising.rules import MerchandisingRules
from recsys.artifacts.bundle import Bundle, check_layout, current_id
from recsys.artifacts.mapped import MappedFiles
from recsys.artifacts.model import ServedModel
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.canaries import canaries
from recsys.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.onnx.session import Device as AnsweringDevice
    from recsys.workspace.workspace import Workspace


def open_recommender(
    workspace: Workspace, bundle_id: str | None = None, *, shared: bool = False, device: AnsweringDevice = "cpu"
) -> Recommender:
    """The recommender of a bundle, the one in use if none is named; every file is checked as it is read.

    shared: its large files are mapped, so that processes share them: see `recsys.artifacts.mapped`. device: where networks answer.

    Raises
    ------
    BundleError: there is none, it is damaged, of another layout, or it does not answer its canaries as it did when it was built.
    ConfigError: the workspace's rules.toml or merchandising.toml cannot be read, rules contradict each other, or the device is not there.
    """
    while True:
        bundle = Bundle.open(workspace.bundles, bundle_id)
        check_layout(bundle)
        try:
            opened = _opened(bundle, MappedFiles(bundle) if shared else bundle.files, device)
            ruled = replace(opened, blocklist=Blocklist.read(workspace.rules), rules=MerchandisingRules.read(workspace.merchandising))
            if not ruled.rules.empty:
                check(ruled.merchandising, ruled.blocklist)
            return ruled
        except BundleError:
            # Another took its place, and it was removed, while it was being read.
            if bundle_id is not None or current_id(workspace.bundles) == bundle.id:
                raise


def _opened(bundle: Bundle, files: Mapping[str, bytes], device: AnsweringDevice) -> Recommender:
    snapshot = Snapshot.from_files(Subfolder(files, "snapshot"))
    if canaries(snapshot) != bundle.manifest.about["canaries"]:
        raise BundleError(f"bundle {bundle.id} does not answer its canary queries as it did when built: `recsys rollback`, or build again")
    return Recommender(ServedModel(files, device).read(), snapshot, bundle.id)
