"""Where customers live, by the table of customers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from features.data.customers import Customers
from features.errors import DataError
from recsys.apps.storefront.places import Places

TABLE = Customers.of(pl.DataFrame({"user_id": ["u00", "v00", "w00"], "attributes": ['{"place": "Graz"}', '{"place": "Linz"}', "{}"]}))


def test_customers_of_a_place() -> None:
    places = Places.read(TABLE, "place")
    users = np.array(["u00", "u01", "v00", "w00"], dtype=object)
    assert places.users("Graz", users).tolist() == [True, False, False, False]
    assert not places.users("Wien", users).any()
    assert [places.of_user(user) for user in ("u00", "w00", None)] == ["Graz", None, None]
    assert [places.named(name) for name in ("graz", "Wien")] == ["Graz", None]


def test_an_attribute_that_nobody_has_is_refused() -> None:
    with pytest.raises(DataError, match="no customer has the attribute 'town', found place"):
        Places.read(TABLE, "town")
