"""Reads the form of the page that shows a page of the storefront."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ranking.merchandising.place import PageKind  # noqa: TC001  pydantic reads it
from recsys.apps.storefront.request import PageRequest
from recsys.service.pages.form import ItemIds, PageForm
from recsys.service.schemas import Id, Name  # noqa: TC001  pydantic reads them

if TYPE_CHECKING:
    from collections.abc import Mapping


class StorefrontForm(PageForm):
    """A page of the storefront; basket and items viewed have one id a line."""

    LISTS = ("basket", "viewed")
    page: PageKind = "home"
    item: Id | None = None
    basket: ItemIds = ()
    viewed: ItemIds = ()
    place: Name | None = None

    @classmethod
    def filled(cls, fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Split lines, and append `add` to the basket."""
        lines = {name: [line for text in fields.get(name, []) for line in text.splitlines()] for name in cls.LISTS}
        filled = super().filled({**fields, **lines})
        return filled | {"basket": filled["basket"] + filled.pop("add", [])}

    @property
    def asked(self) -> PageRequest:
        """The form as the storefront takes it, with the rows of the settings."""
        return PageRequest(
            self.page,
            self.user,
            self.basket,
            self.item,
            self.category,
            self.viewed,
            in_stock=self.in_stock,
            max_price=self.max_price,
            place=self.place,
        )
