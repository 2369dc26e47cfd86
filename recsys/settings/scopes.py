"""What an API key may do."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What an API key opens: lists and metrics; events; all of it, and erasing."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
