"""From a product to its customers: features of all of them, chances, who is left out, the best, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.data.histories import Histories
from features.errors import DataError
from features.names import LIKE_ALS, LIKE_TEXT
from recsys.apps.customers.audience.answers import Audience, Member
from recsys.apps.customers.audience.contact import Contact
from recsys.apps.customers.audience.due import saturated
from recsys.apps.customers.audience.fitting import WINDOW
from recsys.apps.customers.audience.pair_features import PairFeatures
from recsys.apps.customers.audience.products import Products
from recsys.apps.customers.audience.reasons import AudienceReasons
from recsys.apps.customers.groups import Gap, exposure_gaps, group_notes, groups_of

if TYPE_CHECKING:
    from features.data.customers import Customers
    from recsys.apps.customers.audience.fitting import AudienceModels
    from recsys.apps.customers.audience.model import AudienceModel
    from recsys.apps.customers.audience.products import Product
    from recsys.apps.customers.audience.request import AudienceRequest
    from recsys.recommend.pipeline import Recommender

USERS = 20_000  # scored at once
ENOUGH = "not due within the window"


@dataclass(frozen=True)
class AudienceFinder:
    """Finds audiences.

    Attributes
    ----------
    customers : the shop's table; None without one.
    letter_cost : of one letter, for a budget; None where it is not known.
    sensitive, exposure_gap : attributes whose groups are compared, and the gap from which it is said, as of `recsys campaign plan`.
    """

    recommender: Recommender
    models: AudienceModels
    customers: Customers | None = None
    letter_cost: float | None = None
    sensitive: tuple[str, ...] = ()
    exposure_gap: float = 1.0

    def answer(self, request: AudienceRequest) -> Audience:
        """Return the customers of a product.

        Raises
        ------
        DataError
            If the product is unknown, the budget pays for no letter, or no customer may be written to.
        """
        log, notes = self.recommender.snapshot.log, list[str]()
        k = self._letters(request)
        product = Products(self.recommender).of(request)
        model = self.models.models.get(product.kind)
        users = np.unique(log.user)
        scores, enough = self._scored(users, product, model)
        contact = Contact.of(self.customers, log.user_ids[users])
        notes += [contact.note] if contact.note else []
        barred = contact.barred | {ENOUGH: enough & ~np.any([np.zeros(len(users), dtype=bool), *contact.barred.values()], axis=0)}
        kept = np.flatnonzero(~np.any(list(barred.values()), axis=0))
        left_out = {reason: int(mask.sum()) for reason, mask in barred.items() if mask.any()}
        if not len(kept):
            told = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
            raise DataError(f"none of {len(users):,} customers may be written to ({told}): record consent in the table of customers")
        if request.k > len(kept):
            notes.append(f"{request.k:,} customers were asked for, {len(kept):,} of {len(users):,} are there to be written to")
        best = kept[np.argsort(-scores[kept], kind="stable")[:k]]
        chances = None if model is None else model.calibration(scores[best])
        if model is None:
            notes.append(f"too little was bought of {product.kind} products to learn chances from: nearest first, without probabilities")
        elif product.kind == "unsold":
            notes.append(
                "chances are those of products that sold for the first time within such a window: they hold if this one is offered"
            )
        exposure, told = self._exposure(log.user_ids[users], np.isin(np.arange(len(users)), best), contact)
        notes += told
        members = self._members(users[best], product, model, chances)
        sales = None if model is None or chances is None else model.sales(chances.astype(np.float64))
        found = Audience(product.name, product.kind, self.recommender.bundle_id, WINDOW, members, sales, len(users), left_out, tuple(notes))
        return replace(found, exposure=exposure, exposure_limit=self.exposure_gap)

    def _exposure(self, ids: np.ndarray, chosen: np.ndarray, contact: Contact) -> tuple[tuple[Gap, ...], list[str]]:
        """Return which share of each group of those who may be written to is chosen, bool (n,), and what is to be said of it."""
        may = ~np.any([np.zeros(len(ids), dtype=bool), *contact.barred.values()], axis=0)
        groups = groups_of(self.customers, self.sensitive, ids[may])
        gaps, notes = exposure_gaps(groups, chosen[may]), group_notes(groups)
        if wide := [gap for gap in gaps if abs(gap.gap) > self.exposure_gap]:
            widest = max(wide, key=lambda gap: abs(gap.gap))
            who = f"{len(wide)} of {len(gaps)} groups, such as {widest.attribute} {widest.group} ({widest.gap:+.1%})"
            notes.append(f"the exposure of {who}, is beyond campaigns.exposure_gap: `recsys campaign plan` keeps it")
        return tuple(gaps), notes

    def _letters(self, request: AudienceRequest) -> int:
        if request.budget is None:
            return request.k
        if self.letter_cost is None:
            raise DataError("the budget says nothing without the cost of a letter: set audience.letter_cost")
        letters = int(request.budget / self.letter_cost + 1e-9)
        if letters < 1:
            raise DataError(f"the budget of {request.budget:g} pays for no letter at {self.letter_cost:g}: raise it")
        return min(request.k, letters)

    def _scored(self, users: np.ndarray, product: Product, model: AudienceModel | None) -> tuple[np.ndarray, np.ndarray]:
        """Return each customer's log odds, or nearness without a model, and who has enough."""
        scores, enough = [], []
        for start in range(0, len(users), USERS):
            histories = self._histories(users[start : start + USERS])
            table = PairFeatures(self.recommender, histories).of(product.kind, [product])
            nearness = LIKE_TEXT if product.kind == "unsold" else LIKE_ALS if product.kind == "category" else "als"
            scores.append((table[nearness] if model is None else model.log_odds(table))[:, 0])
            enough.append(saturated(self.recommender, histories, product, WINDOW))
        return np.concatenate(scores), np.concatenate(enough)

    def _members(self, users: np.ndarray, product: Product, model: AudienceModel | None, chances: np.ndarray | None) -> tuple[Member, ...]:
        histories = self._histories(users)
        table = PairFeatures(self.recommender, histories).of(product.kind, [product])
        reasons = AudienceReasons(self.recommender, product, histories, table).sentences(model)
        ids = self.recommender.snapshot.log.user_ids[users]
        told = [None] * len(users) if chances is None else [round(float(p), 6) for p in chances]
        return tuple(
            Member(place, str(user), chance, reason) for place, (user, chance, reason) in enumerate(zip(ids, told, reasons, strict=True), 1)
        )

    def _histories(self, users: np.ndarray) -> Histories:
        return Histories.of_users(self.recommender.snapshot.log, users, self.recommender.snapshot.now)
