"""Cursors: what follows in a row of a page, signed, so that any worker turns the row over whatever bundle is in use by then."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from features.errors import DataError
from recsys.apps.storefront.request import PageRequest, RowTurn

if TYPE_CHECKING:
    from ranking.merchandising.place import RowName
    from recsys.apps.storefront.answers import Row

VERSION = 2  # of what a cursor holds: one of another version is none
MAX_AGE_SECONDS = 86_400  # a visit is shorter, and whoever holds a cursor of a customer's page reads what follows on it


class Cursors:
    """Writes and reads cursors with the secret of a workspace."""

    def __init__(self, secret: bytes) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt=f"recsys row {VERSION}", signer_kwargs={"digest_method": hashlib.sha256})

    def write(self, request: PageRequest, row: Row) -> str | None:
        """Return the cursor of a row; None where nothing follows."""
        if not row.rest:
            return None
        # The rows of the page say nothing of what follows in this one.
        asked = {name: value for name, value in asdict(request).items() if name != "rows" and value not in (None, (), "")}
        return str(self._signer.dumps([asked, row.name, row.items[-1].position if row.items else 0, row.rest]))

    def read(self, cursor: str, k: int) -> RowTurn:
        """Return what a cursor asks for.

        Raises
        ------
        DataError
            The cursor was not written here, or by another version, or more than a day ago.
        """
        try:
            asked, name, after, items = self._signer.loads(cursor, max_age=MAX_AGE_SECONDS)
            row: RowName = name
            lists = {key: tuple(asked[key]) for key in ("basket", "viewed") if key in asked}
            return RowTurn(PageRequest(**(asked | lists)), row, tuple(items), after, k)
        except SignatureExpired:
            raise DataError("the cursor is older than a day: ask for the page again") from None
        except (BadData, TypeError, KeyError, ValueError):
            raise DataError("the cursor is not one of this shop's pages: take it whole from an answer, or ask for the page again") from None
