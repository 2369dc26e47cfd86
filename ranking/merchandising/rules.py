"""The rules of merchandising.toml: pin, boost, bury, limit, campaign, and what a list is ordered by."""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from features.errors import ConfigError, one_line
from features.text.closest import did_you_mean
from ranking.merchandising.place import Where
from ranking.merchandising.schedule import Schedule
from ranking.merchandising.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE = "merchandising.toml"
DOCS = "see docs/merchandising.md"
ATTRIBUTE = "attribute:"
OBJECTIVE = "objective"  # the name under which the objective moves an item
Kind = Literal["pin", "boost", "bury", "limit", "campaign"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class MerchandisingRule(Schedule):
    """What every rule has: a name, a place and a schedule."""

    name: str = Field(min_length=1, max_length=100)
    where: Where = Where()


class Pin(MerchandisingRule):
    """One item at one position, from 1."""

    item: str
    position: int = Field(ge=1, le=100)


class Boost(MerchandisingRule, Selection):
    """The probability of the selected items counts for `factor` times as much."""

    factor: float = Field(gt=1, le=100)


class Bury(MerchandisingRule, Selection):
    """The probability of the selected items counts for less; 0 puts them behind all others."""

    factor: float = Field(default=0.0, ge=0, lt=1)


class Limit(MerchandisingRule):
    """At most so many items of one kind among the first of a list.

    Attributes
    ----------
    by : what makes items of one kind: brand, category, group, or "attribute:seller" for an attribute of the catalogue.
    value : the limit holds for this brand, category or value alone; None: for each of them.
    most : how many; 0 only with a value.
    first : among the first so many; None: among all of the list.
    """

    by: str
    value: str | None = None
    most: int = Field(ge=0, le=100)
    first: int | None = Field(default=None, ge=1, le=1_000)

    @model_validator(mode="after")
    def _check_limit(self) -> Self:
        attribute = self.by.startswith(ATTRIBUTE) and self.by.removeprefix(ATTRIBUTE).strip()
        if self.by not in ("brand", "category", "group") and not attribute:
            raise ValueError(f"by is {self.by!r}, expected brand, category, group or an attribute such as {ATTRIBUTE}seller")
        if self.most == 0 and self.value is None:
            raise ValueError(f"most is 0 for every {self.by}, which leaves nothing to show: give the {self.by} as value")
        if self.first is not None and self.first <= self.most:
            raise ValueError(f"most is {self.most} among the first {self.first}, which limits nothing: give a smaller number")
        return self


class Campaign(MerchandisingRule, Selection):
    """Products of a campaign: at least so many of them among the first of a list, the likeliest ones."""

    at_least: int = Field(default=1, ge=1, le=100)
    first: int = Field(default=10, ge=1, le=1_000)

    @model_validator(mode="after")
    def _check_campaign(self) -> Self:
        if self.at_least > self.first:
            raise ValueError(f"at_least is {self.at_least} among the first {self.first}: give a smaller number, or a larger first")
        return self


class Objective(BaseModel):
    """What lists are ordered by, where nothing is pinned.

    Attributes
    ----------
    by : "probability" of a purchase, or "expected_profit": probability times margin.
    margin : share of the price that counts as the margin of items whose margin the catalogue does not have.
    stock_pressure : items with more stock than `cover_days` count for up to 1 + stock_pressure times as much; 0: stock does not count.
    cover_days : days for which the stock lasts at the sales of the last 28 days; at twice as many the pressure is full.
    where : the places in which it holds; elsewhere probability does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    by: Literal["probability", "expected_profit"] = "probability"
    margin: float | None = Field(default=None, gt=0, le=1)
    stock_pressure: float = Field(default=0.0, ge=0, le=10)
    cover_days: float = Field(default=56.0, gt=0)
    where: Where = Where()

    @property
    def plain(self) -> bool:
        """Whether it changes no list."""
        return self.by == "probability" and not self.stock_pressure


def _zone(value: Any) -> Any:
    if isinstance(value, tzinfo) or value == "UTC":
        return UTC if value == "UTC" else value
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone, expected a name such as Europe/Berlin") from None


class MerchandisingRules(BaseModel):
    """All of merchandising.toml.

    Attributes
    ----------
    time_zone : of the schedules.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    time_zone: Annotated[tzinfo, BeforeValidator(_zone)] = UTC
    objective: Objective = Objective()
    pin: tuple[Pin, ...] = ()
    boost: tuple[Boost, ...] = ()
    bury: tuple[Bury, ...] = ()
    limit: tuple[Limit, ...] = ()
    campaign: tuple[Campaign, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        name, count = Counter(rule.name for _, rule in self.named()).most_common(1)[0] if self.names else ("", 0)
        if count > 1:
            raise ValueError(f"{count} rules have the name {name!r}, expected one: rename the others")
        if OBJECTIVE in self.names:
            raise ValueError(f"a rule has the name {OBJECTIVE!r}, which stands for the section [objective]: rename it")
        return self

    @model_validator(mode="after")
    def _begin_before_they_end(self) -> Self:
        for kind, rule in self.named():
            start, end = rule.between(self.time_zone)
            if start is not None and end is not None and start >= end:
                found = f"from is {rule.start} and to is {rule.end}"
                raise ValueError(f"{kind} {rule.name!r} never holds: {found}, expected from before to")
        return self

    def named(self) -> Iterator[tuple[Kind, Pin | Boost | Bury | Limit | Campaign]]:
        """Yield all rules with their kind."""
        for kind in KINDS:
            for rule in getattr(self, kind):
                yield kind, rule

    @property
    def names(self) -> list[str]:
        """Names of all rules."""
        return [rule.name for _, rule in self.named()]

    @property
    def empty(self) -> bool:
        """Whether no list changes."""
        return not self.names and self.objective.plain

    def only(self, *names: str) -> MerchandisingRules:
        """Return some of the rules, by name; `objective` names what lists are ordered by."""
        kept: dict[str, Any] = {kind: tuple(rule for rule in getattr(self, kind) if rule.name in names) for kind in KINDS}
        return self.model_copy(update=kept | ({} if OBJECTIVE in names else {"objective": Objective()}))

    @property
    def anywhere(self) -> MerchandisingRules:
        """The same rules as if they held everywhere and at any time."""
        free = {"where": Where(), "start": None, "end": None, "days": (), "hours": None}
        kinds = {kind: tuple(rule.model_copy(update=free) for rule in getattr(self, kind)) for kind in KINDS}
        return self.model_copy(update=kinds | {"objective": self.objective.model_copy(update={"where": Where()})})

    @classmethod
    def read(cls, path: Path) -> MerchandisingRules:
        """Read the rules of a file; a missing file has none.

        Raises
        ------
        ConfigError
            If the file cannot be read, has unknown keys or values that make no sense.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            raise ConfigError(f"{path}: {_first(error)}; {DOCS}") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: not readable as TOML: {one_line(error)}") from error


_RULES: dict[str, type[BaseModel]] = {"pin": Pin, "boost": Boost, "bury": Bury, "limit": Limit, "campaign": Campaign}
_SECTIONS = _RULES | {"objective": Objective}


def _first(error: ValidationError) -> str:
    """Return the first problem in one line: the rule, the key, what was found and what is expected."""
    problems = error.errors(include_url=False)
    first = problems[0]
    where = _where(first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        kind = _SECTIONS.get(str(first["loc"][0]), MerchandisingRules)
        known = Where.model_fields if "where" in first["loc"][:-1] else kind.model_fields
        names = [field.alias or name for name, field in known.items()]
        hint = did_you_mean(str(first["loc"][-1]), names) or f", its keys are {', '.join(names)}"
        text = f"unknown key {where}{hint}"
    elif first["type"] == "value_error":
        text = f"{where}: {message}" if where else message
    elif first["type"] == "missing":
        text = f"{where} is missing"
    else:
        text = f"{where} is {first['input']!r}, {message.removeprefix('Input ')}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(f"{text}{more}".split())


def _where(path: tuple[int | str, ...]) -> str:
    """Return a key for people: `pin 2: position`, counted from 1."""
    if len(path) > 1 and isinstance(path[1], int):
        rest = ".".join(map(str, path[2:]))
        return f"{path[0]} {path[1] + 1}{': ' if rest else ''}{rest}"
    return ".".join(map(str, path))
