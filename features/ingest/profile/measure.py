"""Measures the data profile of an ingest: each column from the head of its file and one pass over the rows, and the tables as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.data.times.clock import clock_of
from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.column_guess import guesses
from features.ingest.profile.column_names import KNOWN
from features.ingest.profile.model import EXACT, CatalogueFacts, ColumnProfile, DataProfile, DominantId, LogFacts, TableProfile, TextFacts
from features.ingest.profile.value_forms import PLACEHOLDERS, escaped, form_of, id_forms
from features.ingest.readers.raw_table import ITEM_PREFIX
from features.ingest.values.placeholders import NULLS
from features.names import (
    ATTRIBUTES,
    AVAILABLE,
    BARCODE,
    BRAND,
    CATEGORY,
    CURRENCY,
    DESCRIPTION,
    EVENT,
    EVENT_ID,
    ITEM_ID,
    ORDER_ID,
    PRICE,
    QUERY,
    TEXT,
    TIMESTAMP,
    TITLE,
    UNIT_PRICE,
    USER_ID,
    VALUE,
)
from features.text.closest import plain_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from features.ingest.optional_tables import Table
    from features.ingest.profile.model import Reading
    from features.ingest.readers.raw_table import RawTable
    from features.ingest.source import Source
    from features.ingest.summary import TableSummary

HEAD = 1_000  # rows, where a table has no head
MOST_WORDS = 20  # words for events that are counted
FIFTH = 0.2  # share of all events that makes an id odd
FORMS_OF = 10_000  # ids whose form is looked at
LARGE = 200_000  # events; of a log of twice as many, a part is looked at for odd ids
_IDS = {ITEM_ID, USER_ID, EVENT_ID, ORDER_ID, BARCODE}
_TEXTS = {TITLE, DESCRIPTION, BRAND, QUERY, ATTRIBUTES, TEXT}
_SAID = {"items": "items", "interactions": "log"} | {name: one.title for name, one in OPTIONAL.items()}
# A byte order of another encoding: U+FFFD, UTF-8 read as cp1252, a question mark within a word.
_DAMAGED = r"\x{FFFD}|[ÃÂ][\x{80}-\x{BF}‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|\p{L}\?\p{L}"


@dataclass(frozen=True)
class IngestedTable:
    """One table of an ingest.

    Attributes
    ----------
    raw : as it was read; None for a catalogue that was taken from the log.
    summary : its counts of rows.
    understood : canonical column -> how the rules read its values, in words.
    """

    raw: RawTable | None
    summary: TableSummary
    understood: Mapping[str, str]


def measured(source: Source, items: IngestedTable, log: IngestedTable, catalogue: pl.LazyFrame, events: pl.LazyFrame) -> DataProfile:
    """Return the profile of the tables that were just written: the valid rows of both, in the order of the source."""
    raw_log = log.raw
    assert raw_log is not None
    if items.raw is None:
        carried = {f"{ITEM_PREFIX}{name}": said for name, said in items.understood.items()}
        log = replace(log, understood={**log.understood, **carried})
    item_ids = set(catalogue.select(ITEM_ID).head(FORMS_OF).collect()[ITEM_ID])
    of_log = table_profile("interactions", log, source, item_ids)
    of_items = table_profile("items", items, source, item_ids)
    if items.raw is None:
        of_items = of_items.model_copy(update={"file": of_log.file, "format": of_log.format})
    of_catalogue, raw = (of_log, raw_log) if items.raw is None else (of_items, items.raw)
    facts = catalogue_facts(catalogue, of_catalogue, raw)
    return DataProfile(items=of_items, interactions=of_log, catalogue=facts, log=log_facts(events, raw_log))


def table_profile(table: Table, one: IngestedTable, source: Source, item_ids: Collection[str]) -> TableProfile:
    """Return the profile of one table; `item_ids` are of the catalogue."""
    raw, summary = one.raw, one.summary
    facts = {"table": table, "read": summary.read, "kept": summary.kept, "quarantined": dict(summary.reasons)}
    if raw is None:
        return TableProfile(**facts, file="", format="canonical")
    head = raw.head
    if head is not None:
        facts |= {"encoding": head.encoding, "separator": head.separator}
    return TableProfile(**facts, file=_file(table, source, raw), format=raw.format, columns=_columns(table, raw, item_ids, one.understood))


def _file(table: Table, source: Source, raw: RawTable) -> str:
    if source.dataset is not None and table not in OPTIONAL:
        return f"{table} of {source.dataset}"
    if source.sql is not None and getattr(source.sql, table) is not None:
        return f"the query of the {_SAID[table]}"
    return raw.spec.path.name if raw.spec is not None else table


def _columns(table: Table, raw: RawTable, item_ids: Collection[str], understood: Mapping[str, str]) -> tuple[ColumnProfile, ...]:
    looked_for = raw.spec.columns if raw.spec is not None else None
    # A format may add columns, such as the event of a file of ratings: they are not the file's.
    ours = [name for name in raw.frame.collect_schema().names() if name != "row" and (looked_for is None or name in looked_for)]
    looked_for = looked_for or {name: (name,) for name in ours}
    rows = raw.frame.select(ours).head(HEAD).with_columns(pl.all().cast(pl.String, strict=False)).collect()
    sample = raw.head.sample if raw.head is not None else rows
    known = raw.format != "canonical"  # what a format does not read, it does not read on purpose
    in_records = raw.spec is not None and raw.spec.layout.records is not None and raw.head is not None and raw.head.separator is None
    read: dict[str, list[str]] = {}
    for name in ours:
        theirs = [one for one in looked_for.get(name, ()) if one in sample.columns]
        if not theirs and known and rows[name].null_count() == rows.height:
            continue  # neither in the file nor made by the format
        for one in theirs or [name]:
            read.setdefault(one, []).append(name)
    sources = [name for names in read.values() for name in names]
    shares = _shares(raw, ours, whole=table == "items")
    carried = any(name.startswith(ITEM_PREFIX) for name in ours)
    guessed = {} if known else guesses(sample, table, read, _free(table, ours), item_ids)
    if carried and not known:
        guessed |= {name: f"items.{one}" for name, one in guesses(sample, "items", {*read, *guessed}, _free("items", ours)).items()}
    columns = []
    for name in (*sample.columns, *(one for one in read if one not in sample.columns)):
        column = sample[name] if name in sample.columns else rows[read[name][0]]
        profile = _column(name, column, read.get(name, []), raw.spec.mapped if raw.spec is not None else (), guessed.get(name))
        if (known and profile.reading == "our name in another spelling") or (in_records and profile.reading == "not read"):
            profile = profile.model_copy(update={"reading": "by the format"})
        single = [one for one in read.get(name, []) if sources.count(one) == 1]
        said = next((understood[one] for one in read.get(name, []) if one in understood), profile.understood)
        columns.append(profile.model_copy(update={"understood": said, **(shares[single[0]] if single else {})}))
    return tuple(columns)


def _free(table: Table, read: Collection[str]) -> set[str]:
    """Return the canonical columns that nothing is read as; value and unit_price give the same fact."""
    if table == "items":
        return {name for name in KNOWN["items"] if name not in read and ITEM_PREFIX + name not in read}
    taken = {*read, *((VALUE, UNIT_PRICE) if {VALUE, UNIT_PRICE} & set(read) else ())}
    return set(KNOWN[table]) - taken


def _column(name: str, values: pl.Series, ours: list[str], mapped: Collection[str], guessed: str | None) -> ColumnProfile:
    """Return the profile of a column from a sample of its values."""
    bare = [one.removeprefix(ITEM_PREFIX) for one in ours]
    form = form_of(values.to_list(), "id" if _IDS & set(bare) else "text" if _TEXTS & set(bare) else None)
    stripped = values.str.strip_chars()
    reading: Reading = "not read"
    if ours:
        same = any(plain_name(name) == plain_name(one) for one in bare)
        other: Reading = "our name in another spelling" if same else "by the format"
        reading = "mapped" if set(ours) & set(mapped) else "our name" if name in bare else other
    return ColumnProfile(
        name=escaped(name),
        ours=tuple(f"items.{one.removeprefix(ITEM_PREFIX)}" if one.startswith(ITEM_PREFIX) else one for one in ours),
        reading=reading,
        looks_like=guessed,
        understood=form.words,
        examples=form.examples,
        missing=_rounded((stripped.is_null() | stripped.is_in(NULLS)).mean()),
        placeholders=_rounded(stripped.str.to_lowercase().is_in(PLACEHOLDERS).mean()),
        distinct=len(form.counts),
    )


def _shares(raw: RawTable, names: list[str], whole: bool) -> dict[str, dict[str, float | int]]:
    """Return for each column that is read its shares over all rows, in one pass. Of a log placeholders stay those of the sample."""
    frame, schema = raw.frame, raw.frame.collect_schema()
    figures: dict[str, pl.Expr] = {}
    for name in names:
        column = pl.col(name)
        empty = column.is_null() | column.is_in(NULLS) if schema[name] == pl.String else column.is_null()
        distinct = column.drop_nulls().n_unique() if raw.read <= EXACT else column.approx_n_unique()
        figures |= {f"missing {name}": empty.mean(), f"distinct {name}": distinct}
        if whole and schema[name] == pl.String:
            figures[f"placeholders {name}"] = column.str.strip_chars().str.to_lowercase().is_in(PLACEHOLDERS).mean()
    row = frame.select(**figures).collect(engine="streaming").row(0, named=True) if figures else {}
    shares: dict[str, dict[str, float | int]] = {name: {} for name in names}
    for key, value in row.items():
        figure, _, name = key.partition(" ")
        shares[name][figure] = int(value or 0) if figure == "distinct" else _rounded(value)
    return shares


def catalogue_facts(items: pl.LazyFrame, table: TableProfile, raw: RawTable) -> CatalogueFacts:
    """Return the facts of the items that were kept; `table` and `raw` are of the file that has them."""
    texts = [name for name in (TITLE, DESCRIPTION, BRAND, CATEGORY) if f"items.{name}" in table.by_ours]
    figures = {f"beyond_ascii {name}": pl.col(name).str.contains(r"[^\x00-\x7F]").mean() for name in texts}
    figures |= {f"damaged {name}": pl.col(name).str.contains(_DAMAGED).mean() for name in texts}
    row = (
        items.select(pl.col(AVAILABLE).fill_null(value=True).mean(), pl.col(PRICE).median(), **figures)
        .collect(engine="streaming")
        .row(0, named=True)
    )
    facts = {
        name: TextFacts(beyond_ascii=_rounded(row[f"beyond_ascii {name}"]), damaged=_rounded(row[f"damaged {name}"])) for name in texts
    }
    prefix = ITEM_PREFIX if table.table == "interactions" else ""
    return CatalogueFacts(
        available=_rounded(row[AVAILABLE]) if f"items.{AVAILABLE}" in table.by_ours else None,
        texts=facts,
        currency=_currency(raw.frame, prefix + CURRENCY, (prefix + PRICE,)),
        median_price=row[PRICE],
        id_forms=id_forms(items.select(ITEM_ID).head(FORMS_OF).collect()[ITEM_ID]),
    )


def log_facts(events: pl.LazyFrame, raw: RawTable | None = None) -> LogFacts:
    """Return the facts of the events that were kept; without the raw table, those that do not need it."""
    time, ids = pl.col(TIMESTAMP), (USER_ID, ITEM_ID)
    row = events.select(first=time.min(), last=time.max(), n=pl.len(), **{name: pl.col(name).hash().n_unique() for name in ids})
    facts = row.collect(engine="streaming").row(0, named=True)
    first, last, n = facts["first"], facts["last"], int(facts["n"])
    kinds = events.group_by(EVENT).agg(n=pl.len()).sort("n", EVENT, descending=[True, False]).collect(engine="streaming")
    sample = _sample(events.select(*ids, TIMESTAMP), n)
    clock = clock_of(events)
    return LogFacts(
        first=first,
        last=last,
        early=_time(sample[TIMESTAMP].quantile(0.01, "lower"), first),
        events_a_day=round(n / max((last - first) / timedelta(days=1), 1.0), 2),
        users=facts[USER_ID],
        items=facts[ITEM_ID],
        events=dict(kinds.iter_rows()),
        words=_words(raw),
        times=clock.kind,
        times_why=str(clock),
        dominant=(*_dominant(sample[USER_ID]), *_dominant(sample[ITEM_ID])),
        currency=_currency(raw.frame, CURRENCY, (VALUE, UNIT_PRICE)) if raw is not None else None,
        user_id_forms=id_forms(sample[USER_ID].unique(maintain_order=True).head(FORMS_OF)),
    )


def _time(value: object, default: datetime) -> datetime:
    return value if isinstance(value, datetime) else default


def _sample(events: pl.LazyFrame, n: int) -> pl.DataFrame:
    """Return all events of a small log, and every k-th of a large one: enough for shares."""
    every = n // LARGE
    if every > 1:
        events = events.with_row_index("place").filter(pl.col("place") % every == 0).drop("place")
    return events.collect(engine="streaming")


def _dominant(ids: pl.Series) -> list[DominantId]:
    """Return the id with a fifth of all events, if there is one; among fewer than ten ids some always has."""
    counts = ids.value_counts()
    value, count = counts.filter(pl.col("count") == counts["count"].max()).sort(ids.name).row(0)
    column, share = "user_id" if ids.name == USER_ID else "item_id", count / len(ids)
    return [DominantId(column=column, value=escaped(value), share=_rounded(share))] if counts.height >= 10 and share >= FIFTH else []


def _words(raw: RawTable | None) -> dict[str, int]:
    """Return the words of the event column with their counts; none if they are so many that the column holds something else."""
    if raw is None or EVENT not in raw.frame.collect_schema().names() or (raw.spec is not None and EVENT not in raw.spec.columns):
        return {}
    counts = raw.frame.group_by(EVENT).agg(n=pl.len()).collect(engine="streaming").drop_nulls().sort("n", EVENT, descending=[True, False])
    return {escaped(str(word)): n for word, n in counts.head(MOST_WORDS).iter_rows()} if counts.height <= MOST_WORDS else {}


def _currency(frame: pl.LazyFrame, column: str, prices: tuple[str, ...]) -> str | None:
    """Return the currency of nine values in ten: of its own column, or the sign or code beside the prices."""
    names = frame.collect_schema().names()
    if column in names:
        found = frame.select(pl.col(column).str.strip_chars().str.to_uppercase())
    elif price := next((name for name in prices if name in names), None):
        found = frame.select(
            pl.col(price).cast(pl.String).str.strip_chars().str.extract(r"^([$€£¥₹]|[A-Z]{3}\b)|([$€£¥₹]|\b[A-Z]{3})$", 0)
        ).head(HEAD)
    else:
        return None
    series = found.head(HEAD).collect().to_series().drop_nulls()
    counts = series.filter(~series.is_in(NULLS) & ~series.str.to_lowercase().is_in(PLACEHOLDERS)).value_counts(sort=True)
    if not counts.height:
        return None
    (word, most), total = counts.row(0), int(counts["count"].sum())
    return escaped(word) if most >= 0.9 * total else None


def _rounded(share: object) -> float:
    return round(float(share), 4) if isinstance(share, int | float) else 0.0
