"""The rules of reviews: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.data.ids import normal_id
from features.ingest.optional_tables import REVIEWS
from features.ingest.rules.checked_table import CheckedTable, Rule, checked, drop_rules, id_rules, refuse, survey, with_raw
from features.ingest.rules.log_rules import drop_user_rules, time_rules
from features.ingest.summary import NOTE
from features.ingest.times import time_forms, time_survey
from features.ingest.values.personal_data import KINDS, MASKED, in_words, masked, named_products
from features.ingest.values.placeholders import not_null_word, present, raw
from features.ingest.values.ratings import Ratings
from features.ingest.values.texts import CHANGES, DONE
from features.names import BRAND, ITEM_ID, STARS, TEXT, TIMESTAMP, TITLE, USER_ID
from features.text.clean import CLEANED, cleaned
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from features.ingest.readers.raw_table import RawTable
    from features.ingest.source import Source
    from features.ingest.values.ids import IdColumn

LONGEST = 10_000  # characters of a text that are kept
REPEATED = "duplicate review (the first one stays)"
LEAST_COPIED = 40  # characters of a text that two unknown people do not both write
_WORDS = {TITLE: "titles", TEXT: "texts"}  # with their plurals
_MASKS, _CUT = "masks", "cut"  # columns of a checked table: pieces of each kind that were masked, and whether a text was cut


def validate_reviews(table: pl.LazyFrame, source: Source, items: pl.LazyFrame) -> CheckedTable:
    """Check the rows of reviews alone.

    Parameters
    ----------
    items : the checked catalogue, whose brands are no names of persons.
    """
    raws = with_raw(table, REVIEWS.inputs)
    facts, ids = survey(table, raws, REVIEWS.title, [ITEM_ID, USER_ID], TIMESTAMP, ())
    form = time_survey.decide(raws, TIMESTAMP, facts, source.reviews_timestamp_format, "source.reviews_timestamp_format")
    ratings = Ratings.of(raws, source.reviews_scale)
    timed = pl.when(~time_forms.is_default(TIMESTAMP, form)).then(time_forms.read(TIMESTAMP, form))
    guests = [normal_id(guest) for guest in source.guests]
    user = ids[USER_ID].read()
    frame = _with_words(raws, source, _brands(items)).with_columns(
        item_id=ids[ITEM_ID].read(),
        user_id=pl.when(~user.is_in(guests)).then(user) if guests else user,
        timestamp=timed if TIMESTAMP in table.collect_schema() else pl.lit(None, pl.Datetime("us")),
        rating=ratings.read(),
    )
    notes = (*form.notes, *ratings.notes, *(note for column in ids.values() for note in column.notes))
    understood = {TIMESTAMP: str(form), STARS: str(ratings)}
    return CheckedTable(
        frame=checked(frame, _rules(source, ids, form), [*REVIEWS.inputs, CHANGES, _MASKS, _CUT]),
        notes=tuple(f"{NOTE}the {REVIEWS.title}: {note.removeprefix(NOTE)}" for note in notes),
        advice=form.advice,
        understood={name: said for name, said in understood.items() if name in table.collect_schema()},
        spellings=ids[USER_ID].spellings,
    )


def _rules(source: Source, ids: Mapping[str, IdColumn], form: time_forms.TimeForm) -> list[Rule]:
    untimed = present(TIMESTAMP).is_null() | time_forms.is_default(TIMESTAMP, form)
    return [
        *id_rules(ids[ITEM_ID]),
        *id_rules(ids[USER_ID])[1:],  # an author who is not known is no fault
        (pl.all_horizontal(pl.col(TEXT, TITLE, STARS).is_null()), "no text and no rating", TEXT),
        # Nor is a review without a time.
        *((holds & ~untimed, reason, name) for holds, reason, name in time_rules()[1:]),
        *drop_rules(source.drop_items),
        *drop_user_rules(source.drop_users),
    ]


def _brands(items: pl.LazyFrame) -> frozenset[str]:
    """Return what looks like a person's name and is the catalogue's: its brands, and the titled names of its products."""
    valid = items.filter(pl.col("reason").is_null())
    brands, titles = (valid.select(pl.col(name).unique()).collect()[name].drop_nulls().to_list() for name in (BRAND, TITLE))
    return frozenset(brand.lower() for brand in brands) | named_products((*brands, *titles))


def _with_words(raws: pl.LazyFrame, source: Source, brands: frozenset[str]) -> pl.LazyFrame:
    """Add title and text without markup and personal data, and what was done to them."""
    regions = source.reviews_phone_regions
    texts = {name: f"clean.{name}" for name in _WORDS}
    private = {name: f"private.{name}" for name in _WORDS}
    frame = raws.with_columns(
        raw(name).cast(pl.String).map_batches(cleaned, return_dtype=CLEANED, is_elementwise=True).alias(column)
        for name, column in texts.items()
    )
    frame = frame.with_columns(
        _tidy(pl.col(texts[name]).struct.field("text"), name)
        .map_batches(lambda values: masked(values, regions, brands), return_dtype=MASKED, is_elementwise=True)
        .alias(column)
        for name, column in private.items()
    )
    whole = {name: pl.col(column).struct.field("text") for name, column in private.items()}
    return frame.with_columns(
        *(text.str.head(LONGEST).str.strip_chars_end().alias(name) for name, text in whole.items()),
        pl.struct(pl.col(column).struct.field("changes").alias(name) for name, column in texts.items()).alias(CHANGES),
        pl.struct(pl.sum_horizontal(pl.col(column).struct.field(kind) for column in private.values()).alias(kind) for kind in KINDS).alias(
            _MASKS
        ),
        pl.any_horizontal(text.str.len_chars() > LONGEST for text in whole.values()).alias(_CUT),
    )


def _tidy(text: pl.Expr, name: str) -> pl.Expr:
    """Return text without control characters; a text keeps its lines, of which sentences may consist. Null where it says nothing."""
    if name == TEXT:
        lines = text.str.replace_all(r"\r\n?|[\u{2028}\u{2029}]", "\n").str.replace_all(r"[\p{Cc}\s--\n]+", " ")
        tidy = lines.str.replace_all(r" ?\n ?", "\n").str.replace_all(r"\n{3,}", "\n\n")
    else:
        tidy = text.str.replace_all(r"[\p{Cc}\s]+", " ")
    return not_null_word(tidy.str.strip_chars())


def mark_repeated(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Refuse all but the first of the valid rows in which one user says the same of an item.

    Where the author is not known, rows are the same only if their long text, rating and time are too: many say "Great!".
    """
    known, words = pl.col(USER_ID).is_not_null(), pl.coalesce(TITLE, TEXT).is_not_null()
    rest = pl.when(~known | ~words).then(pl.struct(STARS, TIMESTAMP))
    told = known | (pl.col(TEXT).str.len_chars() >= LEAST_COPIED)
    valid = frame.filter(pl.col("reason").is_null(), told)
    # Two of ten million different rows have the same 64 bits about once in 400,000 tables.
    keys = valid.select("row", key=pl.struct(USER_ID, ITEM_ID, TITLE, TEXT, rest.alias("rest")).hash())
    seen = keys.collect(engine="streaming").sort("row")
    again = seen.filter(~pl.col("key").is_first_distinct()).select("row", _again=pl.lit(value=True))
    if not again.height:
        return frame
    marked = frame.join(again.lazy(), on="row", how="left", maintain_order="left")
    return refuse(marked, pl.col("_again").is_not_null(), REPEATED, ITEM_ID).drop("_again")


def described(rules: CheckedTable) -> CheckedTable:
    """Complete the notes, once all rows are judged: what was cleaned, cut and masked in the rows that are kept, and what has no time."""
    valid = rules.frame.filter(pl.col("reason").is_null())
    notes = tuple(f"{NOTE}the {REVIEWS.title}: {note}" for note in _notes(valid))
    kinds = {kind: pl.col(_MASKS).struct.field(kind) for kind in KINDS}
    some = pl.sum_horizontal(kinds.values()) > 0
    sums = {kind: count.cast(pl.UInt32).sum() for kind, count in kinds.items()}
    facts = valid.select(**sums, rows=some.sum(), row=pl.col("row").filter(some).min()).collect(engine="streaming").row(0, named=True)
    rows = f" in {counted(facts['rows'], 'row')} (such as row {facts['row']:,})" if facts["rows"] else ""
    return replace(rules, notes=(*rules.notes, *notes), masked=in_words(facts) + rows)


def _notes(valid: pl.LazyFrame) -> Iterator[str]:
    tests = {"untimed": pl.col(TIMESTAMP).is_null(), "cut": pl.col(_CUT)}
    tests |= {f"{bit} {name}": (pl.col(CHANGES).struct.field(name) & bit) != 0 for bit, _ in DONE for name in _WORDS}
    firsts = {f"row {key}": pl.col("row").filter(test).min() for key, test in tests.items()}
    found = valid.select(pl.len().alias("all"), **{key: test.sum() for key, test in tests.items()}, **firsts)
    facts = found.collect(engine="streaming").row(0, named=True)
    if count := facts["untimed"]:
        which = "no row has a time" if count == facts["all"] else f"{counted(count, 'row')} {agree(count, 'has', 'have')} no time"
        yield f"{which} (row {facts['row untimed']:,}): kept, and left out where a period is asked for, as in alerts"
    if count := facts["cut"]:
        yield f"the words of {counted(count, 'row')} are cut after {LONGEST:,} characters (row {facts['row cut']:,})"
    for bit, what in DONE:
        names = {name: facts[f"{bit} {name}"] for name in _WORDS if facts[f"{bit} {name}"]}
        if names:
            row = min(facts[f"row {bit} {name}"] for name in names)
            yield f"{what} {' and '.join(counted(count, name, _WORDS[name]) for name, count in names.items())} (such as row {row:,})"


def private(raw_table: RawTable, source: Source) -> RawTable:
    """Mask what the quarantine shows of rows that could not be parsed."""
    offences = masked(raw_table.malformed["offence"], source.reviews_phone_regions).struct.field("text")
    return replace(raw_table, malformed=raw_table.malformed.with_columns(offence=offences))
