"""Configuration of reviews."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from eval.monitoring.config import WatchConfig
from features.errors import DataError
from features.reviews.aspects import AspectList
from features.reviews.polarities import Polarities, read_polarities
from features.text.sentiment.config import SentimentConfig
from ranking.cross_encoder.config import SentenceTermConfig


class ReviewsConfig(BaseModel):
    """The section [reviews].

    Attributes
    ----------
    aspects : file of the shop's own aspects, see docs/reviews.md.
    polarities : file of polarities that people gave to terms in sentences, see docs/reviews.md.
    sentiment : the classifier and its training.
    polarity : the cross-encoder that learns from `polarities`.
    alerts : when a surge of negative reviews raises an alert.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    aspects: Path | None = None
    polarities: Path | None = None
    sentiment: SentimentConfig = SentimentConfig()
    polarity: SentenceTermConfig = SentenceTermConfig()
    alerts: WatchConfig = WatchConfig()

    def read_aspects(self) -> AspectList:
        """Read the shop's own aspects; the packaged ones without a file."""
        return AspectList.packaged() if self.aspects is None else AspectList.of_file(self.aspects)

    def read_polarities(self) -> Polarities | None:
        """Read the polarities that people gave; None without a file.

        Raises
        ------
        DataError
            If the file cannot be read, or lacks a column.
        """
        if self.polarities is None:
            return None
        try:
            return read_polarities(self.polarities)
        except DataError as error:
            raise DataError(f"reviews.polarities: {error}") from error
