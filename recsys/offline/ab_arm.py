"""One arm of a simulation: its settings, and when it refreshes and learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsys.settings.arm import OURS
from recsys.settings.keys import training_sections

if TYPE_CHECKING:
    from recsys.settings.arm import ArmConfig
    from recsys.settings.settings import Settings


@dataclass(frozen=True)
class AbArm:
    """One side of a comparison, with settings of its own."""

    name: str
    settings: Settings

    @property
    def config(self) -> ArmConfig:
        return self.settings.arm

    def refreshed(self, day: int) -> int:
        """The day of the last refresh, at whose begin it was made."""
        return day - day % self.config.refresh_days

    def trained(self, day: int) -> int:
        """The day at whose begin the model ends that the last refresh found."""
        made = self.refreshed(day)
        return made - made % self.config.retrain_days if self.config.retrain_days else 0

    @property
    def facts(self) -> dict[str, Any]:
        """All that its lists follow from, besides the shop."""
        settings = self.settings
        own = self.config.model_dump()
        if self.config.system != OURS:
            fitted = repr(getattr(settings.baselines.all, self.config.system, None))
            return {"arm": own, "events": settings.events.model_dump(), "baseline": fitted}
        return {"arm": own, "training": training_sections(settings)}
