"""The settings that a trained model depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.settings.settings import Settings


def training_sections(settings: Settings) -> dict[str, Any]:
    """Return the settings that a trained model depends on, as values that JSON can hold."""
    sections = ("events", "encoder", "tower", "train", "index", "retrieval", "gbdt", "cross_encoder")
    values = {name: getattr(settings, name).model_dump(mode="json") for name in sections}
    values["search"] = settings.search.model_dump(mode="json", exclude={"synonyms"})
    of_reviews = {"sentiment"} if settings.reviews.polarities is None else {"sentiment", "polarity"}
    values["reviews"] = settings.reviews.model_dump(mode="json", include=of_reviews)
    return values | {"events": settings.events.weights}  # the rule for the service's events shows in the log's own digest
