"""Scopes of API keys."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A scope of an API key.

    READ allows recommendations and metrics, WRITE allows events, ADMIN allows both and erasure.
    """

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
