"""Writes the variants of a campaign's texts from facts, within the lengths of their channels, and checks each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from features.errors import DataError
from recsys.apps.campaigns.copy.answers import Copy, CopyVariant, UsedFact
from recsys.apps.campaigns.copy.facts import SHOP, facts_of_item
from recsys.apps.campaigns.copy.texts import texts_of
from recsys.wording.checking.checker import check
from recsys.wording.facts import Fact, FactKind
from recsys.wording.rephraser import Rephraser
from recsys.wording.template import Template
from recsys.wording.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.campaigns.copy.banned import Banned
    from recsys.apps.campaigns.copy.request import CopyRequest
    from recsys.recommend.pipeline import Recommender
    from recsys.settings.apps.campaign_copy import CopyConfig
    from recsys.wording.message import Message

_GROUPS = (
    frozenset({"share", "mentions", "aspect"}),
    frozenset({"attribute", "value"}),
    frozenset({"category"}),
    frozenset({"brand"}),
    frozenset({"price"}),
)


@dataclass(frozen=True)
class CopyWriter:
    """Writes copy.

    Attributes
    ----------
    rephraser : rewords the long texts, where a language model is configured.
    """

    config: CopyConfig
    banned: Banned
    rephraser: Rephraser = field(default_factory=Rephraser)

    def write(self, request: CopyRequest, recommender: Recommender | None) -> Copy:
        """Return the variants of a request.

        Parameters
        ----------
        recommender : knows the product; None where only an offer is spoken of.

        Raises
        ------
        DataError
            If the product is unknown, or no variant may be sent: each is too long or has a banned word.
        """
        texts, notes = texts_of(request.language), list[str]()
        facts: list[Fact] = []
        if request.item is not None and recommender is not None:
            facts = facts_of_item(recommender, request.item, texts.aspects, self.config.currency)
            if not any(fact.name == "price" for fact in facts):
                notes.append(f"item {request.item} has no price in the catalogue: no text states one")
            elif self.config.currency is None:
                notes.append("amounts are written without a currency: set campaign_copy.currency, such as EUR")
        if request.offer is not None:
            facts.append(Fact("offer", request.offer.strip(), FactKind.TEXT, SHOP))
        variants: list[CopyVariant] = []
        for form in request.forms:
            made, told = self.variants(form, texts.tones[request.tone][form], facts, request.language)
            variants += made
            notes += told
        if not variants:
            raise DataError(f"no text may be sent: {'; '.join(notes)}")
        return Copy(request.item, request.offer, request.segment, request.language, tuple(variants), tuple(dict.fromkeys(notes)))

    def variants(self, form: str, templates: Sequence[str], facts: Sequence[Fact], language: str) -> tuple[list[CopyVariant], list[str]]:
        """Return the variants of one form, and what was left out."""
        made: list[CopyVariant] = []
        too_long, refused, shortest = 0, set[str](), 0
        limit = self.config.length(form)
        for template in templates:
            message, length = fitting(template, facts, language, limit)
            if message is None:
                too_long, shortest = too_long + 1, min(shortest or length, length)
                continue
            text = self._reworded(form, message).text
            if words := self.problems(text, message, limit):
                refused |= set(words)
                continue
            if all(text != other.text for other in made):
                used = tuple(UsedFact(fact.name, str(fact.value), fact.source) for fact in message.facts)
                made.append(CopyVariant(f"{form}-{len(made) + 1}", form, text, used, reworded=text != message.template_text))
        notes = []
        if too_long:
            notes.append(
                f"{too_long} of {len(templates)} variants of the {form} are left out, longer than {limit} characters, the shortest "
                f"has {shortest}: shorten the title, or raise campaign_copy.{form}_length"
            )
        if refused:
            notes.append(f"variants of the {form} are left out for banned words: {', '.join(sorted(refused))}")
        return made, notes

    def problems(self, text: str, message: Message, limit: int) -> list[str]:
        """Return why a text may not be sent in place of a message; none if it may."""
        found = [str(problem) for problem in check(text, message)]
        found += [repr(word) for word in self.banned.found(text, " \n ".join(str(fact.value) for fact in message.facts))]
        return found + ([f"{len(text)} characters"] if len(text) > limit else [])

    def _reworded(self, form: str, message: Message) -> Message:
        """Return the message in a language model's words, or as it is where these may not be sent. Short forms keep the template's."""
        if form != "text":
            return message
        reworded = self.rephraser.reword(message)
        return message if self.problems(reworded.text, message, self.config.length(form)) else reworded


def fitting(template: str, facts: Sequence[Fact], language: str, limit: int) -> tuple[Message | None, int]:
    """Return a template with as many of its facts as fit, and the length of its shortest form; no message where none fits.

    What may be left out goes in this order: praise, attribute, category, brand, price. A template that lacks a fact is not written.
    """
    names, known = Template.of(template), {fact.name for fact in facts}
    if not names.must <= known:
        return None, 0
    mine = [group for group in _GROUPS if group & (names.names - names.must) and group <= known]
    templates, shortest = Templates.of(), 0
    for size in range(len(mine) + 1):
        for left_out in combinations(mine, size):
            gone = frozenset[str]().union(*left_out)
            message = templates.of_text(template, language, [fact for fact in facts if fact.name not in gone])
            if len(message.template_text) <= limit:
                return message, len(message.template_text)
            shortest = min(shortest or 10**9, len(message.template_text))
    return None, shortest
