"""`features.names` is the only place where candidate features and event kinds are spelled.

Columns are left out: in a polars expression `pl.col("item_id")` reads better than a constant. So are features that share their spelling
with something else, such as a section of the configuration, a retrieval source or a baseline.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from features import names
from features.data.interactions import EVENT_WEIGHTS
from features.data.split import LABEL_EVENTS
from features.ingest.optional_tables import OPTIONAL
from features.ingest.source import ITEM_INPUTS, LOG_INPUTS
from features.reviews.scored import MENTION_SCHEMA, REVIEW_SCHEMA

ROOT = Path(__file__).parents[2]
LAYERS = ("features", "retrieval", "ranking", "eval", "recsys")
MODULES = {str(path.relative_to(ROOT)): path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))}
CONSTANTS = {name: value for name, value in vars(names).items() if name.isupper()}
COLUMNS = {*ITEM_INPUTS, *LOG_INPUTS, *(name for table in OPTIONAL.values() for name in table.columns), *REVIEW_SCHEMA, *MENTION_SCHEMA}
AMBIGUOUS = {
    "tower",
    "cross_encoder",
    "blend",
    "ease",
    "ease_trend",
    "item_knn",
    "als",
    "markov",
    "next_item",
    "arrival",
    "unsold",
    "text",
    "shown",
    "dense",
    "lexical",
}
UNIQUE = {value for value in CONSTANTS.values() if isinstance(value, str)} - COLUMNS - AMBIGUOUS


def spelled(path: Path) -> list[tuple[int, str]]:
    """Line and value of the string literals that repeat a name, docstrings left out."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    literals = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings]
    return [(node.lineno, str(node.value)) for node in literals if node.value in UNIQUE]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"features/names.py"}))
def test_names_are_spelled_in_one_place(module: str) -> None:
    found = spelled(MODULES[module])
    assert not found, f"{module} spells {found}: import the constants of features.names"


def test_a_literal_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""own_count"""\nx = features["own_count"]\n')
    assert spelled(module) == [(2, "own_count")]


def test_every_name_is_used() -> None:
    nodes = [node for path in MODULES.values() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    assert not CONSTANTS.keys() - read


def test_stored_logs_hold_events_by_these_indices() -> None:
    assert names.EVENTS == get_args(names.EventKind) == ("purchase", "cart", "view", "rating", "dislike")
    assert names.EVENTS[:4] == names.POSITIVE_EVENTS, "a stored user encoder has an embedding of each"
    assert set(EVENT_WEIGHTS) == set(names.EVENTS)
    assert LABEL_EVENTS == (0, 3)


def test_search_logs_have_their_events_in_this_order() -> None:
    assert names.SEARCH_EVENTS == get_args(names.SearchEventKind) == ("shown", "click", "cart", "purchase")
