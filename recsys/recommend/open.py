"""Opens the recommender of a published bundle."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from features.errors import BundleError, ConfigError, DataError
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import Bundle, check_layout, current_id
from recsys.artifacts.mapped import MAPPED, MappedFiles
from recsys.artifacts.model import ServedModel
from recsys.recommend.live_items import ITEMS_AS_OF, LiveItems
from recsys.recommend.live_rules import LiveRules, with_rules_of
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.canaries import canaries
from recsys.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.onnx.session import Device as AnsweringDevice
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
    ConfigError: the workspace's rules.toml or merchandising.toml cannot be read, rules contradict each other, or the device is not there.
    """
    while True:
        bundle = Bundle.open(workspace.bundles, bundle_id)
        check_layout(bundle)
        try:
            opened = _opened(bundle, MappedFiles(bundle, workspace.cache / MAPPED) if shared else bundle.files, device)
            catch_up(live_items(workspace, bundle, opened))
            return with_rules_of(opened, workspace)
        except BundleError:
            # Another took its place, and it was removed, while it was being read.
            if bundle_id is not None or current_id(workspace.bundles) == bundle.id:
                raise


@dataclass(frozen=True)
class LiveChanges:
    """What changes in the answers of an opened bundle while it is in use: prices, stock and rules."""

    items: LiveItems
    rules: LiveRules

    @classmethod
    def of(cls, workspace: Workspace, bundle: Bundle, recommender: Recommender) -> Self:
        """Watch for the changes of a workspace."""
        return cls(live_items(workspace, bundle, recommender), LiveRules(recommender, workspace))

    def catch_up(self) -> bool:
        """Put new changes into answers. Returns False where some cannot be read, and the log says why."""
        fine = catch_up(self.items)
        try:
            if self.rules.catch_up():
                _log.info("the rules of rules.toml and merchandising.toml are in use as they are now")
        except ConfigError as error:
            _log.error("the rules stay as they were: %s", error)
        return fine


def live_items(workspace: Workspace, bundle: Bundle, recommender: Recommender) -> LiveItems:
    """Return the prices and the availability that the shop changed since the catalogue of a bundle was written."""
    return LiveItems(recommender.snapshot, workspace.item_changes, float(bundle.manifest.about.get(ITEMS_AS_OF) or 0))


def catch_up(items: LiveItems) -> bool:
    """Put new prices and stock into answers. Returns False where they cannot be read, and the log says why."""
    try:
        items.catch_up()
    except DataError as error:
        _log.error("new prices and stock are not shown: %s", error)
        return False
    return True


def _opened(bundle: Bundle, files: Mapping[str, bytes], device: AnsweringDevice) -> Recommender:
    snapshot = Snapshot.from_files(Subfolder(files, "snapshot"))
    if canaries(snapshot) != bundle.manifest.about["canaries"]:
        raise BundleError(f"bundle {bundle.id} does not answer its canary queries as it did when built: `recsys rollback`, or build again")
    return Recommender(ServedModel(files, device).read(), snapshot, bundle.id)
