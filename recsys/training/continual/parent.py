"""The model that a continued training goes on from, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from features.errors import BundleError
from features.storage.digests import of_json
from recsys.artifacts.bundle import RETRAIN, Bundle, list_bundles
from recsys.artifacts.model import Model
from recsys.training.pipeline import MODEL_VERSION, settings_digests

if TYPE_CHECKING:
    from pathlib import Path

    from features.ingest.erased_users import ErasedUsers
    from recsys.training.job import TrainingJob

CARD_DIGITS = 16  # of a model's key in its card


@dataclass(frozen=True)
class Parent:
    """A stored model, from which a training may go on."""

    bundle: Bundle

    @classmethod
    def current(cls, store: Path) -> Self | None:
        """Return the model in use; None where there is none, or it is damaged."""
        try:
            bundle = Bundle.open(store) if list_bundles(store) else None
        except BundleError:
            return None
        return None if bundle is None or bundle.verify() else cls(bundle)

    @property
    def about(self) -> dict[str, Any]:
        """The facts of the model."""
        return self.bundle.manifest.about

    @property
    def name(self) -> str:
        """The model's name in its card."""
        return str(self.about["key"])[:CARD_DIGITS]

    @cached_property
    def model(self) -> Model:
        """The model, read anew for each `Parent`: training changes it in place."""
        return Model.from_files(self.bundle.files)

    @property
    def generation(self) -> int:
        """How many continued trainings in a row made the model; 0 for one from nothing."""
        return int(self.about.get("continued", {}).get("generation", 0))

    @property
    def since(self) -> int:
        """Seconds since the epoch: the towers that a training starts from have learned from events before."""
        return int(self.about["edges"]["validation"][0])

    @property
    def read(self) -> datetime:
        """When the oldest data that the model depends on was read: an erasure since then concerns it."""
        return datetime.fromisoformat(self.about["read"]) if "read" in self.about else self.bundle.manifest.created

    def key_of(self, plan: str, job: TrainingJob) -> str:
        """Return the key of the model that goes on from this one by a plan of this key."""
        return of_json([plan, self.about["key"], job.settings.continual.model_dump(mode="json", exclude={"enabled"})])

    def obstacle(self, job: TrainingJob, erased_users: ErasedUsers) -> str | None:
        """Return why a training must not go on from this model; None if it may.

        The windows of the new training must not begin before those of the old one. Each part has then seen no more than the
        part of its kind may see now, and what is fitted on its scores still meets them out of sample.
        """
        about = self.about
        if about.get("version") != MODEL_VERSION or "edges" not in about:
            return "its version of this program trained differently"
        if about.get(RETRAIN) or erased_users.since(self.read):
            return "users in its data were erased"
        if changed := [name for name, value in settings_digests(job).items() if about["settings"].get(name) != value]:
            return f"settings have changed in [{'], ['.join(changed)}], or the preset, the device or the shop's log chooses others"
        if job.log.ordinal:
            return "times that tell only an order have no months"
        if any(window.start < about["edges"][name][0] for name, window in job.windows.after_towers.items()):
            return "its windows begin later than those of this training"
        if self.generation >= job.settings.continual.fresh_every:
            return f"{self.generation} in a row have gone on by now, and continual.fresh_every is {job.settings.continual.fresh_every}"
        return None
