"""The tiny shop as it grows: a model of its first months, and trainings that go on from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from recsys.artifacts.bundle import Bundle
from recsys.training import find_or_train
from recsys.training.options import TrainOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

START = datetime(2024, 1, 1)
FIRST, SECOND, THIRD = (START + timedelta(days=days) for days in (130, 150, 170))


@dataclass(frozen=True)
class Monthly:
    """A workspace whose model is trained again and again."""

    place: Any
    settings: Settings

    @property
    def workspace(self) -> Workspace:
        return self.place.workspace

    def train(self, until: datetime, *, warm_start: bool | None = True, **settings: Any) -> str:
        """Train on what lies before a moment, with other values of `continual`; return what is said."""
        changed = self.settings.continual.model_copy(update=settings)
        options = TrainOptions(until, warm_start=warm_start)
        return find_or_train.train(self.workspace, self.settings.model_copy(update={"continual": changed}), options)

    def bundle(self) -> Bundle:
        """The model in use."""
        return Bundle.open(self.workspace.models)

    def about(self) -> dict[str, Any]:
        """Its facts, without the time of day."""
        return {name: value for name, value in self.bundle().manifest.about.items() if name != "read"}

    def files(self) -> dict[str, bytes]:
        bundle = self.bundle()
        return {name: bundle.read(name) for name in bundle.files}


def with_encoder(settings: Any, reads: str) -> Any:
    """Settings under which the towers really become better, with last epochs for sequences."""
    train = {"steps_per_epoch": 6, "lr": 0.01, "last_epochs": 1 if reads == "sequence" else 0}
    changed = {"train": settings.train.model_copy(update=train), "tower": settings.tower.model_copy(update={"user_encoder": reads})}
    return settings.model_copy(update=changed)


@pytest.fixture
def monthly(fresh: Callable[[], Any], tiny_settings: Any) -> Callable[..., Monthly]:
    """Makes shops whose model was trained from nothing on their first 130 days."""

    def make(reads: str = "set") -> Monthly:
        place = fresh()
        place.ingest()
        found = Monthly(place, with_encoder(tiny_settings, reads))
        found.train(FIRST, warm_start=False)
        return found

    return make
