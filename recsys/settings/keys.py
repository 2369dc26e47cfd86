"""The settings that a trained model depends on, and the digest that identifies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.settings.settings import Settings


def training_sections(settings: Settings) -> dict[str, Any]:
    """The settings that a model depends on, ready for JSON."""
    sections = ("events", "encoder", "tower", "train", "index", "retrieval", "gbdt", "cross_encoder")
    found = {name: getattr(settings, name).model_dump(mode="json") for name in sections}
    return found | {"events": settings.events.weights}  # the rule of the service's events shows in the log itself
