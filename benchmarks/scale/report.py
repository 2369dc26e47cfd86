"""Writes the tables of docs/scale.md from docs/scale/unit_costs.jsonl: `python -m benchmarks.scale.report`.

The large shop's work follows from the unit costs, and a simulated cluster of each size does it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.scale.cluster import HOUR, Cluster, Stage, simulate
from benchmarks.scale.shop import CHANGED, EVENTS, EVENTS_A_NIGHT, ITEMS, TEXTS_AN_ITEM, USERS
from benchmarks.write_performance import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DOCS = Path(__file__).resolve().parents[2] / "docs"
NODES, SEEDS = (10, 30, 100, 300, 1_000), 5
MILLION, GIB = 1e6, 2**30
TEXTS = ITEMS * TEXTS_AN_ITEM
COUNTS = {"events": EVENTS, "items": ITEMS, "texts": TEXTS, "vectors": TEXTS, "users": USERS}
FITS = ("statistics", "item_knn", "als")
LIST_BYTES = 10 * 40  # ten lines of user, item and probability
ROW_BYTES = 40  # an event of the source, as Parquet


@dataclass(frozen=True)
class Costs:
    """What was measured.

    Attributes
    ----------
    seconds : processor seconds of a unit, by piece of work.
    unit : what a piece of work or a part of the bundle grows with.
    bytes : of a unit, by part of the bundle.
    """

    seconds: dict[str, float]
    unit: dict[str, str]
    bytes: dict[str, float]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Costs:
        """Read the rows that `benchmarks.scale.unit_costs` printed."""
        found = {str(row["name"]): row for row in rows}
        seconds = {name.removeprefix("unit_"): row["cpu_s_a_million"] / MILLION for name, row in found.items() if name.startswith("unit_")}
        parts = {name.removeprefix("stored_"): row["bytes_a_unit"] for name, row in found.items() if name.startswith("stored_")}
        unit = {re.sub("^(unit|stored)_", "", name): row["unit"] for name, row in found.items()}
        return cls(seconds, unit, parts)

    def work(self, name: str, count: float) -> float:
        """Return the processor seconds of `count` units."""
        return self.seconds[name] * count

    @property
    def bundle(self) -> dict[str, float]:
        """Bytes of the large shop's bundle, by part."""
        return {name: size * COUNTS[self.unit[name]] for name, size in self.bytes.items()}


def first_build(costs: Costs) -> list[Stage]:
    """Return the work of a build from nothing."""
    fits = [Stage(name, costs.work(name, EVENTS), bytes=EVENTS * costs.bytes["log"]) for name in FITS]
    return [
        Stage("ingest", costs.work("ingest", EVENTS), bytes=EVENTS * (ROW_BYTES + costs.bytes["log"])),
        *fits,
        Stage("encode", costs.work("encode", TEXTS), bytes=TEXTS * costs.bytes["texts"]),
        Stage("index", costs.work("index", TEXTS), bytes=TEXTS * (costs.bytes["texts"] + costs.bytes["index"])),
        Stage("lists", costs.work("lists", USERS), bytes=USERS * LIST_BYTES),
    ]


def night(costs: Costs) -> list[Stage]:
    """Return the work of a night: what follows the change, and everybody's lists."""
    events, texts = EVENTS_A_NIGHT, TEXTS * CHANGED
    counted = [Stage(name, costs.work(name, events), bytes=events * costs.bytes["log"]) for name in ("statistics", "item_knn")]
    return [
        Stage("ingest", costs.work("ingest", events), bytes=events * (ROW_BYTES + costs.bytes["log"])),
        *counted,
        Stage("encode", costs.work("encode", texts), bytes=texts * costs.bytes["texts"]),
        Stage("index", costs.work("index", texts), bytes=texts * costs.bytes["index"]),
        Stage("lists", costs.work("lists", USERS), bytes=USERS * LIST_BYTES),
    ]


def runs_table(stages: Sequence[Stage]) -> list[str]:
    """Return a table with a row for each size of cluster; where machines fail, medians over seeds."""
    lines = [
        "| machines | hours, none fails | cores' use | longest stage | hours, one in 30 days | hours, one a day | tasks | again | lost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    work = sum(stage.seconds for stage in stages)
    for nodes in NODES:
        calm = simulate(Cluster(nodes, days_between_failures=0.0), stages)
        seldom, often = (_median(Cluster(nodes, days_between_failures=days), stages) for days in (30.0, 1.0))
        longest = max(calm.stage_seconds.items(), key=lambda stage: stage[1])
        cells = (
            f"{nodes:,}",
            f"{calm.seconds / HOUR:.2f}",
            f"{work / (calm.seconds * nodes * Cluster(nodes).cores):.0%}",
            f"{longest[0]}, {longest[1] / calm.seconds:.0%}",
            f"{seldom[0] / HOUR:.2f}",
            f"{often[0] / HOUR:.2f}",
            f"{calm.tasks:,}",
            f"{often[1]:,.0f}",
            f"{often[2] / work:.1%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _median(cluster: Cluster, stages: Sequence[Stage]) -> tuple[float, float, float]:
    """Return the medians of duration, tasks that began again, and seconds of cores lost in them."""
    runs = [simulate(cluster, stages, seed) for seed in range(SEEDS)]
    seconds, again, lost = np.median([(run.seconds, run.repeated, run.lost_seconds) for run in runs], axis=0).tolist()
    return seconds, again, lost


def costs_table(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the measured costs."""
    lines = ["| work | processor seconds a million | of | a unit at four times the size |", "|---|---|---|---|"]
    for row in rows:
        if "cpu_s_a_million" in row:
            name = str(row["name"]).removeprefix("unit_").replace("_", " ")
            lines.append(f"| {name} | {row['cpu_s_a_million']:g} | {row['unit']} | {row['ratio']:.2f} |")
    return lines


def bundle_table(costs: Costs) -> list[str]:
    """Return the sizes of the large shop's bundle by part, largest first."""
    lines = ["| part of the bundle | bytes a unit | unit | GiB at the large shop |", "|---|---|---|---|"]
    for name, size in sorted(costs.bundle.items(), key=lambda part: -part[1]):
        lines.append(f"| {name.replace('_', ' ')} | {costs.bytes[name]:g} | {costs.unit[name]} | {size / GIB:,.1f} |")
    lines.append(f"| together | | | {sum(costs.bundle.values()) / GIB:,.1f} |")
    return lines


def page(text: str, rows: Sequence[Mapping[str, Any]], *, simulated: bool = True) -> str:
    """Return the text of docs/scale.md with its tables written anew; those of simulations, which take a minute, only if asked for."""
    costs = Costs.of(rows)
    tables = {"costs": costs_table(rows), "bundle": bundle_table(costs)}
    if simulated:
        tables |= {"first build": runs_table(first_build(costs)), "night": runs_table(night(costs))}
    for name, lines in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = pattern.sub(lambda found, lines=lines: found[1] + "\n" + "\n".join(lines) + "\n\n" + found[2], text)
    return text


if __name__ == "__main__":
    place = _DOCS / "scale.md"
    found = read_rows(_DOCS / "scale" / "unit_costs.jsonl")
    place.write_text(page(place.read_text(encoding="utf-8"), found), encoding="utf-8")
