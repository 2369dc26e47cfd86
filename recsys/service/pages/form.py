"""What somebody at the page asks: for whom, by which rules, and beside which other bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qs

from pydantic import Field, ValidationError, model_validator

from features.errors import DataError
from recsys.recommend.request import RecommendOptions
from recsys.service.problems import sentence
from recsys.service.schemas import Body, Id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Picked = Annotated[tuple[Id, ...], Field(max_length=1_000)]
LABELS = {"user": "customer", "words": "what to find", "k": "how many", "max_price": "the highest price", "beside": "the other bundle"}
LISTS = ("basket", "exclude")  # fields of which there may be several


class Asking(Body):
    """The form of the first page. Fields that are left empty stand for nothing."""

    user: Id | None = None
    basket: Picked = ()
    words: str = Field(default="", max_length=1_000, description="what to look for in the catalogue")
    k: int = Field(default=10, ge=1, le=50)
    diversity: float = Field(default=0.0, ge=0, le=1)
    choice: Literal["new", "all"] | None = Field(default=None, description="new: nothing bought before; None: as `buys_again` says")
    category: Id | None = None
    max_price: float | None = Field(default=None, ge=0)
    in_stock: bool = False
    exclude: Picked = ()
    beside: Id | None = Field(default=None, description="another bundle that is asked the same")

    @model_validator(mode="before")
    @classmethod
    def _tidied(cls, fields: Any) -> Any:
        """An empty field is one that was not filled in. `add` puts one more item into the basket."""
        told = {name: [value.strip() for value in values if value.strip()] for name, values in fields.items()}
        told["basket"] = told.get("basket", []) + told.pop("add", [])
        return {
            name: list(dict.fromkeys(values)) if name in LISTS else values[-1]
            for name, values in told.items()
            if values  # of a choice that stands twice, the last holds, as where a browser sends a default first
        }

    @classmethod
    def of(cls, body: bytes) -> tuple[Asking, str]:
        """What a browser sent, and one line about the first field that is not what it should be, if there is one: such are left out.

        Raises
        ------
        DataError: it is no form.
        """
        fields = fields_of(body)
        try:
            return cls.model_validate(fields), ""
        except ValidationError as error:
            problems = error.errors()
        wrong = {str(problem["loc"][0]) for problem in problems}
        wrong |= {"add"} if "basket" in wrong else set()
        kept = {name: values for name, values in fields.items() if name not in wrong}
        return cls.model_validate(kept), sentence([{**problem, "loc": ("body", *_labelled(problem["loc"]))} for problem in problems])

    @property
    def options(self) -> RecommendOptions:
        """The same, as the recommender takes it."""
        return RecommendOptions(
            user=self.user,
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


def _labelled(place: Sequence[int | str]) -> list[int | str]:
    """Of a field, as the page calls it."""
    return [LABELS.get(str(place[0]), place[0]), *place[1:]]


def fields_of(body: bytes) -> Mapping[str, list[str]]:
    """The fields of a form, as browsers send them: application/x-www-form-urlencoded.

    Raises
    ------
    DataError: there are too many.
    """
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=3_000)
    except ValueError:
        raise DataError("the form has more than 3,000 fields: take items out of the basket") from None
