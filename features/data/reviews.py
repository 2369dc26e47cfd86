"""What customers say of items: reviews over integer rows of users and items."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from features.errors import DataError
from features.names import GROUP_ID, ITEM_ID, ROW, STARS, TEXT, TIMESTAMP, TITLE, USER_ID
from features.storage.columns import check_columns, check_rows
from features.storage.digests import of_strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.catalog import Catalog

# Canonical columns of reviews with external ids. The first is required, and the text or the rating.
REVIEW_COLUMNS: dict[str, pl.DataType] = {
    ITEM_ID: pl.String(),
    TEXT: pl.String(),
    STARS: pl.Float64(),
    TITLE: pl.String(),
    TIMESTAMP: pl.Datetime("us"),
    USER_ID: pl.String(),
    ROW: pl.Int64(),
}
LOWEST, HIGHEST = 1.0, 5.0  # rating
NONE = -1  # stands for no user
NO_TIME = -1  # stands for no time: no review has a time before 1971
_ARRAYS = {"user": np.int32, "item": np.int32, "time": np.int64, "rating": np.float32, "row": np.int64}
_TEXTS = ("title", "text")
_ENDED = r"[\p{P}--[)\]\"'’”»*_#&@%/\\-]]$"  # a title that ends like a sentence


@dataclass(frozen=True, eq=False)
class Reviews:
    """Reviews of a shop's items, sorted by time; those without a time come first.

    Attributes
    ----------
    user_ids : object (n_users,)
        External id of each user row: those of the log in its order, then those who only wrote reviews, sorted.
    user : int32 (n,)
        Rows of `user_ids`; `NONE` where the author is unknown.
    item : int32 (n,)
        Rows of the catalogue.
    time : int64 (n,)
        Seconds since the epoch; `NO_TIME` where it is unknown.
    rating : float32 (n,)
        From `LOWEST` to `HIGHEST`; nan where there is none.
    title, text : String (n,)
        Empty where there is none.
    row : int64 (n,)
        Row in the shop's file, where a quote can be found again; 0 where it is unknown.
    n_items : int
        Items in the catalogue.

    Raises
    ------
    DataError
        If the columns differ in length or type, a row refers to nothing, a rating lies outside the scale, or times fall.
    """

    user_ids: np.ndarray
    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    rating: np.ndarray
    title: pl.Series
    text: pl.Series
    row: np.ndarray
    n_items: int

    def __post_init__(self) -> None:
        check_columns(self, _ARRAYS, self.item.shape, "the reviews", "use Reviews.of")
        for name in _TEXTS:
            texts = getattr(self, name)
            if texts.dtype != pl.String or len(texts) != len(self) or texts.null_count():
                found = f"{len(texts)} of {texts.dtype}, {texts.null_count()} of them null"
                raise DataError(f"{name} of the reviews is {found}, expected {len(self)} strings: use Reviews.of")
        rated = self.rating[~np.isnan(self.rating)]
        if len(rated) and not rated.min() >= LOWEST <= rated.max() <= HIGHEST:
            found = f"from {rated.min():g} to {rated.max():g}"
            raise DataError(f"ratings of the reviews run {found}, expected {LOWEST:g} to {HIGHEST:g}: run `recsys ingest` on them first")
        check_rows(self, {"user": (NONE, len(self.user_ids)), "item": (0, self.n_items)}, "the reviews", "use Reviews.of")
        if len(self) and (self.time.min() < NO_TIME or (np.diff(self.time) < 0).any()):
            raise DataError("the reviews are not sorted by time: use Reviews.of")

    @classmethod
    def of(cls, frame: pl.DataFrame, catalog: Catalog, user_ids: Sequence[str] | np.ndarray = ()) -> Self:
        """Convert canonical rows with external ids; drop rows of items outside the catalogue.

        A review of a product, by the `group_id` of its variants, is one of the first variant.

        Parameters
        ----------
        user_ids : ids whose rows the users keep, such as `Interactions.user_ids`; others get rows after these.

        Raises
        ------
        DataError
            If a required column is missing, or the rows are no valid reviews.
        """
        if ITEM_ID not in frame.columns or not {TEXT, STARS} & set(frame.columns):
            raise DataError(f"the reviews lack {ITEM_ID}, or {TEXT} and {STARS}; found {frame.columns}: map your names in recsys.toml")
        table = frame.select(
            pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name) for name, kind in REVIEW_COLUMNS.items()
        )
        known = pl.Series(USER_ID, list(user_ids), dtype=pl.String)
        authors = table[USER_ID].unique().drop_nulls()
        users = pl.concat([known, authors.filter(~authors.is_in(known.implode())).sort()])
        of_items = pl.DataFrame({ITEM_ID: catalog.frame[ITEM_ID]}).with_row_index("item")
        of_groups = pl.DataFrame({ITEM_ID: catalog.frame[GROUP_ID]}).with_row_index("item").drop_nulls(ITEM_ID)
        item_rows = pl.concat([of_items, of_groups]).unique(ITEM_ID, keep="first", maintain_order=True)
        user_rows = pl.DataFrame({USER_ID: users}).with_row_index("user")
        for rows, ids, column in ((user_rows, USER_ID, "user"), (item_rows, ITEM_ID, "item")):
            codes = rows.with_columns(pl.col(column).cast(pl.Int32))
            table = table.join(codes, on=ids, how="left", maintain_order="left").with_columns(pl.col(column).fill_null(NONE))
        table = table.filter(pl.col("item") != NONE).with_columns(
            pl.col(TITLE, TEXT).fill_null(""),
            pl.col(ROW).fill_null(0),
            pl.col(STARS).cast(pl.Float32).fill_null(float("nan")),
            time=pl.col(TIMESTAMP).dt.epoch("s").fill_null(NO_TIME),
        )
        # The other columns break ties, so that the same rows in any order give the same reviews.
        table = table.sort("time", ITEM_ID, USER_ID, ROW, TEXT, TITLE, STARS)
        names = {"user": "user", "item": "item", "time": "time", "rating": STARS, "row": ROW}
        arrays = {ours: table[name].to_numpy() for ours, name in names.items()}
        return cls(users.to_numpy(), title=table[TITLE].alias("title"), text=table[TEXT].alias("text"), **arrays, n_items=len(catalog))

    def __len__(self) -> int:
        return len(self.item)

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, 64 hex digits."""
        digest = hashlib.sha256(of_strings(self.user_ids.tolist()))
        for name in _TEXTS:
            digest.update(of_strings(getattr(self, name).to_list()))
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()

    @property
    def full_text(self) -> pl.Series:
        """Title and text of each review as one text, String (n,).

        A title that does not end like a sentence gets a full stop. One with which the text begins is not said twice.
        """
        title, text = pl.col("title").str.strip_chars(), pl.col("text").str.strip_chars()
        joined = title + pl.when(title.str.contains(_ENDED)).then(pl.lit(" ")).otherwise(pl.lit(". ")) + text
        said = text.str.starts_with(title.str.strip_chars_end(".… "))
        whole = pl.when(text == "").then(title).when((title == "") | said).then(text).otherwise(joined)
        return pl.DataFrame({"title": self.title, "text": self.text}).select(text=whole)["text"]

    def where(self, mask: np.ndarray) -> Self:
        """Select the reviews where `mask`, bool (n,), is true; rows of users and items stay the same."""
        return self._part(np.flatnonzero(mask))

    def between(self, start: int | None, end: int | None) -> Self:
        """Select the reviews with start <= time < end, in seconds since the epoch; None means no bound.

        With a bound, reviews without a time are left out: nothing tells on which side they lie.
        """
        if start is None and end is None:
            return self
        first = int(np.searchsorted(self.time, max(NO_TIME + 1, start or 0)))
        last = len(self) if end is None else int(np.searchsorted(self.time, end))
        return self._part(np.arange(first, max(first, last)))

    def _part(self, places: np.ndarray) -> Self:
        texts = {name: getattr(self, name).gather(places) for name in _TEXTS}
        return replace(self, **texts, **{name: getattr(self, name)[places] for name in _ARRAYS})
