"""Finds the help page that answers a question, among the shop's pages and the answers that people added since the bundle was built."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from features.data.help_pages import HelpPages
from features.names import ANSWER, LANGUAGE, LINK, QUESTION
from recsys.dialogue.examples import Examples, folded, packaged
from recsys.dialogue.knowledge import Guess
from recsys.dialogue.slots import without_date
from recsys.snapshot.help_texts import RememberingEncoder
from retrieval.passages.index import PassageIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from features.text.intents.messages import MessageIntents
    from features.text.intents.model import IntentModel
    from recsys.dialogue.conversations import Conversations
    from recsys.dialogue.tools import Tools
    from recsys.snapshot.help_texts import HelpTexts
    from retrieval.query_tower.recent_queries import QuestionEncoder

MOST_PAGES = 5


@dataclass(frozen=True)
class Classifiers:
    """What reads messages.

    Attributes
    ----------
    intents : tells flows from help pages; None for a shop without help pages.
    messages : tells what a message wants; None for a bundle of another version.
    """

    intents: IntentModel | None
    messages: MessageIntents | None


@dataclass
class HelpDesk:
    """Help pages and flows of one bundle, and the added answers of the workspace.

    Attributes
    ----------
    of_bundle : the shop's own.
    """

    of_bundle: HelpTexts
    model: QuestionEncoder
    classifiers: Classifiers
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

    def flow(self, text: str, language: str | None) -> Guess | None:
        """Return the flow that a message most likely asks for: by the classifier, and by the examples that the message is like.

        Where the classifier reads the message, it decides between flows and help pages.
        """
        bare = without_date(text, language)
        like = self._flows.nearest(*dict.fromkeys((text, bare)))
        intents = self.classifiers.intents
        read = intents.read([bare]) if intents is not None else None
        if read is None or intents is None or read.unread.rows[0]:
            return like and Guess(*like)
        if like and like[0] not in intents.names:  # a tool of which the bundle knows nothing
            return Guess(*like)
        best = int(read.probabilities[0].argmax())
        name = intents.names[best]
        if name not in self.tools:
            return None
        certain = float(read.known[0] * read.probabilities[0, best])
        return Guess(name, max(certain, like[1]) if like and like[0] == name else certain)

    def acts(self, text: str) -> Mapping[str, float]:
        """Return the probability of each thing that a message may want, by the classifier; without one, by the letters of examples."""
        messages = self.classifiers.messages
        if messages is None:
            return self._acts.of_each(text)
        (row,) = messages.read([folded(text)], self._encoded([text])).tolist()
        return dict(zip(messages.names, row, strict=True))

    @cached_property
    def _flows(self) -> Examples:
        return Examples.of([(tool.name, example) for tool in self.tools for example in tool.examples], self._encoded)

    @cached_property
    def _acts(self) -> Examples:
        return Examples.of([(act, text) for act, texts in packaged().items() for text in texts])

    def _encoded(self, texts: list[str]) -> np.ndarray:
        return self._encoder.encode(texts, kind="query")

    def _current(self) -> tuple[PassageIndex | None, HelpPages]:
        """Return the index over all pages; it is made anew when an answer was added or taken away."""
        with self._making:  # requests run in several threads
            version = self.conversations.version()
            if self._latest is None or self._latest[0] != version:
                self._latest = version, *self._made()
            return self._latest[1:]

    def _made(self) -> tuple[PassageIndex | None, HelpPages]:
        added, own = self.conversations.answers(), self.of_bundle
        if not added and own.index:
            return PassageIndex.from_files(own.index, own.pages, self._encoder), own.pages
        frame = own.pages.frame
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
