"""The large shop that docs/scale.md speaks of."""

from __future__ import annotations

USERS, ITEMS, EVENTS = 100_000_000, 20_000_000, 10_000_000_000
EVENTS_A_USER, EVENTS_AN_ITEM = EVENTS // USERS, EVENTS // ITEMS
TEXTS_AN_ITEM = 0.25  # distinct texts: sizes and colours of a product share one
CHANGED = 0.01  # of the texts, a night
EVENTS_A_NIGHT = EVENTS // 365
