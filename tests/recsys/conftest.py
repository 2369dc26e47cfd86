"""A stand-in for the verbs, so that the command line is tested alone."""

from __future__ import annotations

import logging
import sys
import types
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import recsys
from eval.result import Report
from recsys.answers import Answer, Match, Matches, Recommendation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ITEM = Recommendation(1, "sku-7", "Green tea", "tea", 4.5, 0.25, "bought 6 times, last 13 days ago")
HOSTILE = Recommendation(2, "x,y", "[red]a\x1b[31m\x00b\u202ec\nd[/red]", None, None, 0.0625, 'close to "Tea", that you bought')


class Verbs(types.ModuleType):
    """Stands in for the verbs; remembers how it was called."""

    def __init__(self) -> None:
        super().__init__("recsys.verbs")
        self.calls: list[tuple[Any, ...]] = []
        self.error: BaseException | None = None

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error:
            raise self.error

    def train(self, workspace, settings, options) -> str:
        self._note("train", workspace.root, options)
        return "trained"

    def build_index(self, workspace, settings) -> str:
        self._note("build_index", workspace.root)
        return "published"

    def refresh(self, workspace, settings) -> str:
        self._note("refresh", workspace.root)
        return "refreshed"

    def recommend(self, workspace, settings, options) -> Answer:
        self._note("recommend", workspace.root, options)
        return Answer(options.user, "b1", None if options.user else "popular: nothing is known", (ITEM, HOSTILE))

    def recommend_users(self, workspace, settings, options, users) -> Iterator[Answer]:
        self._note("recommend_users", workspace.root, options)
        return (Answer(user, "b1", None, (ITEM, HOSTILE)) for user in users)

    def similar(self, workspace, settings, item, k) -> Matches:
        self._note("similar", item, k)
        return Matches(item, "b1", (Match(1, "sku-7", "Green tea", "tea", None, 0.875),))

    def evaluate(self, workspace, settings) -> Report:
        self._note("evaluate", workspace.root)
        return Report(
            metrics={}, slices={}, stages={}, curve={}, reliability=None, per_user={}, cut="2017-12-04T00:00:00", users=3, items=9
        )

    def search(self, workspace, settings, text, k) -> Matches:
        self._note("search", text, k)
        return Matches(text, "b1", ())


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Verbs:
    fake = Verbs()
    monkeypatch.setitem(sys.modules, "recsys.verbs", fake)
    monkeypatch.setattr(recsys, "verbs", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture(autouse=True)
def _clean_logging() -> Iterator[None]:
    """A command sets up logging and warnings for its process; a test runs many."""
    handlers = logging.getLogger().handlers[:]
    with warnings.catch_warnings():
        yield
    logging.getLogger().handlers[:] = handlers
