"""Why a customer is in an audience, in words about the customer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from features.names import CATEGORY, GROUP_COUNT, GROUP_LAST, LOG_ODDS, USER_LAST, USER_TRIPS
from ranking.explain import Explainer
from ranking.reasons import COMMON, group_weights
from recsys.apps.customers.audience.products import sharpened
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from features.data.histories import Histories
    from recsys.apps.customers.audience.model import AudienceModel
    from recsys.apps.customers.audience.pair_features import Table
    from recsys.apps.customers.audience.products import Product
    from recsys.recommend.pipeline import Recommender

# The sentences of recommendations speak to the customer, and here one speaks of the customer.
_OF_THEM = (("you often buy", "often buys"), ("that you bought", "that was bought"))
CLOSE = 0.5  # cosine from which a purchase is called close


@dataclass(frozen=True)
class AudienceReasons:
    """Explains the customers of one audience.

    Attributes
    ----------
    users : histories of the customers who are listed (b).
    table : their features, (b, 1) each.
    """

    recommender: Recommender
    product: Product
    users: Histories
    table: Table

    def sentences(self, model: AudienceModel | None) -> list[str]:
        """Return one reason a customer."""
        if self.product.kind == "sold" and model is not None:
            return self._of_item(model)
        return [self._other(b) for b in range(len(self.users))]

    def _of_item(self, model: AudienceModel) -> list[str]:
        """Return the sentence of the feature group that raised each customer's chance most."""
        rows = np.full((len(self.users), 1), self.product.row)
        odds = model.log_odds(self.table).astype(np.float32)
        candidates = Candidates(self.users, rows, odds, self.table | {LOG_ODDS: odds})
        x = np.stack([self.table[name][:, 0] for name in model.booster.names], axis=1).astype(np.float32)
        strength = Explainer(model.booster, group_weights(model.booster.names))(x).T[:, :, None]
        reasons = replace(self.recommender.reasons, praise={})
        said = [line[0] for line in reasons.sentences(candidates, strength)]
        return [self._of_them(text, b) for b, text in enumerate(said)]

    def _of_them(self, text: str, b: int) -> str:
        for before, after in _OF_THEM:
            text = text.replace(before, after)
        # A fact about the item explains no customer.
        return self._habit(b) if "buyers in the last" in text or "nobody" in text or not text else text

    def _other(self, b: int) -> str:
        if self.product.kind == "unsold" and (close := self._close(b)):
            return close
        count = self._value(GROUP_COUNT.format(CATEGORY), b)
        if count >= 1 and self._informative():
            name = self.recommender.snapshot.catalog.frame[CATEGORY][self.product.row].rsplit("|", 1)[-1].strip()
            return f"bought from {name} {_times(count)}, last {_ago(self._value(GROUP_LAST.format(CATEGORY), b))}"
        return self._habit(b)

    def _close(self, b: int) -> str | None:
        """Return the purchase that is nearest to the product's text, by its number and its cosine."""
        snapshot, mine = self.recommender.snapshot, slice(self.users.offsets[b], self.users.offsets[b + 1])
        items = self.users.item[mine]
        if not len(items):
            return None
        rows, count = np.unique(items, return_counts=True)
        cosine = snapshot.text_vectors[snapshot.text_of[rows]] @ self.product.vector
        best = int((sharpened(cosine) * np.log1p(count)).argmax())
        if cosine[best] < CLOSE:
            return None
        ages = self.users.days[mine][items == rows[best]]
        times = f", {_times(len(np.unique(ages)))}" if len(np.unique(ages)) > 1 else ""
        return f"bought {snapshot.catalog.frame['title'][int(rows[best])]}{times}, last {_ago(float(ages.min()))}"

    def _habit(self, b: int) -> str:
        trips = self._value(USER_TRIPS, b)
        return f"came {_times(trips)}, last {_ago(self._value(USER_LAST, b))}" if trips >= 1 else "nothing is known of this customer"

    def _informative(self) -> bool:
        shelves, commonness = self.recommender.reasons.shelves[CATEGORY], self.recommender.reasons.commonness[CATEGORY]
        code = int(shelves[self.product.row])
        return code >= 0 and commonness[code] <= COMMON

    def _value(self, name: str, b: int) -> float:
        value = float(self.table[name][b, 0])
        return 0.0 if np.isnan(value) else value


def _times(count: float) -> str:
    return "once" if round(count) == 1 else f"{count:,.0f} times"


def _ago(days: float) -> str:
    return "today" if days < 1 else f"{days:.0f} day{'s' * (round(days) != 1)} ago"
