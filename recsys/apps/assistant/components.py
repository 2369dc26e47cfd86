"""What the assistant answers from: search, recommender, reviews, help pages, tools and templates, each built when it is first needed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from recsys.apps.assistant.help import Classifiers, HelpDesk
from recsys.apps.assistant.operation.hand_over import HandOvers
from recsys.apps.assistant.product_questions import ProductEvidence
from recsys.apps.search.reading import Reading
from recsys.apps.search.request import SearchOptions
from recsys.dialogue.examples import packaged
from recsys.dialogue.order_tool import OrderTool
from recsys.dialogue.tools import HookTool, Tools, installed_tools
from recsys.wording.rephraser import Rephraser
from recsys.wording.templates import Templates
from retrieval.query_tower.recent_queries import RecentQueries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from recsys.apps.search.pipeline import Search
    from recsys.dialogue.conversations import Conversations
    from recsys.dialogue.knowledge import Guess
    from recsys.dialogue.phrases import Message
    from recsys.dialogue.tools import Slot
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.apps.assistant import AssistantConfig
    from recsys.wording.rephraser import Outcome

_log = logging.getLogger(__name__)


NAMED = 0.5  # share of the words that name a product which its text must have


@dataclass(frozen=True)
class AssistantComponents:
    """What an assistant over one bundle needs; implements `recsys.apps.assistant.understanding.Knowledge`.

    Attributes
    ----------
    count_wording : is told what became of each rewording, for a metric.
    """

    search: Search
    config: AssistantConfig
    conversations: Conversations
    count_wording: Callable[[Outcome], None] = lambda _: None

    @property
    def recommender(self) -> Recommender:
        """The bundle's recommender."""
        return self.search.recommender

    @cached_property
    def templates(self) -> Templates:
        """The texts of all messages."""
        return Templates.of(self.config.templates, self.config.languages)

    @cached_property
    def rephraser(self) -> Rephraser:
        """Rewords what is said, where a language model is configured."""
        return Rephraser.of(self.config, self.count_wording)

    @cached_property
    def tools(self) -> Tools:
        """What flows call."""
        hooks = [HookTool(one) for one in self.config.tools]
        snapshot = self.recommender.snapshot
        return Tools([OrderTool(snapshot.log, snapshot.catalog), *hooks, *installed_tools(_log.error)], self.config.tool_seconds)

    @cached_property
    def hand_overs(self) -> HandOvers:
        """Tells the shop of conversations that a person must take over."""
        return HandOvers(self.config.hand_over_webhook)

    @cached_property
    def desk(self) -> HelpDesk:
        """Finds help pages, added answers and flows."""
        model = self.recommender.model
        classifiers = Classifiers(model.intents, model.messages)
        # A turn compares its message with help pages, with examples of flows and with those of acts.
        return HelpDesk(self.recommender.snapshot.help, RecentQueries(model), classifiers, self.tools, self.conversations)

    @cached_property
    def evidence(self) -> ProductEvidence:
        """Answers questions about products from their texts and reviews."""
        return ProductEvidence(self.recommender, self.config.evidence_from)

    def flow(self, message: Message) -> Guess | None:
        """Return the flow that a message most likely asks for."""
        return self.desk.flow(message.text, message.language)

    def acts(self, message: Message) -> Mapping[str, float]:
        """Return the probability of each thing that a message may want."""
        acts = self.desk.acts(message.text)
        return {act: value for act, value in acts.items() if act in packaged() or act in self.tools}

    def is_flow(self, act: str) -> bool:
        """Whether what a message may want is a flow."""
        return act in self.tools

    def slots(self, flow: str) -> Sequence[Slot]:
        """Return the slots of a flow."""
        return self.tools[flow].slots

    def help(self, message: Message) -> Sequence[tuple[int, str, float]]:
        """Return help pages for a message, best first."""
        return self.desk.pages(message.text)

    def sold(self, words: str) -> float:
        """Return the share of the words that texts of products have, in the customer's wording or another one of the same."""
        return max((sum(map(self._known, tokens)) / len(tokens) for tokens in self.wordings(words)), default=0.0)

    def wordings(self, words: str) -> list[tuple[str, ...]]:
        """Return ways to say the same, each as terms of the catalogue's index."""
        if not words.strip():
            return []
        reading = Reading.of(words, self.search.words, self.search.thesaurus, SearchOptions())
        return [wording.tokens for wording in reading.wordings if wording.tokens]

    def _known(self, token: str) -> bool:
        return len(self.search.words.index.texts_with(token)) > 0

    def held(self, words: str) -> np.ndarray:
        """Return the share of the words that each of the catalogue's distinct texts has, in its best wording, float64 (t,)."""
        index = self.search.words.index
        out = np.zeros(len(index))
        for tokens in self.wordings(words):
            counts = np.zeros(len(index))
            for token in dict.fromkeys(tokens):
                counts[index.texts_with(token)] += 1
            out = np.maximum(out, counts / len(dict.fromkeys(tokens)))
        return out

    def product(self, words: str, user: str | None) -> str | None:
        """Return the first product that a search for the words finds, where its text has half of them at least."""
        if not words.strip():
            return None
        (answer,) = self.search.answer(SearchOptions(k=1), [(words, user)])
        held = self.held(words)
        items = (hit.item_id for hit in answer.items)
        return next((item for item in items if held[self.recommender.snapshot.text_of[self.row(item)]] >= NAMED), None)

    def price(self, item: str) -> float | None:
        """Return the price of a product."""
        value = float(self.recommender.snapshot.prices[self.row(item)])
        return None if np.isnan(value) else value

    def row(self, item: str) -> int:
        """Return the catalogue row of a product.

        Raises
        ------
        DataError
            The catalogue has none of this id.
        """
        return int(self.recommender.snapshot.catalog.rows_or_raise([item])[0])

    def available(self, item: str) -> bool:
        """Whether a product is in stock."""
        return bool(self.recommender.snapshot.catalog.available[self.row(item)])
