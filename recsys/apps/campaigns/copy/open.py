"""Opens what writes copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.apps.campaigns.copy.banned import Banned
from recsys.apps.campaigns.copy.writer import CopyWriter
from recsys.wording.rephraser import Rephraser

if TYPE_CHECKING:
    from recsys.settings.settings import Settings


def open_copy(settings: Settings) -> CopyWriter:
    """Return the writer of a configuration; raises DataError where the file of banned words cannot be read."""
    return CopyWriter(settings.campaign_copy, Banned.of(settings.campaign_copy.banned_words), Rephraser.of(settings.assistant))
