"""What is said of reviews."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Trend = Literal["rising", "falling", "steady"]


@dataclass(frozen=True)
class Quote:
    """A sentence of a review, word for word.

    Attributes
    ----------
    row : of the review in the shop's file; 0 where it is unknown.
    date : of the review, YYYY-MM-DD; None where it is unknown.
    """

    text: str
    sentiment: str
    item_id: str
    row: int
    date: str | None


@dataclass(frozen=True)
class AspectFigures:
    """What reviews say of one aspect.

    Attributes
    ----------
    mentions : reviews that mention it.
    positive, negative : shares of the mentions.
    recent, before : positive share of the last 90 days, and of the 365 days before them; None with too few mentions.
    trend : of the positive share; None with too few mentions.
    quotes : at most two, praise before complaints; one of each if there is one; neutral ones only fill up.
    """

    aspect: str
    mentions: int
    positive: float
    negative: float
    recent: float | None
    before: float | None
    trend: Trend | None
    quotes: tuple[Quote, ...]


@dataclass(frozen=True)
class ReviewFigures:
    """Figures of the reviews of one item, brand or category, or of the shop.

    Attributes
    ----------
    level : "item", "brand", "category" or "shop".
    name : the item's id, the brand, the category's path; empty for the shop.
    title : of the item; else as `name`.
    reviews : that count.
    left_out : reason -> reviews that do not count.
    unread : reviews that count and whose text says nothing that the encoder reads.
    rating : mean, from 1 to 5; None without a rating.
    positive, neutral, negative : shares of the reviews that were read; None where none was.
    """

    level: str
    name: str
    title: str
    reviews: int
    left_out: dict[str, int]
    unread: int
    rating: float | None
    positive: float | None
    neutral: float | None
    negative: float | None
    aspects: tuple[AspectFigures, ...]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class ReviewAlert:
    """A surge of complaints.

    Attributes
    ----------
    level, name, title : as in `ReviewFigures`.
    aspect : that is complained of; None for reviews that are negative as a whole.
    event : "raised", "worsened" or "ended".
    began, raised, ended : days, YYYY-MM-DD; `ended` is None while it lasts.
    share_before, share_now : of the reviews that complain.
    negatives, reviews : complaints and reviews since it began.
    severity : 1, and 1 more whenever it got worse.
    few_authors : three authors wrote more than half of the complaints.
    sentence : what happened.
    quotes : the complaints that say it most clearly.
    """

    level: str
    name: str
    title: str
    aspect: str | None
    event: str
    began: str
    raised: str
    ended: str | None
    share_before: float
    share_now: float
    negatives: int
    reviews: int
    severity: int
    few_authors: bool
    sentence: str
    quotes: tuple[Quote, ...]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class ReviewsAnswer:
    """The figures that were asked for.

    Attributes
    ----------
    figures : of what was asked for.
    parts : names that stand out below it, the most complained of first: items of a brand or category; brands, categories
        and items of the shop.
    aspect : that alone was asked for, and that the parts are most complained of for; None for all.
    """

    bundle_id: str
    figures: ReviewFigures
    parts: tuple[ReviewFigures, ...] = ()
    aspect: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"bundle_id": self.bundle_id, **self.figures.to_dict(), "parts": [part.to_dict() for part in self.parts]}
