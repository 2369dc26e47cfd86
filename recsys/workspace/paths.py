"""The paths below the folder of a workspace, and the stores of the service in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from recsys.dialogue.conversations import Conversations
    from recsys.workspace.events import EventStore
    from recsys.workspace.impressions import ImpressionStore
    from recsys.workspace.item_changes import ItemChanges


@dataclass(frozen=True)
class WorkspacePaths:
    """Paths below one folder, and the lock of those who change it.

    Attributes
    ----------
    data : data/, the ingested tables in canonical form; CURRENT names the version in use.
    models : models/, trained models.
    bundles : bundles/, published bundles.
    cache : cache/, what can be rebuilt (token states, vectors).
    reports : reports/, results of evaluation.
    erased : erased.json, the list of erased users.
    in_step : storage.json, what this workspace and the shared store had in use when they last agreed.
    service : service/, events and changes of items received over HTTP, impressions, conversations with the assistant, hashed API keys,
        the salt of the logs.
    rules : rules.toml, optional: what must never be recommended.
    experiments : experiments.toml, optional: the live experiments.
    merchandising : merchandising.toml, optional: what a merchandiser changes in ranked lists.
    """

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def extracts(self) -> Path:
        return self.cache / "extract"

    @property
    def pulled(self) -> Path:
        return self.cache / "pull"

    @property
    def pull_lock(self) -> Path:
        return self.cache / ".pull.lock"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def rules(self) -> Path:
        return self.root / "rules.toml"

    @property
    def merchandising(self) -> Path:
        return self.root / "merchandising.toml"

    @property
    def erased(self) -> Path:
        return self.root / "erased.json"

    @property
    def in_step(self) -> Path:
        return self.root / "storage.json"

    @property
    def service(self) -> Path:
        return self.root / "service"

    @cached_property
    def events(self) -> EventStore:
        """Events that the service received since the sources were read."""
        from recsys.workspace.events import EventStore

        return EventStore(self.service / "events.sqlite")

    @cached_property
    def item_changes(self) -> ItemChanges:
        """Prices and availability that the shop changed since the catalogue was read."""
        from recsys.workspace.item_changes import ItemChanges

        return ItemChanges(self.service / "items.sqlite")

    @cached_property
    def conversations(self) -> Conversations:
        """Conversations with the assistant, and the answers that were added."""
        from recsys.dialogue.conversations import Conversations

        return Conversations(self.service / "conversations.sqlite")

    @cached_property
    def impressions(self) -> ImpressionStore:
        """What the pages of the storefront showed, and what was done with it."""
        from recsys.workspace.impressions import ImpressionStore

        return ImpressionStore(self.service / "impressions.sqlite")

    @property
    def experiments(self) -> Path:
        return self.root / "experiments.toml"
