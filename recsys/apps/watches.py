"""What a refresh looks at in the bundle in use, by the event that it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recsys.apps.customers.watch import watch_customers
from recsys.apps.reviews.watch import watch_reviews
from recsys.apps.storefront.experiments.listing import watch_experiments

if TYPE_CHECKING:
    from recsys.refresh.refresh import Watches

WATCHES: Watches = {"reviews": watch_reviews, "customers": watch_customers, "experiments": watch_experiments}
