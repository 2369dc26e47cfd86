"""The rules of the search log: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import normal_id
from features.data.queries import QUERY_COLUMNS
from features.ingest.money.number_forms import number
from features.ingest.optional_tables import QUERIES
from features.ingest.rules.checked_table import CheckedTable, Rule, checked, drop_rules, id_rules, refuse, survey, with_raw
from features.ingest.rules.log_rules import drop_user_rules, time_rules
from features.ingest.summary import NOTE
from features.ingest.times import time_forms, time_survey
from features.ingest.values.placeholders import ID_PLACEHOLDERS, not_null_word, one_line, present, trimmed
from features.ingest.values.search_events import SearchEvents
from features.names import ITEM_ID, QUERY, RANK, SEARCH_EVENTS, SHOWN, TIMESTAMP, USER_ID
from features.text.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from features.ingest.rules.item_links import ItemLinks
    from features.ingest.source import Source
    from features.ingest.values.ids import IdColumn

SEARCH_LOG = QUERIES.title
LONGEST = 1_000  # characters of a query; no customer types more
LAST_RANK = 1_000_000
REPEATED = "duplicate row (the first one stays)"
# What programs write where nobody typed anything. Customers do type nan, NA, - and ?.
_NO_QUERY = ("", "NaN", "NAN", "null", "NULL", "None", "<NA>", "\\N", "(not set)", "(not provided)", "undefined", "[object Object]")
_SPACES = r"\p{Cc}|\s\s|[\s--\ ]"  # what `one_line` changes
_VISIBLE = r"[^\s\p{Cc}\p{Cf}]"


def validate_queries(table: pl.LazyFrame, source: Source) -> CheckedTable:
    """Check the rows of the search log alone; `linked` needs the catalogue, `mark_repeated` finds rows that are there twice."""
    raws = with_raw(table, QUERIES.inputs)
    facts, ids = survey(table, raws, SEARCH_LOG, [USER_ID, ITEM_ID], TIMESTAMP, ())
    form = time_survey.decide(raws, TIMESTAMP, facts, source.queries_timestamp_format, "source.queries_timestamp_format")
    events = SearchEvents.of(raws, source.queries_events)
    spaces, zeros = _surveyed(raws)
    text = trimmed(QUERY)
    guests = [normal_id(guest) for guest in source.guests]
    user = ids[USER_ID].read()
    whole = number(RANK).cast(pl.Int32, strict=False)
    frame = raws.with_columns(
        timestamp=time_forms.read(TIMESTAMP, form),
        query=not_null_word(one_line(text) if spaces else text, _NO_QUERY),
        item_id=ids[ITEM_ID].read(),
        event=events.read(),
        user_id=pl.when(~user.is_in(guests)).then(user) if guests else user,
    )
    place = whole + 1 if zeros else whole
    real = pl.col(ITEM_ID).is_not_null() & (whole == number(RANK)) & place.is_between(1, LAST_RANK)
    frame = frame.with_columns(rank=pl.when(real).then(place))
    notes = (*form.notes, *events.notes, *(note for column in ids.values() for note in column.notes), *_of_columns(table, zeros))
    return CheckedTable(
        frame=checked(frame, _rules(source, ids), list(QUERY_COLUMNS)),
        notes=tuple(f"{NOTE}the {SEARCH_LOG}: {note.removeprefix(NOTE)}" for note in notes),
        advice={**form.advice, **({"unknown event": events.advice} if events.advice else {})},
        understood={TIMESTAMP: str(form)},
        spellings=ids[USER_ID].spellings,
    )


def _surveyed(raws: pl.LazyFrame) -> tuple[bool, int]:
    """Return whether some queries have white space or control characters to mend, and of ranks that begin with 0, how often they do."""
    rank, of_item = number(RANK), present(ITEM_ID).is_not_null()
    spaces, zeros, ones = (
        raws.select(
            spaces=trimmed(QUERY).str.contains(_SPACES).any(), zeros=((rank == 0) & of_item).sum(), ones=((rank == 1) & of_item).sum()
        )
        .collect(engine="streaming")
        .row(0)
    )
    # Each list has a first place, and about as often a second one: a program's default of 0 is rarer, or stands alone.
    return bool(spaces), zeros if ones and zeros >= ones / 2 else 0


def _of_columns(table: pl.LazyFrame, zeros: int) -> Iterator[str]:
    names = table.collect_schema()
    if ITEM_ID not in names:
        yield f"{NOTE}it has no {ITEM_ID}: it says what was typed, and nothing of what was {SHOWN}"
    if zeros:
        yield f"{NOTE}{RANK} is counted from 0 (in {counted(zeros, 'row')}), and read as counted from 1: a {RANK} of 0 is read as 1"


def _rules(source: Source, ids: Mapping[str, IdColumn]) -> list[Rule]:
    text, of_item = pl.col(QUERY), pl.col(ITEM_ID).is_not_null()
    ranked = of_item & ~pl.col(ITEM_ID).is_in(ID_PLACEHOLDERS) & present(RANK).is_not_null()
    return [
        (text.is_null() | ~text.str.contains(_VISIBLE), "no query", QUERY),
        (text.str.len_chars() > LONGEST, f"query longer than {LONGEST:,} characters", QUERY),
        *time_rules(),
        (~pl.col("event").is_in(SEARCH_EVENTS), "unknown event", "event"),
        # A query that showed nothing, and a user who is not known, are no fault.
        *id_rules(ids[ITEM_ID])[1:],
        *id_rules(ids[USER_ID])[1:],
        (~of_item & (pl.col("event") != SHOWN), f"no {ITEM_ID}", ITEM_ID),
        *drop_rules(source.drop_items),
        *drop_user_rules(source.drop_users),
        (ranked & pl.col(RANK).is_null(), "impossible rank", RANK),
    ]


def mark_repeated(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Refuse all but the first of the valid rows that are the same in all columns.

    Rows without a user and a time of day are left alone: nothing tells whether two of them are one visit.
    """
    told = pl.col(USER_ID).is_not_null() | (pl.col(TIMESTAMP).dt.time() != pl.time(0))
    valid = frame.filter(pl.col("reason").is_null(), told)
    # Two of ten million different rows have the same 64 bits about once in 400,000 logs.
    keys = valid.select("row", key=pl.struct(*QUERY_COLUMNS).hash()).collect(engine="streaming").sort("row")
    again = keys.filter(~pl.col("key").is_first_distinct()).select("row", _again=pl.lit(value=True))
    if not again.height:
        return frame
    marked = frame.join(again.lazy(), on="row", how="left", maintain_order="left")
    return refuse(marked, pl.col("_again").is_not_null(), REPEATED, QUERY).drop("_again")


def linked(frame: pl.LazyFrame, links: ItemLinks) -> pl.LazyFrame:
    """Read ids of items as those of the catalogue, and refuse valid rows whose item it does not have.

    A row without an item stays; so does a shown one whose item is a word that stands for none.
    """
    before = frame.with_columns(_reason="reason", _offence="offence", _none=_nothing_shown(links))
    marked, none = links.mark(before), pl.col("_none")
    return marked.with_columns(
        reason=pl.when(none).then("_reason").otherwise("reason"),
        offence=pl.when(none).then("_offence").otherwise("offence"),
        item_id=pl.when(~none).then("item_id"),
        rank=pl.when(~none).then("rank"),
    ).drop("_reason", "_offence", "_none")


def _nothing_shown(links: ItemLinks) -> pl.Expr:
    word = pl.col(ITEM_ID).is_in([*links.missing]) & (pl.col("event") == SHOWN) if links.missing else pl.lit(value=False)
    return pl.col(ITEM_ID).is_null() | word
