"""Finds the help page that answers a question, among the shop's pages and the answers that people added since the bundle was built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from features.data.help_pages import HelpPages
from features.names import ANSWER, LANGUAGE, LINK, QUESTION
from recsys.dialogue.examples import Examples, packaged
from recsys.dialogue.knowledge import Guess
from recsys.snapshot.help_texts import RememberingEncoder
from retrieval.passages.index import PassageIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from recsys.dialogue.conversations import Conversations
    from recsys.dialogue.tools import Tools
    from recsys.snapshot.help_texts import HelpTexts, QuestionEncoder

MOST_PAGES = 5
# A day in a message, which makes it less like the examples of a flow.
_DATE = re.compile(
    r"\b\d{4}-\d\d?-\d\d?\b|\b\d\d?\.\s?\d\d?\.(?:\s?\d{4})?|\d{4}年\d+月\d+[日号]"
    r"|\b\d\d?(?:st|nd|rd|th|\.)?(?: de| of)? [^\W\d]+,?(?: de)? \d{4}\b|\b[A-Z][a-z]+ \d\d?,? \d{4}\b"
)


@dataclass
class HelpDesk:
    """Help pages and flows of one bundle, and the added answers of the workspace.

    Attributes
    ----------
    of_bundle : the shop's own.
    """

    of_bundle: HelpTexts
    model: QuestionEncoder
    tools: Tools
    conversations: Conversations
    _version: int | None = field(default=None, init=False)
    _index: PassageIndex | None = field(default=None, init=False)
    _all: HelpPages | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._encoder = RememberingEncoder(self.model, dict(self.of_bundle.known))

    def __len__(self) -> int:
        return len(self._current()[1])

    def pages(self, text: str) -> Sequence[tuple[int, str, float]]:
        """Return the pages for a question, best first: row, the page's question, and the probability that the first one answers."""
        index, pages = self._current()
        if index is None or not len(pages):
            return ()
        found = index.search([text], MOST_PAGES)
        return [(int(row), pages.question[int(row)], float(found.answers[0])) for row in found.rows[0] if row >= 0]

    def page(self, row: int) -> dict[str, str]:
        """Return question, answer, link and language of a page."""
        _, pages = self._current()
        return {name: getattr(pages, name)[row] for name in (QUESTION, ANSWER, LINK, LANGUAGE)}

    def flow(self, text: str) -> Guess | None:
        """Return the flow whose examples are nearest to a message."""
        bare = " ".join(_DATE.sub(" ", text).split()) or text
        found = self._flows.nearest(*dict.fromkeys((text, bare)))
        return found and Guess(*found)

    def act(self, text: str) -> Guess | None:
        """Return what a message wants of the conversation by the packaged examples: a kind of phrase."""
        found = self._acts.nearest(text)
        return found and Guess(*found)

    @cached_property
    def _flows(self) -> Examples:
        return Examples.of([(tool.name, example) for tool in self.tools for example in tool.examples], self._encoded)

    @cached_property
    def _acts(self) -> Examples:
        return Examples.of(packaged(), self._encoded)

    def _encoded(self, texts: list[str]) -> np.ndarray:
        return self._encoder.encode(texts, kind="query")

    def _current(self) -> tuple[PassageIndex | None, HelpPages]:
        """Return the index over all pages; it is made anew when an answer was added or taken away."""
        version = self.conversations.version()
        if self._all is None or version != self._version:
            added = self.conversations.answers()
            frame = self.of_bundle.pages.frame
            if added:
                rows = [(one.question, one.answer, "", one.language or "", one.link or "", -one.number) for one in added]
                frame = pl.concat([frame, pl.DataFrame(rows, schema=frame.schema, orient="row")])
            self._all = HelpPages.of(frame)
            self._encoder.remembers = True
            self._index = PassageIndex.of(self._all, self._encoder) if len(self._all) else None
            self._encoder.remembers = False
            self._version = version
        return self._index, self._all
