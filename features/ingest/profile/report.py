"""The data profile as lines of text: in short for every ingest, in full for a look before one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.data.ids import visible
from features.ingest.formats.layout import PRIVATE, REFUSED
from features.ingest.optional_tables import OPTIONAL
from features.ingest.profile.model import EXACT
from features.names import USER_ID
from features.text.plain import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.ingest.optional_tables import OptionalName
    from features.ingest.profile.model import ColumnProfile, DataProfile, DominantId, LogFacts, TableProfile

UNREAD_SHOWN = 5
EMPTY = " (empty)"


def short(profile: DataProfile) -> str:
    """Return a few lines for each table."""
    lines = [*table_lines(profile.items), *table_lines(profile.interactions), *(f"  {line}" for line in _short_log(profile))]
    for name, facts in _OPTIONAL_LINES.items():
        if (table := getattr(profile, name)) is not None:
            lines += [*table_lines(table), *(f"  {line}" for line in facts(profile))]
    return "\n".join(lines)


def _short_log(profile: DataProfile) -> list[str]:
    """Return the facts of the log without what a note says already, and without the reason where its times are plain times."""
    log = profile.log
    told = [
        _dominant(one) for one in log.dominant if any(note.startswith(f"note: user {visible(one.value)} has ") for note in profile.notes)
    ]
    usual = [log.times_why] if log.times in ("times", "dates") else []
    return [line for line in log_lines(log) if line not in (*told, *usual)]


def full(profile: DataProfile) -> str:
    """Return a line for each column, and what the tables hold as a whole."""
    lines: list[str] = []
    for table in profile.tables:
        lines += [_title(table), *_column_lines(table), ""] if table.columns else [_title(table), ""]
    lines += ["the catalogue", *(f"  {line}" for line in catalogue_lines(profile)), ""]
    lines += ["the log", *(f"  {line}" for line in log_lines(profile.log))]
    for name, facts in _OPTIONAL_LINES.items():
        if getattr(profile, name) is not None:
            lines += ["", f"the {OPTIONAL[name].title}", *(f"  {line}" for line in facts(profile))]
    return "\n".join(lines)


def table_lines(table: TableProfile) -> list[str]:
    """Return what was read of a table, and what was not, each on a line."""
    lines = [_title(table)]
    read: dict[str, list[str]] = {}
    for column in table.columns:
        if ours := _ours(column):
            read.setdefault(ours, []).append(f"{column.name}{_empty(column)}")
    if read:
        lines.append(f"  read: {', '.join(_from(ours, names) for ours, names in read.items())}")
    used = [column.name for column in table.columns if column.ours and not _ours(column) and column.name not in column.ours]
    if used:
        lines.append(f"  used: {', '.join(used)}")
    if table.not_read:
        lines.append(f"  not read: {unread(table)}")
    return lines


def unread(table: TableProfile, most: int = UNREAD_SHOWN) -> str:
    """Return the columns that are not read, with the ones of ours that they may be."""
    shown = [_question(column) for column in table.not_read[:most]]
    rest = len(table.not_read) - len(shown)
    return ", ".join(shown + ([f"and {rest} more"] if rest > 0 else []))


def catalogue_lines(profile: DataProfile) -> Iterator[str]:
    """Return facts of the items that were kept."""
    facts = profile.catalogue
    yield f"{counted(profile.items.kept, 'item')}, ids like {_forms(facts.id_forms)}"
    if facts.available is not None:
        yield f"available: {facts.available:.0%} of the items"
    if facts.currency is not None:
        yield f"currency of the prices: {facts.currency}"
    for name, texts in facts.texts.items():
        if texts.damaged:
            yield f"{name}: {texts.damaged:.1%} of the items have damaged letters"


def log_lines(log: LogFacts) -> Iterator[str]:
    """Return facts of the events that were kept."""
    n = sum(log.events.values())
    span = f"{log.first:%Y-%m-%d}" + (f" to {log.last:%Y-%m-%d}" if log.last.date() > log.first.date() else "")
    who = f"{counted(log.users, 'user')} with {counted(log.items, 'item')}"
    yield f"{counted(n, 'event')} of {who}, {span}, {log.events_a_day:,.1f} a day"
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in log.events.items())
    words = ", ".join(f"{word} {count:,}" for word, count in list(log.words.items())[:8])
    yield f"events: {kinds}" + (f" (in the file: {words})" if words and set(log.words) != set(log.events) else "")
    yield log.times_why
    for one in log.dominant:
        yield _dominant(one)


def search_lines(profile: DataProfile) -> Iterator[str]:
    """Return facts of the search log's rows that were kept; none without a search log."""
    facts = profile.search
    if facts is None or facts.first is None or facts.last is None:
        return
    span = f"{facts.first:%Y-%m-%d}" + (f" to {facts.last:%Y-%m-%d}" if facts.last.date() > facts.first.date() else "")
    queries = counted(facts.distinct, "distinct query", "distinct queries")
    yield f"{counted(facts.rows, 'row')} of {queries} and {counted(facts.users, 'user')}, with {counted(facts.items, 'item')}, {span}"
    empty = f"; {counted(facts.empty, 'row')} without an item" if facts.empty else ""
    yield f"events: {', '.join(f'{kind} {count:,}' for kind, count in facts.events.items())}{empty}"


def review_lines(profile: DataProfile) -> Iterator[str]:
    """Return facts of the reviews that were kept; none without reviews."""
    facts = profile.opinions
    if facts is None:
        return
    span = f", {facts.first:%Y-%m-%d} to {facts.last:%Y-%m-%d}" if facts.first is not None and facts.last is not None else ""
    yield f"{counted(facts.rows, 'review')} of {counted(facts.items, 'item')} by {counted(facts.users, 'known user')}{span}"
    stars = f": {', '.join(f'{star} stars {count:,}' for star, count in facts.stars.items())}" if facts.stars else ""
    yield f"{facts.texts:,} with words, {facts.timed:,} with a time, {facts.rated:,} with a rating{stars}"


def help_lines(profile: DataProfile) -> Iterator[str]:
    """Return facts of the help pages that were kept; none without help pages."""
    facts = profile.help
    if facts is None:
        return
    languages = ", ".join(f"{code or 'unknown language'} {count:,}" for code, count in facts.languages.items())
    yield f"{counted(facts.rows, 'entry', 'entries')} ({languages}), {facts.linked:,} with a link, {facts.tagged:,} with tags"


def customer_lines(profile: DataProfile) -> Iterator[str]:
    """Return facts of the customers that were kept; none without such a table."""
    facts = profile.audience
    if facts is None:
        return
    attributes = f"; attributes: {', '.join(f'{name} {count:,}' for name, count in facts.attributes.items())}" if facts.attributes else ""
    yield f"{counted(facts.rows, 'customer')}, {facts.consenting:,} with consent, {facts.opted_out:,} opted out{attributes}"


def campaign_lines(profile: DataProfile) -> Iterator[str]:
    """Return facts of the campaigns that were kept; none without such a table."""
    facts = profile.mailings
    if facts is None or facts.first is None or facts.last is None:
        return
    who = f"{counted(facts.rows, 'row')} of {counted(facts.campaigns, 'campaign')} and {counted(facts.users, 'customer')}"
    yield f"{who}, {facts.first:%Y-%m-%d} to {facts.last:%Y-%m-%d}, {facts.held_out:,} in a holdout, {facts.redeemed:,} redeemed"


_OPTIONAL_LINES: dict[OptionalName, Callable[[DataProfile], Iterator[str]]] = {
    "queries": search_lines,
    "reviews": review_lines,
    "help_pages": help_lines,
    "customers": customer_lines,
    "campaigns": campaign_lines,
}


def _dominant(one: DominantId) -> str:
    what = "everybody without an account? see source.guests" if one.column == USER_ID else "no product? see source.drop_items"
    return f"{one.share:.0%} of all events are of one {one.column.removesuffix('_id')}, {one.value} ({what})"


def column_notes(table: TableProfile) -> list[str]:
    """Return notes on columns that are read although they are spelled otherwise, and on those that are not read and look like ours."""
    spelled = [f"{column.name} as {_ours(column)}" for column in table.columns if column.reading == "our name in another spelling"]
    notes = [f"note: {table.file}: read {', '.join(spelled)}"] if spelled else []
    return [*notes, note] if (note := _not_read_note(table)) is not None else notes


def _not_read_note(table: TableProfile) -> str | None:
    """Return the note on columns that are not read and look like ours, with the lines that map them; None if there are none."""
    alike = [column for column in table.not_read if column.looks_like]
    if not alike:
        return None
    lines: dict[str, list[str]] = {}
    for column in alike[:UNREAD_SHOWN]:
        section, _, name = (column.looks_like or "").rpartition(".")
        lines.setdefault(section or table.table, []).append(f'{name} = "{column.name}"')
    mappings = "; ".join(f"[source.{section}_columns] {', '.join(pairs)}" for section, pairs in lines.items())
    return f"note: {table.file}: not read: {unread(table)}; if so, map {'it' if len(alike) == 1 else 'them'} in recsys.toml: {mappings}"


def _title(table: TableProfile) -> str:
    if not table.columns:
        return "the catalogue is taken from the log"
    details = [table.format] if table.format != "canonical" else []
    details += [table.encoding.removesuffix("-sig")] if table.encoding else []
    details += [f"columns between {_separator(table.separator)}"] if table.separator else []
    return f"{table.file}: {counted(table.read, 'row')}" + (f" ({', '.join(details)})" if details else "")


def _separator(sign: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(sign, repr(sign))


def _column_lines(table: TableProfile) -> Iterator[str]:
    width = min(max(len(column.name) for column in table.columns), 30)
    about = "about " if table.read > EXACT else ""
    for column in table.columns:
        reading = f"not read{_is_it(column)}" if column.reading == "not read" else f"read ({column.reading})"
        if _ours(column):
            reading = f"read as {_ours(column)} ({column.reading})"
        if column.reading == "our name":
            reading = "read"
        shares = [f"{about if column.ours else ''}{column.distinct:,} distinct"]
        shares += [f"{column.missing:.1%} missing"] if column.missing else []
        shares += [f"{column.placeholders:.1%} placeholders"] if column.placeholders else []
        shown = [f'"{value}"' if "," in value else value for value in column.examples]
        examples = f": {', '.join(shown)}" if shown else ""
        yield f"  {column.name:<{width}}  {reading}; {column.understood}{examples}; {', '.join(shares)}"


def _question(column: ColumnProfile) -> str:
    return f"{column.name}{_is_it(column)}"


def _is_it(column: ColumnProfile) -> str:
    return f" (is it {column.looks_like.removeprefix('items.')}?)" if column.looks_like else ""


def _ours(column: ColumnProfile) -> str:
    """Return our names that a column is read as, without those that only a format's rules know."""
    return " and ".join(
        name.removeprefix("items.") for name in dict.fromkeys(column.ours) if not name.startswith(PRIVATE) and name != REFUSED
    )


def _from(ours: str, names: list[str]) -> str:
    return names[0] if names in ([ours], [f"{ours}{EMPTY}"]) else f"{ours} from {' or '.join(names)}"


def _empty(column: ColumnProfile) -> str:
    return EMPTY if column.missing == 1 else ""


def _forms(forms: dict[str, float]) -> str:
    return " or ".join(list(forms)[:3]) + " (a letters, A capitals, 9 digits)"
