"""Finds the help page that answers a question, among the shop's pages and the answers that people added since the bundle was built."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from features.data.help_pages import HelpPages
from features.names import ANSWER, LANGUAGE, LINK, QUESTION, TAGS
from recsys.apps.assistant.understanding import Guess
from recsys.snapshot.help_texts import QuestionEncoder, RememberingEncoder
from retrieval.passages.index import PassageIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.text.intents.model import IntentModel
    from recsys.dialogue.conversations import Conversations
    from recsys.dialogue.tools import Tools
    from recsys.snapshot.help_texts import HelpTexts

MOST_PAGES = 5


class AssistantModel(QuestionEncoder, Protocol):
    """What of a model the help desk reads."""

    @property
    def intents(self) -> IntentModel | None:
        """Tells flows from help pages; None for a shop without help pages."""
        ...


@dataclass(frozen=True)
class _Examples:
    """How customers ask for flows, as passages; the tags name the flow."""

    question: pl.Series
    answer: pl.Series
    tags: pl.Series
    language: pl.Series


@dataclass
class HelpDesk:
    """Help pages and flows of one bundle, and the added answers of the workspace.

    Attributes
    ----------
    of_bundle : the shop's own.
    """

    of_bundle: HelpTexts
    model: AssistantModel
    tools: Tools
    conversations: Conversations
    _latest: tuple[int, PassageIndex | None, HelpPages] | None = field(default=None, init=False)
    _making: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._encoder = RememberingEncoder(self.model, dict(self.of_bundle.known), remembers=False)

    def __len__(self) -> int:
        return len(self._current()[1])

    def pages(self, text: str) -> Sequence[tuple[int, str, float]]:
        """Return the pages for a question, best first: row, the page's question, and the probability that the first one answers."""
        index, pages = self._current()
        if index is None or not len(pages):
            return ()
        found = index.search([text], MOST_PAGES)
        rows = [int(row) for row in found.rows[0] if row >= 0]
        asked = _words(text)
        same = next((row for row in rows if _words(pages.question[row]) == asked), None)
        if same is not None:  # whoever adds an answer and tries it gets it, whatever the calibration says of few pages
            return [(row, pages.question[row], 1.0) for row in (same, *(row for row in rows if row != same))]
        return [(row, pages.question[row], float(found.answers[0])) for row in rows]

    def page(self, row: int) -> dict[str, str]:
        """Return question, answer, link and language of a page."""
        _, pages = self._current()
        return {name: getattr(pages, name)[row] for name in (QUESTION, ANSWER, LINK, LANGUAGE)}

    def flow(self, text: str) -> Guess | None:
        """Return the flow that a message most likely asks for: by the classifier, or by the nearest example where there is none."""
        if self.model.intents is not None:
            read = self.model.intents.read([text])
            best = int(np.nan_to_num(read.probabilities[0]).argmax())
            name = self.model.intents.names[best]
            return Guess(name, float(read.known[0] * read.probabilities[0, best])) if name in self.tools else None
        found = self._examples.search([text], 1)
        owner = self._examples.passages.tags[int(found.rows[0, 0])]
        return Guess(owner, float(found.answers[0]))

    @cached_property
    def _examples(self) -> PassageIndex:
        rows = [(example, tool.name) for tool in self.tools for example in tool.examples]
        table = pl.DataFrame(rows, schema={QUESTION: pl.String, TAGS: pl.String}, orient="row")
        blank = pl.repeat("", len(rows), dtype=pl.String, eager=True)
        return PassageIndex.of(_Examples(table[QUESTION], blank, table[TAGS], blank), self._encoder)

    def _current(self) -> tuple[PassageIndex | None, HelpPages]:
        """Return the index over all pages; it is made anew when an answer was added or taken away."""
        with self._making:  # requests run in several threads
            version = self.conversations.version()
            if self._latest is None or self._latest[0] != version:
                self._latest = version, *self._made()
            return self._latest[1:]

    def _made(self) -> tuple[PassageIndex | None, HelpPages]:
        added = self.conversations.answers()
        frame = self.of_bundle.pages.frame
        if added:
            rows = [(one.question, one.answer, "", one.language or "", one.link or "", -one.number) for one in added]
            frame = pl.concat([frame, pl.DataFrame(rows, schema=frame.schema, orient="row")])
        pages = HelpPages.of(frame)
        self._encoder.remembers = True
        index = PassageIndex.of(pages, self._encoder) if len(pages) else None
        self._encoder.remembers = False
        return index, pages


def _words(text: str) -> list[str]:
    """Return the words of a question, whatever their case and marks."""
    return re.findall(r"\w+", text.casefold())
