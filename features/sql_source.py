"""Which queries are asked of a database, and of which."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

SQLITE, POSTGRESQL = "sqlite:///", ("postgresql", "postgres")


class SqlSource(BaseModel):
    """A shop's two tables as queries.

    Attributes
    ----------
    uri: sqlite:///PATH or postgresql://USER@HOST:PORT/NAME, without a password: libpq takes it from PGPASSWORD or ~/.pgpass.
    interactions, items: queries that give the tables. Without `items` the catalogue is taken from elsewhere, as `Source` says.
    watermark: a column of the log's query that only ever grows (a serial number, the time of insertion): a refresh asks for no older rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    interactions: str
    items: str | None = None
    watermark: str | None = None

    @field_validator("uri")
    @classmethod
    def _known(cls, uri: str) -> str:
        parts = urlsplit(uri)
        if not (uri.startswith(SQLITE) and len(uri) > len(SQLITE)) and parts.scheme not in POSTGRESQL:
            raise ValueError("the uri is of no known database: expected sqlite:///PATH or postgresql://USER@HOST/NAME")
        if parts.password or "password=" in parts.query:
            raise ValueError("the uri holds a password, which would be stored: leave it out, and set PGPASSWORD or use ~/.pgpass")
        return uri

    @property
    def sqlite(self) -> Path | None:
        """The file, where it is one."""
        return Path(self.uri.removeprefix(SQLITE)) if self.uri.startswith(SQLITE) else None

    def absolute(self) -> SqlSource:
        """The same, so that it can be read again from any folder."""
        return self.model_copy(update={"uri": f"{SQLITE}{self.sqlite.resolve()}"}) if self.sqlite else self
