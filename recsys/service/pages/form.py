"""Reads the form of the first page: customer, basket, rules, and a bundle to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qs

from pydantic import Field, ValidationError, model_validator

from features.errors import DataError
from recsys.recommend.request import RecommendOptions
from recsys.service.problems import sentence
from recsys.service.schemas import Body, Id, Name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ItemIds = Annotated[tuple[Id, ...], Field(max_length=1_000)]
LABELS = {"user": "customer", "words": "search", "k": "number of items", "max_price": "highest price", "beside": "bundle to compare with"}
LISTS = ("basket", "exclude")  # fields with several values


class RecommendForm(Body):
    """The form of the first page; an empty field counts as missing."""

    user: Id | None = None
    basket: ItemIds = ()
    words: str = Field(default="", max_length=1_000, description="text to search the catalogue for")
    k: int = Field(default=10, ge=1, le=50)
    diversity: float = Field(default=0.0, ge=0, le=1)
    choice: Literal["new", "all"] | None = Field(default=None, description="new: only items not bought before; None: as `buys_again` says")
    category: Name | None = None
    max_price: float | None = Field(default=None, ge=0)
    in_stock: bool = False
    exclude: ItemIds = ()
    beside: Id | None = Field(default=None, description="id of the bundle to compare with")

    @model_validator(mode="before")
    @classmethod
    def _single_values(cls, fields: Any) -> Any:
        """Drop empty fields, append `add` to the basket, and reduce all fields but `LISTS` to one value."""
        filled = {name: [value.strip() for value in values if value.strip()] for name, values in fields.items()}
        filled["basket"] = filled.get("basket", []) + filled.pop("add", [])
        return {
            name: list(dict.fromkeys(values)) if name in LISTS else values[-1]
            for name, values in filled.items()
            if values  # the last value wins: some browsers send a default first
        }

    @classmethod
    def of(cls, body: bytes) -> tuple[RecommendForm, str]:
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
