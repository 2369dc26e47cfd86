"""One arm of an offline A/B simulation: its settings and its schedule of refreshes and retrainings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.settings.arm import OURS

if TYPE_CHECKING:
    from recsys.settings.arm import ArmConfig
    from recsys.settings.settings import Settings


@dataclass(frozen=True)
class AbArm:
    """One side of a comparison.

    Days are counted from the first day of the simulation, which is day 0.
    """

    name: str
    settings: Settings

    @property
    def config(self) -> ArmConfig:
        """The section [arm] of its settings."""
        return self.settings.arm

    def refreshed(self, day: int) -> int:
        """Return the day of the last refresh; a refresh happens at the beginning of its day."""
        return day - day % self.config.refresh_days

    def trained(self, day: int) -> int:
        """Return the day before which the training data of the model in use ends."""
        refreshed = self.refreshed(day)
        return refreshed - refreshed % self.config.retrain_days if self.config.retrain_days else 0

    @property
    def facts(self) -> dict[str, Any]:
        """Everything that determines its lists, apart from the shop's data."""
        settings = self.settings
        config = self.config.model_dump()
        if self.config.system != OURS:
            fitted = repr(getattr(settings.baselines.all, self.config.system, None))
            return {"arm": config, "events": settings.events.model_dump(), "baseline": fitted}
        return {"arm": config, "training": settings.training_sections()}
