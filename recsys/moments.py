"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

from features.errors import ConfigError


def utc_moment(value: str | datetime) -> datetime:
    """Return a moment in UTC without zone; a date is its midnight, a time without zone is UTC.

    Raises
    ------
    ValueError: the text is no ISO 8601 date or time.
    """
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def end_of_training(until: str | datetime | None) -> datetime | None:
    """Return the moment before which training learns, see `utc_moment`; None learns from all.

    Raises
    ------
    ConfigError: the text is no ISO 8601 date or time.
    """
    try:
        return None if until is None else utc_moment(until)
    except ValueError:
        raise ConfigError(f"until is {until!r}, expected an ISO 8601 date or time: give it as 2026-01-31") from None
