"""Reads the forms of the pages: customer, basket, rules and a bundle to compare with; words to search for and filters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from urllib.parse import parse_qs

from pydantic import Field, ValidationError, model_validator

from features.data.prices import price_text
from features.errors import DataError
from recsys.apps.search.request import MAX_LENGTH, SearchOptions
from recsys.recommend.request import RecommendOptions
from recsys.service.problems import sentence
from recsys.service.schemas import Body, Id, Name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ItemIds = Annotated[tuple[Id, ...], Field(max_length=1_000)]
FilterKeys = Annotated[tuple[Annotated[str, Field(max_length=512)], ...], Field(max_length=50)]
LABELS = {
    "user": "customer",
    "words": "search",
    "text": "message",
    "k": "number of items",
    "min_price": "lowest price",
    "max_price": "highest price",
    "beside": "bundle to compare with",
}
_RANGE = re.compile(r"(\d*\.?\d*)-(\d*\.?\d*)")


class FieldsForm(Body):
    """A form; an empty field counts as missing."""

    LISTS: ClassVar[tuple[str, ...]] = ()  # fields with several values

    @classmethod
    def filled(cls, fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Drop empty values; a form may change values by others."""
        return {name: [value.strip() for value in values if value.strip()] for name, values in fields.items()}

    @model_validator(mode="before")
    @classmethod
    def _single_values(cls, fields: Any) -> Any:
        """Drop empty fields, and reduce all fields but `LISTS` to one value."""
        return {
            name: list(dict.fromkeys(values)) if name in cls.LISTS else values[-1]
            for name, values in cls.filled(fields).items()
            if values  # the last value wins: some browsers send a default first, and a button stands after the fields
        }

    @classmethod
    def of(cls, body: bytes) -> tuple[Self, str]:
        """Read a body; return the form without its invalid fields, and one line about the first of these, or "".

        Raises
        ------
        DataError
            The form has too many fields.
        """
        fields = fields_of(body)
        try:
            return cls.model_validate(fields), ""
        except ValidationError as error:
            problems = error.errors()
        invalid = {str(problem["loc"][0]) for problem in problems}
        invalid |= {"add"} if "basket" in invalid else set()
        valid = {name: values for name, values in fields.items() if name not in invalid}
        return cls.model_validate(valid), sentence([{**problem, "loc": ("body", *_labelled(problem["loc"]))} for problem in problems])


class PageForm(FieldsForm):
    """What the forms of lists and of the search have in common."""

    user: Id | None = None
    category: Name | None = None
    max_price: float | None = Field(default=None, ge=0)
    in_stock: bool = False


class RecommendForm(PageForm):
    """The form of the first page."""

    LISTS = ("basket", "exclude")
    basket: ItemIds = ()
    words: str = Field(default="", max_length=MAX_LENGTH, description="text to search the catalogue for")
    k: int = Field(default=10, ge=1, le=50)
    diversity: float = Field(default=0.0, ge=0, le=1)
    choice: Literal["new", "all"] | None = Field(default=None, description="new: only items not bought before; None: as `buys_again` says")
    exclude: ItemIds = ()
    beside: Id | None = Field(default=None, description="id of the bundle to compare with")

    @classmethod
    def filled(cls, fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Append `add` to the basket."""
        filled = super().filled(fields)
        return filled | {"basket": filled.get("basket", []) + filled.pop("add", [])}

    @property
    def options(self) -> RecommendOptions:
        """The form as the recommender takes it."""
        return RecommendOptions(
            history=self.basket,
            k=self.k,
            category=self.category,
            max_price=self.max_price,
            in_stock=self.in_stock,
            exclude=self.exclude,
            new_only=None if self.choice is None else self.choice == "new",
            diversity=self.diversity,
            explain=True,
        )


class SearchForm(PageForm):
    """The form of the search page.

    Attributes
    ----------
    asked : the words that the page was shown for. With other words, `ignore` and `verbatim` are forgotten: they were about the old ones.
    ignore : filters that are not to be read from the words.
    """

    LISTS = ("ignore",)
    words: str = Field(default="", max_length=MAX_LENGTH, description="what to look for")
    asked: str = Field(default="", max_length=MAX_LENGTH)
    k: int = Field(default=20, ge=1, le=50)
    brand: Name | None = None
    praised: Name | None = None
    min_price: float | None = Field(default=None, ge=0)
    ignore: FilterKeys = ()
    verbatim: bool = False

    @classmethod
    def filled(cls, fields: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Set both prices by a range, and remove fields that `drop` names."""
        filled = super().filled(fields)
        dropped = filled.pop("drop", [])
        bounds = price_range(filled.pop("price", [""])[-1])
        if any(bounds):
            filled |= {name: [bound] if bound else [] for name, bound in zip(("min_price", "max_price"), bounds, strict=True)}
        if "asked" in filled and filled["asked"][-1:] != filled.get("words", [])[-1:]:
            dropped += ["ignore", "verbatim"]
        return {name: values for name, values in filled.items() if name not in dropped}

    @property
    def options(self) -> SearchOptions:
        """The form as the search takes it."""
        return SearchOptions(
            k=self.k,
            category=self.category,
            brand=self.brand,
            praised=self.praised,
            min_price=self.min_price,
            max_price=self.max_price,
            in_stock=self.in_stock,
            ignore=self.ignore,
            verbatim=self.verbatim,
            explain=True,
        )

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """Filters that the form sets: name of the field, and the filter in words."""
        prices = [("min_price", "from", self.min_price), ("max_price", "up to", self.max_price)]
        chosen = [("category", f"category {self.category}")] if self.category else []
        chosen += [("brand", f"brand {self.brand}")] if self.brand else []
        chosen += [("praised", f"praised for {self.praised}")] if self.praised else []
        chosen += [(name, f"{words} {price_text(price)}") for name, words, price in prices if price is not None]
        return chosen + ([("in_stock", "in stock")] if self.in_stock else [])


def price_range(value: str) -> tuple[str, str]:
    """Return the bounds of a range such as "2-5" or "100-"; both empty if it is none."""
    found = _RANGE.fullmatch(value)
    return (found[1], found[2]) if found else ("", "")


def _labelled(location: Sequence[int | str]) -> list[int | str]:
    """Replace a field's name by its label on the page."""
    return [LABELS.get(str(location[0]), location[0]), *location[1:]]


def fields_of(body: bytes) -> Mapping[str, list[str]]:
    """Parse a form (application/x-www-form-urlencoded): field -> its values.

    Raises
    ------
    DataError
        There are more than 3,000 fields.
    """
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=3_000)
    except ValueError:
        raise DataError("the form has more than 3,000 fields: take items out of the basket") from None
