"""Configuration of reviews."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from eval.monitoring.config import WatchConfig
from features.reviews.aspects import AspectList
from features.text.sentiment.config import SentimentConfig


class ReviewsConfig(BaseModel):
    """The section [reviews].

    Attributes
    ----------
    aspects : file of the shop's own aspects, see docs/reviews.md.
    sentiment : the classifier and its training.
    alerts : when a surge of negative reviews raises an alert.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    aspects: Path | None = None
    sentiment: SentimentConfig = SentimentConfig()
    alerts: WatchConfig = WatchConfig()

    def read_aspects(self) -> AspectList:
        """Read the shop's own aspects; the packaged ones without a file."""
        return AspectList.packaged() if self.aspects is None else AspectList.of_file(self.aspects)
