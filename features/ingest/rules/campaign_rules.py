"""The rules of campaigns: raw text becomes typed, canonical columns, and a refused row gets its first reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.data.campaigns import CAMPAIGN_COLUMNS
from features.ingest.money import number_forms, number_survey
from features.ingest.optional_tables import CAMPAIGNS
from features.ingest.rules.checked_table import CheckedTable, Rule, checked, id_rules, refuse, survey, with_raw
from features.ingest.rules.log_rules import drop_user_rules, time_rules
from features.ingest.summary import NOTE
from features.ingest.times import time_forms, time_survey
from features.ingest.values import words
from features.ingest.values.placeholders import line, not_null_word, one_line, present, raw, trimmed
from features.names import CAMPAIGN_ID, CATEGORY, COST, HOLDOUT, ITEM_ID, OFFER, REDEEMED_AT, SENT_AT, USER_ID
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from features.ingest.rules.item_links import ItemLinks
    from features.ingest.source import Source
    from features.ingest.values.ids import IdColumn

REPEATED = "duplicate row (the first one stays)"
_TIMES = (SENT_AT, REDEEMED_AT)
_FORMAT = "source.campaigns_timestamp_format"
_UNLINKED = "unlinked"  # column of a checked table: the item that the catalogue does not have


def validate_campaigns(table: pl.LazyFrame, source: Source) -> CheckedTable:
    """Check the rows of campaigns alone; `linked` needs the catalogue, `mark_repeated` finds rows that are there twice."""
    raws = with_raw(table, CAMPAIGNS.inputs)
    facts, ids = survey(table, raws, CAMPAIGNS.title, [CAMPAIGN_ID, USER_ID, ITEM_ID], SENT_AT, (COST,))
    facts |= raws.select(**words.survey(HOLDOUT)).collect(engine="streaming").row(0, named=True)
    found = table.collect_schema()
    forms = {name: _form(table, raws, name, source) for name in _TIMES}
    cost, said = number_survey.decide(raws, COST, facts, source.decimal)
    frame = raws.with_columns(
        campaign_id=ids[CAMPAIGN_ID].read(),
        user_id=ids[USER_ID].read(),
        item_id=ids[ITEM_ID].read(),
        offer=not_null_word(one_line(trimmed(OFFER))),
        category=line(raw(CATEGORY).cast(pl.String)),
        cost=number_forms.read(COST, cost),
        holdout=words.available(HOLDOUT, facts, {}),
        **{
            name: time_forms.read(name, form) if name in table.collect_schema() else pl.lit(None, pl.Datetime("us"))
            for name, form in forms.items()
        },
    )
    notes = (*(note for form in forms.values() for note in form.notes), *said, *(note for column in ids.values() for note in column.notes))
    return CheckedTable(
        frame=checked(frame, _rules(source, ids), list(CAMPAIGN_COLUMNS)),
        notes=tuple(f"{NOTE}the {CAMPAIGNS.title}: {note.removeprefix(NOTE)}" for note in notes),
        advice={key: text for form in forms.values() for key, text in form.advice.items()},
        understood={name: str(form) for name, form in forms.items() if name in found},
        spellings=ids[USER_ID].spellings,
    )


def _form(table: pl.LazyFrame, raws: pl.LazyFrame, name: str, source: Source) -> time_forms.TimeForm:
    """Return how a column spells its times."""
    kind = table.collect_schema().get(name)
    if kind is None or isinstance(kind, pl.Datetime):
        return time_forms.TimeForm(native=True)
    facts = time_survey.uniform(raws, name) or raws.select(**time_survey.survey(name)).collect(engine="streaming").row(0, named=True)
    return time_survey.decide(raws, name, facts, source.campaigns_timestamp_format, _FORMAT)


def _rules(source: Source, ids: Mapping[str, IdColumn]) -> list[Rule]:
    held, cost, redeemed = pl.col(HOLDOUT).fill_null(value=False), pl.col(COST), pl.col(REDEEMED_AT)
    untimed = held & present(SENT_AT).is_null()  # nothing was sent
    return [
        *id_rules(ids[CAMPAIGN_ID]),
        *id_rules(ids[USER_ID]),
        *drop_user_rules(source.drop_users),
        (present(HOLDOUT).is_not_null() & pl.col(HOLDOUT).is_null(), f"{HOLDOUT} is neither yes nor no", HOLDOUT),
        *((holds & ~untimed, reason, name) for holds, reason, name in time_rules(SENT_AT)),
        (present(COST).is_not_null() & cost.is_null(), f"{COST} is not a number", COST),
        (cost < 0, f"negative {COST}", COST),
        (present(REDEEMED_AT).is_not_null() & redeemed.is_null(), f"{REDEEMED_AT} not understood", REDEEMED_AT),
        (redeemed < pl.col(SENT_AT), "redeemed before it was sent", REDEEMED_AT),
    ]


def mark_repeated(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Refuse all but the first of the valid rows in which a campaign sends a customer the same at the same time."""
    columns = (CAMPAIGN_ID, USER_ID, SENT_AT, OFFER, ITEM_ID, CATEGORY)
    keys = frame.filter(pl.col("reason").is_null()).select("row", key=pl.struct(*columns).hash()).collect(engine="streaming").sort("row")
    again = keys.filter(~pl.col("key").is_first_distinct()).select("row", _again=pl.lit(value=True))
    marked = frame.join(again.lazy(), on="row", how="left", maintain_order="left")
    return refuse(marked, pl.col("_again").is_not_null(), REPEATED, CAMPAIGN_ID).drop("_again")


def linked(frame: pl.LazyFrame, links: ItemLinks) -> pl.LazyFrame:
    """Read ids of items as those of the catalogue. A row of an unknown item stays without it: the customer was written to all the same."""
    before = frame.with_columns(_reason="reason", _offence="offence", _item=ITEM_ID)
    unknown = pl.col("reason").is_not_null() & pl.col("_reason").is_null()
    marked = links.mark(before).with_columns(
        pl.when(~unknown).then(ITEM_ID).alias(ITEM_ID),
        pl.when(unknown).then("_item").alias(_UNLINKED),
        reason="_reason",
        offence="_offence",
    )
    return marked.drop("_reason", "_offence", "_item")


def described(rules: CheckedTable) -> CheckedTable:
    """Complete the notes, once all rows are judged: items that are not known, and campaigns without a holdout."""
    valid = rules.frame.filter(pl.col("reason").is_null())
    return replace(rules, notes=(*rules.notes, *(f"{NOTE}the {CAMPAIGNS.title}: {note}" for note in _notes(valid))))


def _notes(valid: pl.LazyFrame) -> Iterator[str]:
    unlinked = pl.col(_UNLINKED)
    facts = valid.select(rows=unlinked.count(), example=unlinked.drop_nulls().first(), held=pl.col(HOLDOUT).sum()).collect(
        engine="streaming"
    )
    rows, example, held = facts.row(0)
    if rows:
        yield f"{counted(rows, 'row')} {agree(rows, 'names', 'name')} an item that the catalogue lacks ({example!r}): kept without it"
    if not held:
        yield "no customer was held out by chance: what a campaign brought cannot be told from what customers would have bought anyway"
