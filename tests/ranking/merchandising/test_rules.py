"""The file of merchandising rules: what each key means, where and when a rule holds, and what is wrong in one line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ConfigError
from ranking.merchandising.place import Place, Where
from ranking.merchandising.rules import MerchandisingRules
from ranking.merchandising.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
WHOLE = """
time_zone = "Europe/Berlin"

[objective]
by = "expected_profit"
margin = 0.3
stock_pressure = 0.5

[[pin]]
name = "advent"
item = "sku-07"
position = 1
from = 2026-12-01
to = 2026-12-24
days = ["sat", "sun"]
hours = [18, 22]
where = { pages = ["home"], rows = ["for_you"] }

[[boost]]
name = "own brand"
brands = ["Acme"]
factor = 1.5

[[bury]]
name = "nearly gone"
max_stock = 3
factor = 0.2

[[limit]]
name = "brands"
by = "brand"
most = 3
first = 10

[[campaign]]
name = "tea weeks"
categories = ["tea"]
at_least = 2
first = 6
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "merchandising.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    rules = MerchandisingRules.read(written(tmp_path, WHOLE))
    assert rules.names == ["advent", "own brand", "nearly gone", "brands", "tea weeks"]
    assert rules.time_zone == BERLIN
    assert (rules.pin[0].start, rules.pin[0].end) == (date(2026, 12, 1), date(2026, 12, 24))
    assert not rules.objective.plain
    assert rules.only("brands", "advent").names == ["advent", "brands"]
    assert rules.only("brands").objective.plain
    assert rules.only("objective").names == []
    assert not rules.only("objective").objective.plain
    assert rules.anywhere.pin[0].where == Where()
    assert rules.anywhere.pin[0].holds(datetime(2020, 1, 1, tzinfo=UTC), BERLIN)


def test_no_file_and_an_empty_one_have_no_rules(tmp_path: Path) -> None:
    assert MerchandisingRules.read(tmp_path / "merchandising.toml").empty
    assert MerchandisingRules.read(written(tmp_path, "")).empty
    assert not MerchandisingRules.read(written(tmp_path, '[objective]\nby = "expected_profit"\n')).empty


PIN = '[[pin]]\nname = "a"\nitem = "x"\nposition = 1\n'
BOOST = '[[boost]]\nname = "b"\nfactor = 2\n'
LIMIT = '[[limit]]\nname = "c"\nby = "brand"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pins = []\n", "unknown key pins, did you mean 'pin'?"),
        (PIN + "positon = 2\n", "unknown key pin 1: positon, did you mean 'position'?"),
        (PIN + PIN.replace("position = 1", "position = 0"), "pin 2: position is 0, should be greater than or equal to 1"),
        ('[[pin]]\nname = "a"\nposition = 1\n', "pin 1: item is missing"),
        (PIN + PIN, "2 rules have the name 'a', expected one: rename the others"),
        (PIN.replace('"a"', '"objective"'), "a rule has the name 'objective'"),
        (PIN + "where = { pages = ['start'] }\n", "pin 1: where.pages.0 is 'start', should be 'recommend', 'search', 'home'"),
        (PIN + "where = { page = ['home'] }\n", "unknown key pin 1: where.page, did you mean 'pages'?"),
        (PIN + "hours = [8, 25]\n", "pin 1: hours.1: expected hours as two whole numbers from 0 to 24, such as [18, 22]"),
        (PIN + "hours = [8, 8]\n", "hours are [8, 8], expected two different ones"),
        (PIN + "hours = [24, 0]\n", "hours are [24, 0], expected two different ones"),
        (PIN + "hours = [0, 0]\n", "hours are [0, 0], expected two different ones"),
        (PIN + "to = 9999-12-31\n", "pin 1: to: the year is 9999, expected 1971 to 2100: leave the key out for no bound"),
        (PIN + 'from = "0001-01-01T00:00:00+14:00"\n', "pin 1: from: the year is 1, expected 1971 to 2100"),
        (PIN + "from = 1970-12-31T12:00:00Z\n", "pin 1: from: the year is 1970, expected 1971 to 2100"),
        (PIN + "from = 2026-12-24\nto = 2026-12-01\n", "pin 'a' never holds: from is 2026-12-24 and to is 2026-12-01"),
        (PIN + "from = 2026-12-01T18:00:00\nto = 2026-12-01T18:00:00\n", "pin 'a' never holds: from is 2026-12-01 18:00:00"),
        (
            'time_zone = "Europe/Berlin"\n' + PIN + "from = 2026-12-01T18:30:00\nto = 2026-12-01T17:30:00Z\n",
            "pin 'a' never holds: from is 2026-12-01 18:30:00 and to is 2026-12-01 17:30:00+00:00",
        ),
        (PIN + 'from = "1.12.2026"\n', "pin 1: from: expected a day or a time such as 2026-12-01 or 2026-12-01T18:00"),
        (PIN + 'days = ["Monday"]\n', "pin 1: days.0 is 'Monday', should be 'mon', 'tue'"),
        (BOOST, "boost 1: no items are named, expected at least one of items, brands"),
        (BOOST + 'brands = ["q"]\nfactr = 1\n', "unknown key boost 1: factr, did you mean 'factor'?"),
        (BOOST.replace("2", "0.5") + 'brands = ["q"]\n', "boost 1: factor is 0.5, should be greater than 1"),
        ('[[bury]]\nname = "b"\nfactor = 1.5\nbrands = ["q"]\n', "bury 1: factor is 1.5, should be less than 1"),
        (LIMIT + "most = 0\n", "limit 1: most is 0 for every brand, which leaves nothing to show: give the brand as value"),
        (LIMIT + "most = 5\nfirst = 5\n", "limit 1: most is 5 among the first 5, which limits nothing"),
        (LIMIT.replace("brand", "colour") + "most = 1\n", "limit 1: by is 'colour', expected brand, category, group or an attribute"),
        ('[[campaign]]\nname = "d"\nitems = ["x"]\nat_least = 3\nfirst = 2\n', "campaign 1: at_least is 3 among the first 2"),
        ('time_zone = "Mars"\n', "time_zone: 'Mars' is no time zone, expected a name such as Europe/Berlin"),
        ('[objective]\nby = "profit"\n', "objective.by is 'profit', should be 'probability' or 'expected_profit'"),
        ("[[pin]\n", "not readable as TOML"),
        (PIN + 'days = ["x"]\nhours = [1]\n', "(and 1 more)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        MerchandisingRules.read(written(tmp_path, text))
    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'merchandising.toml'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bounds", ["from = 1971-01-01\nto = 2100-12-31", "from = 2026-12-01\nto = 2026-12-01", "hours = [0, 24]"])
def test_the_widest_and_the_narrowest_schedules_hold(tmp_path: Path, bounds: str) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"):
        (pin,) = MerchandisingRules.read(written(tmp_path, f'time_zone = "{zone}"\n{PIN}{bounds}\n')).pin
        assert pin.holds(datetime(2026, 12, 1, 12, tzinfo=ZoneInfo(zone)), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("where", "place", "holds"),
    [
        ({}, Place(), True),
        ({"pages": ["home"]}, Place("home", "popular"), True),
        ({"pages": ["home"]}, Place("recommend"), False),
        ({"rows": ["popular"]}, Place("home"), False),
        ({"pages": ["home", "basket"], "rows": ["popular"]}, Place("basket", "popular"), True),
        ({"categories": ["tea"]}, Place("category", "popular", "drinks|tea"), True),
        ({"categories": ["drinks"]}, Place("category", None, "Drinks|Tea"), True),
        ({"categories": ["drinks|tea"]}, Place("category", None, "drinks"), False),
        ({"categories": ["tea"]}, Place("home"), False),
        ({"queries": ["Green  Tea"]}, Place("search", query="green tea"), True),
        ({"queries": ["green tea"]}, Place("search", query="green"), False),
        ({"queries": ["green tea"]}, Place("home"), False),
    ],
)
def test_where_a_rule_holds(where: dict[str, Any], place: Place, holds: bool) -> None:
    assert Where.model_validate(where).holds(place) is holds


@pytest.mark.parametrize(
    ("schedule", "moment", "holds"),
    [
        ({}, "2026-12-01T00:00+01:00", True),
        ({"from": "2026-12-01"}, "2026-11-30T23:30+00:00", True),  # it is the first in Berlin
        ({"from": "2026-12-01"}, "2026-11-30T22:30+00:00", False),
        ({"to": date(2026, 12, 24)}, "2026-12-24T23:59+01:00", True),  # the last day is included
        ({"to": date(2026, 12, 24)}, "2026-12-25T00:00+01:00", False),
        ({"to": "2026-12-24T18:00"}, "2026-12-24T18:00+01:00", False),
        ({"to": "2026-12-24T18:00+00:00"}, "2026-12-24T18:30+01:00", True),
        ({"days": ["sat", "sun"]}, "2026-12-05T12:00+01:00", True),
        ({"days": ["sat", "sun"]}, "2026-12-04T12:00+01:00", False),
        ({"hours": [18, 22]}, "2026-12-05T21:59+01:00", True),
        ({"hours": [18, 22]}, "2026-12-05T22:00+01:00", False),
        ({"hours": [22, 2]}, "2026-12-05T01:30+01:00", True),
        ({"hours": [22, 2]}, "2026-12-05T03:00+01:00", False),
        ({"hours": [9, 17]}, "2026-07-01T07:30+00:00", True),  # summer time
    ],
)
def test_when_a_rule_holds(schedule: dict[str, Any], moment: str, holds: bool) -> None:
    assert Schedule.model_validate(schedule).holds(datetime.fromisoformat(moment), BERLIN) is holds


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({}, {}, True),
        ({"to": "2026-12-01"}, {"from": "2026-12-02"}, False),
        ({"to": "2026-12-01"}, {"from": "2026-12-01"}, True),
        ({"days": ["mon"]}, {"days": ["tue"]}, False),
        ({"hours": [8, 12]}, {"hours": [12, 18]}, False),
        ({"hours": [22, 2]}, {"hours": [0, 1]}, True),
    ],
)
def test_schedules_that_meet(one: dict[str, Any], other: dict[str, Any], meet: bool) -> None:
    a, b = Schedule.model_validate(one), Schedule.model_validate(other)
    assert a.meets(b, BERLIN) is meet
    assert b.meets(a, BERLIN) is meet


SCHEDULES = st.builds(
    lambda start, length, days, hours: Schedule.model_validate(
        {"from": start, "to": date.fromordinal(start.toordinal() + length), "days": days, "hours": hours}
    ),
    st.dates(date(2026, 1, 1), date(2026, 2, 1)),
    st.integers(0, 40),
    st.lists(st.sampled_from(["mon", "wed", "sun"]), unique=True),
    st.none() | st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda pair: pair[0] != pair[1]),
)


@given(SCHEDULES, SCHEDULES, st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 15), timezones=st.just(UTC)))
def test_two_that_hold_at_one_moment_meet(one: Schedule, other: Schedule, moment: datetime) -> None:
    if one.holds(moment, BERLIN) and other.holds(moment, BERLIN):
        assert one.meets(other, BERLIN)
