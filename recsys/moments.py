"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_moment(value: str | datetime) -> datetime:
    """Return a moment in UTC without zone; a date is its midnight, a time without zone is UTC.

    Raises
    ------
    ValueError: the text is no ISO 8601 date or time.
    """
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
