"""The search log over integer rows of queries, users and items: what people typed, and what became of the items they were shown."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from features.errors import DataError
from features.names import EVENT, ITEM_ID, QUERY, RANK, SEARCH_EVENTS, SHOWN, TIMESTAMP, USER_ID
from features.storage.columns import check_columns, check_rows
from features.storage.digests import of_strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.catalog import Catalog

# Canonical columns of a search log with external ids. The first two are required.
QUERY_COLUMNS: dict[str, pl.DataType] = {
    TIMESTAMP: pl.Datetime("us"),
    QUERY: pl.String(),
    ITEM_ID: pl.String(),
    EVENT: pl.String(),
    RANK: pl.Int32(),
    USER_ID: pl.String(),
}
NONE = -1  # stands for no item or no user
_COLUMNS = {"query": np.int32, "user": np.int32, "item": np.int32, "time": np.int64, "event": np.int8, "rank": np.int32}
_SHOWN = SEARCH_EVENTS.index(SHOWN)


@dataclass(frozen=True)
class Queries:
    """The search log, sorted by time; one row is one item that was shown, clicked, put into the cart or bought after a query.

    A query that showed nothing is one row without an item, whose event is `shown`. Where no row has an item, the log says what was typed
    and nothing of what was shown.

    Attributes
    ----------
    texts : object (n_texts,)
        The distinct queries as they were typed, sorted.
    user_ids : object (n_users,)
        External id of each user row: those of the log in its order, then those who only searched, sorted.
    query : int32 (n,)
        Rows of `texts`.
    user, item : int32 (n,)
        Rows; `NONE` where the user is unknown, or no item was shown.
    time : int64 (n,)
        Seconds since the epoch.
    event : int8 (n,)
        Index into `features.names.SEARCH_EVENTS`.
    rank : int32 (n,)
        Place of the item in the list, from 1; 0 where it is unknown.
    n_items : int
        Items in the catalogue.

    Raises
    ------
    DataError
        If the columns differ in length or type, a row refers to nothing, an event has no item that must have one, or times fall.
    """

    texts: np.ndarray
    user_ids: np.ndarray
    query: np.ndarray
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    event: np.ndarray
    rank: np.ndarray
    n_items: int

    def __post_init__(self) -> None:
        check_columns(self, _COLUMNS, self.query.shape, "the search log", "use Queries.of")
        ends = {
            "query": (0, len(self.texts)),
            "user": (NONE, len(self.user_ids)),
            "item": (NONE, self.n_items),
            "event": (0, len(SEARCH_EVENTS)),
        }
        check_rows(self, ends, "the search log", "use Queries.of")
        if len(self) and self.rank.min() < 0:
            raise DataError(f"a rank of the search log is {self.rank.min()}, expected 1 or more, or 0 where it is unknown")
        if ((self.item == NONE) & (self.event != _SHOWN)).any():
            raise DataError(f"a row of the search log has no item and an event other than {SHOWN}: run `recsys ingest` on it first")
        if (np.diff(self.time) < 0).any():
            raise DataError("the search log is not sorted by time: use Queries.of")

    @classmethod
    def of(cls, frame: pl.DataFrame, catalog: Catalog, user_ids: Sequence[str] | np.ndarray = ()) -> Self:
        """Convert canonical rows with external ids; drop rows of items outside the catalogue.

        Parameters
        ----------
        user_ids : ids whose rows the users keep, such as `Interactions.user_ids`; others get rows after these.

        Raises
        ------
        DataError
            If a required column is missing, or an event is unknown.
        """
        missing = {TIMESTAMP, QUERY} - set(frame.columns)
        if missing:
            raise DataError(f"the search log lacks {sorted(missing)}; found {frame.columns}: map your names in recsys.toml")
        columns = [
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name) for name, kind in QUERY_COLUMNS.items()
        ]
        table = frame.select(columns).with_columns(pl.col(EVENT).fill_null(SHOWN))
        unknown = sorted(set(table[EVENT].unique()) - set(SEARCH_EVENTS))
        if unknown:
            raise DataError(f"the search log has the event {unknown[0]!r}, expected one of {', '.join(SEARCH_EVENTS)}")
        texts = table[QUERY].unique().sort()
        known = pl.Series(USER_ID, list(user_ids), dtype=pl.String)
        searched = table[USER_ID].unique().drop_nulls()
        users = pl.concat([known, searched.filter(~searched.is_in(known.implode())).sort()])
        ids = {QUERY: texts, USER_ID: users, ITEM_ID: catalog.frame[ITEM_ID]}
        table = table.with_columns(time=pl.col(TIMESTAMP).dt.epoch("s"), rank=pl.col(RANK).fill_null(0)).drop(TIMESTAMP)
        for name, values in ids.items():
            rows = pl.DataFrame({name: values}).with_row_index("row").with_columns(pl.col("row").cast(pl.Int32))
            table = table.join(rows, on=name, how="left", maintain_order="left")
            if name == ITEM_ID:
                table = table.filter(pl.col("row").is_not_null() | pl.col(name).is_null())
            table = table.drop(name).with_columns(pl.col("row").fill_null(NONE)).rename({"row": name})
        events = pl.col(EVENT).replace_strict(list(SEARCH_EVENTS), list(range(len(SEARCH_EVENTS))), return_dtype=pl.Int8)
        # The other columns break ties, so that the same rows in any order give the same log.
        table = table.with_columns(events).sort("time", QUERY, USER_ID, RANK, ITEM_ID, EVENT)
        names = {"query": QUERY, "user": USER_ID, "item": ITEM_ID, "time": "time", "event": EVENT, "rank": RANK}
        arrays = {ours: table[name].to_numpy() for ours, name in names.items()}
        return cls(texts.to_numpy(), users.to_numpy(), **arrays, n_items=len(catalog))

    def __len__(self) -> int:
        return len(self.query)

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, 64 hex digits."""
        digest = hashlib.sha256(of_strings(self.texts.tolist()))
        digest.update(of_strings(self.user_ids.tolist()))
        for name in _COLUMNS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()

    def with_users(self, user_ids: np.ndarray) -> Self:
        """Give users the rows that they have among other ids; of all others only the searches stay, as those of unknown visitors."""
        row_of = {user: row for row, user in enumerate(user_ids.tolist())}
        rows = np.array([row_of.get(user, NONE) for user in self.user_ids.tolist()] + [NONE], dtype=np.int32)
        return replace(self, user_ids=user_ids, user=rows[self.user])

    def where(self, mask: np.ndarray) -> Self:
        """Select the rows where `mask`, bool (n,), is true; rows of queries, users and items stay the same."""
        return replace(self, **{name: getattr(self, name)[mask] for name in _COLUMNS})

    def between(self, start: int | None, end: int | None) -> Self:
        """Select the rows with start <= time < end, in seconds since the epoch; None means no bound."""
        first = 0 if start is None else int(np.searchsorted(self.time, start))
        last = len(self) if end is None else int(np.searchsorted(self.time, end))
        return replace(self, **{name: getattr(self, name)[first : max(first, last)] for name in _COLUMNS})

    def counts(self) -> pl.DataFrame:
        """Count the distinct queries.

        Returns
        -------
        A row for each query that has rows, the most frequent first: `query`; `searches`, the moments at which one user was shown its list,
        or, where the log has no such rows, at which one user did anything with it; `users`, who are known; the rows of each event; `empty`,
        the rows that showed nothing.
        """
        table = pl.DataFrame({name: getattr(self, name) for name in _COLUMNS})
        visit, shown = pl.struct("user", "time"), pl.col("event") == _SHOWN
        events = {event: (pl.col("event") == code).sum() for code, event in enumerate(SEARCH_EVENTS)}
        counted = table.group_by("query").agg(
            searches=pl.when(shown.any()).then(visit.filter(shown).n_unique()).otherwise(visit.n_unique()),
            users=pl.col("user").filter(pl.col("user") != NONE).n_unique(),
            **events,
            empty=(pl.col("item") == NONE).sum(),
        )
        texts = pl.DataFrame({"text": pl.Series(self.texts, dtype=pl.String)}).with_row_index("query")
        named = counted.with_columns(pl.col("query").cast(pl.UInt32)).join(texts, on="query").with_columns(query="text").drop("text")
        return named.sort("searches", "query", descending=[True, False])
