"""What copy is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import DataError
from features.names import SEGMENT
from features.text.closest import did_you_mean

CHANNELS: dict[str, tuple[str, ...]] = {"email": ("subject", "text"), "push": ("push",), "sms": ("sms",)}
LANGUAGES = ("en", "de", "fr", "es", "zh")
MAX_OFFER = 200  # characters
# How each segment of customers is spoken to; a segment that is not named here is spoken to as anybody is.
TONES = {
    "new": "new",
    "one purchase": "new",
    "drifting away": "back",
    "lost": "back",
    "loyal": "loyal",
    "big spenders": "loyal",
    "occasional": "any",
}


@dataclass(frozen=True)
class CopyRequest:
    """One question.

    Attributes
    ----------
    item : id of the product; None where only an offer is spoken of.
    offer : what is offered, in the shop's words and the language of the text, such as "10% off all teas".
    segment : one of `TONES`; None for any customer.
    language : one of `LANGUAGES`.
    channel : one of `CHANNELS`; None for all.

    Raises
    ------
    DataError
        If there is neither item nor offer, or a value is none of those.
    """

    item: str | None = None
    offer: str | None = None
    segment: str | None = None
    language: str = "en"
    channel: str | None = None

    def __post_init__(self) -> None:
        if self.item is None and self.offer is None:
            raise DataError("there is nothing to write of: give --item ID, --offer TEXT, or both")
        if self.offer is not None and not 0 < len(self.offer.strip()) <= MAX_OFFER:
            raise DataError(f"the offer has {len(self.offer.strip()):,} characters, expected 1 to {MAX_OFFER}: say it in a few words")
        for name, known in ((SEGMENT, tuple(TONES)), ("language", LANGUAGES), ("channel", tuple(CHANNELS))):
            value = getattr(self, name)
            if value is not None and value not in known:
                hint = did_you_mean(value, known) or f": expected one of {', '.join(known)}"
                raise DataError(f"there is no {name} {value!r}{hint}")

    @property
    def tone(self) -> str:
        """The table of texts."""
        if self.offer is not None:
            return "offer"
        return TONES[self.segment] if self.segment else "any"

    @property
    def forms(self) -> tuple[str, ...]:
        """The texts that are wanted."""
        return tuple(form for channel, forms in CHANNELS.items() if self.channel in (None, channel) for form in forms)
