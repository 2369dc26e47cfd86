"""Reads experiments.toml: which experiments there are, who takes part, and what each arm changes."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from features.errors import ConfigError, one_line
from features.names import CART, CLICK, PURCHASE, ActionMetric
from features.text.closest import did_you_mean
from ranking.merchandising.place import PageKind
from recsys.moments import utc_moment
from recsys.settings.apps.storefront import Rows, StorefrontConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


METRIC_ACTIONS: dict[str, str] = {CLICK: CLICK, CART: CART, PURCHASE: PURCHASE, "revenue": PURCHASE}


def _moment(value: Any) -> Any:
    """Read a TOML date or time, or an ISO 8601 text, as seconds since the epoch; a date is its midnight in UTC."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    try:
        return int(utc_moment(value).replace(tzinfo=UTC).timestamp())
    except (ValueError, TypeError, AttributeError, OverflowError):  # a number, true, a time of day, a moment before the year 1
        raise ValueError("expected a date or time such as 2026-12-01") from None


def _each_once(pages: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(pages)) < len(pages):
        raise ValueError("expected each page once")
    return pages


Moment = Annotated[int, BeforeValidator(_moment)]
Share = Annotated[float, Field(ge=0, le=1)]


class ArmSettings(BaseModel):
    """What an arm changes; None leaves what the shop has.

    Attributes
    ----------
    diversity : of the rows, 0 to 1.
    rows : names of the rows by page, in their order.
    merchandising : whether rules of merchandising apply.
    exploration : share of answers whose lower places are drawn, see `exploration.explore`.
    bundle : id of the bundle that answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    diversity: Share | None = None
    rows: dict[PageKind, Rows] | None = None
    merchandising: bool | None = None
    exploration: Share | None = None
    bundle: Annotated[str, Field(min_length=1)] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The settings that are changed."""
        return self.model_dump(mode="json", exclude_none=True)

    def over(self, config: StorefrontConfig) -> StorefrontConfig:
        """Return the storefront's settings as they are in this arm."""
        changed = {name: value for name, value in self.given.items() if name not in ("rows", "bundle")}
        return config.model_copy(update=changed | (self.rows or {}))


class Arm(BaseModel):
    """One variant. `weight`: relative to those of the other arms."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    settings: ArmSettings = ArmSettings()


class Guardrails(BaseModel):
    """What an arm must not do; None is not watched.

    Attributes
    ----------
    error_share : how much larger the share of failed pages may be than the control's.
    latency_p95_ms : milliseconds within which 95% of the pages must be answered.
    revenue : the share of the control's revenue of a unit that may be lost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    error_share: Share | None = 0.01
    latency_p95_ms: float | None = Field(default=None, gt=0)
    revenue: Share | None = None


class Experiment(BaseModel):
    """One experiment of experiments.toml.

    Attributes
    ----------
    unit : who is assigned. A page without a user (a session) is outside an experiment of users (of sessions).
    begin, end : from, and before which moment pages are part of it, in seconds since the epoch; in the file `from` and `to`.
    arms : by name. The first is the control unless `control` names another one.
    pages : whose pages are part of it; none stands for all.
    metric : what is compared: how often a unit did so, or what it paid, within `window_days` of its first page.
    units : about how many units are expected; the interval is narrowest there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    name: str = Field(pattern=r"^[\w.-]{1,64}$")
    unit: Literal["user", "session"] = "user"
    begin: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    arms: dict[Annotated[str, Field(pattern=r"^[\w.-]{1,64}$")], Arm]
    control: str = ""
    pages: Annotated[tuple[PageKind, ...], AfterValidator(_each_once)] = ()
    metric: ActionMetric = CLICK
    window_days: float = Field(default=1.0, gt=0, le=365)
    units: int = Field(default=10_000, ge=1)
    guardrails: Guardrails = Guardrails()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.begin >= self.end:
            raise ValueError("`from` is not before `to`")
        if len(self.arms) < 2:
            raise ValueError(f"found {' and '.join(self.arms) or 'no arms'}, expected two arms or more")
        if self.control and self.control not in self.arms:
            raise ValueError(f"the control {self.control!r} is none of its arms {', '.join(self.arms)}")
        return self

    @property
    def base(self) -> str:
        """The control's name."""
        return self.control or next(iter(self.arms))

    @property
    def shares(self) -> dict[str, float]:
        """The share of each arm, sorted by name: their order in the file does not change who sees which."""
        total = sum(arm.weight for arm in self.arms.values())
        return {name: self.arms[name].weight / total for name in sorted(self.arms)}

    @property
    def changed(self) -> set[str]:
        """The settings that some arm changes."""
        return {name for arm in self.arms.values() for name in arm.settings.given}

    @property
    def design(self) -> str:
        """What must not change once the experiment runs, as JSON."""
        arms = {name: {"share": round(share, 9), "settings": self.arms[name].settings.given} for name, share in self.shares.items()}
        chosen = {"unit": self.unit, "from": self.begin, "control": self.base, "pages": sorted(self.pages), "metric": self.metric}
        return json.dumps(chosen | {"window_days": self.window_days, "units": self.units, "arms": arms}, sort_keys=True)

    def state(self, now: float) -> str:
        """Return whether it is planned, running or ended."""
        return "planned" if now < self.begin else "running" if now < self.end else "ended"

    def runs(self, now: float) -> bool:
        """Return whether pages of a moment are part of it."""
        return self.begin <= now < self.end


def read_experiments(path: Path) -> tuple[Experiment, ...]:
    """Read the experiments of a file; without a file there are none.

    Raises
    ------
    ConfigError
        The file cannot be read, a key or a setting is unknown, a value is wrong, or two experiments change one setting at one time.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML: {one_line(error)}: see docs/experiments.md") from error
    named = table.pop("experiments", {})
    if table or not isinstance(named, dict):
        found = next(iter(table), "experiments")
        raise ConfigError(f"{path}: found {found!r}, expected tables [experiments.NAME]: see docs/experiments.md")
    experiments = tuple(_experiment(path, name, values) for name, values in named.items())
    for line in _overlaps(experiments):
        raise ConfigError(f"{path}: {line}")
    return experiments


def _experiment(path: Path, name: str, values: Any) -> Experiment:
    try:
        return Experiment.model_validate({"name": name, **values} if isinstance(values, dict) else values)
    except ValidationError as error:
        raise ConfigError(f"{path}: experiment {name!r}: {_sentence(error)}: see docs/experiments.md") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        known = ArmSettings if "settings" in first["loc"] else Guardrails if "guardrails" in first["loc"] else Experiment
        if "arms" in first["loc"] and known is Experiment:
            known = Arm
        names = [field.alias or key for key, field in known.model_fields.items() if key != "name"]
        hint = did_you_mean(str(first["loc"][-1]), names) or f", known are {', '.join(names)}"
        return f"unknown key {where}{hint}".removesuffix("?")
    if first["type"] == "missing":
        return f"{where} is missing"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    found = f"{where} is {first['input']!r}, " if where else ""
    return f"{found}{message}"


def _overlaps(experiments: tuple[Experiment, ...]) -> Iterator[str]:
    """Yield a line for each pair that changes one setting of one page at one time: nobody could tell their effects apart."""
    for number, one in enumerate(experiments):
        for other in experiments[number + 1 :]:
            both = sorted(one.changed & other.changed)
            same_page = not one.pages or not other.pages or set(one.pages) & set(other.pages)
            if both and same_page and max(one.begin, other.begin) < min(one.end, other.end):
                yield (
                    f"experiments {one.name!r} and {other.name!r} both change {both[0]} from "
                    f"{day(max(one.begin, other.begin))} to {day(min(one.end, other.end))}: let one end before the other begins"
                )


def day(seconds: float) -> str:
    """Return a moment as a date, with the time where it is not midnight."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%d}" if seconds % 86_400 == 0 else f"{moment:%Y-%m-%dT%H:%M}"
