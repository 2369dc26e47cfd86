"""The canonical layout: our own names of columns."""

from __future__ import annotations

from features.ingest.formats.layout import Format, TableLayout
from features.ingest.optional_tables import OPTIONAL
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS

CANONICAL = Format(
    name="canonical",
    title="our own names",
    items=(TableLayout(columns={name: (name,) for name in ITEM_INPUTS}),),
    interactions=(TableLayout(columns={name: (name,) for name in LOG_INPUTS}),),
    optional={name: (TableLayout(columns={column: (column,) for column in one.inputs}),) for name, one in OPTIONAL.items()},
)
