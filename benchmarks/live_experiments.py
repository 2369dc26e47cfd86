"""Live experiments in a made shop: `python -m benchmarks.live_experiments --runs 500 --out live_experiments.jsonl`.

Each run is an experiment with a file of its own: its pages are assigned by the service's book of experiments, stored with their actions,
and read out at the end of each day, as `recsys experiment read-out` does. Runs differ in metric (click, purchase, revenue), unit (user,
session) and number of arms. Units have rates of their own, come back, and spend amounts with a long tail. The arms do not differ unless
--effect multiplies the rate of clicks in the last arm. A run that stands in the file is not run again.

A row for each kind of alarm has how many runs had one on any day: at most 5%, within the binomial interval.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.experiment.aa_test import flat
from eval.experiment.effects import binomial_interval
from features.data.interactions import DAY
from recsys.apps.storefront.experiments.assignment import ExperimentBook
from recsys.apps.storefront.experiments.definition import read_experiments
from recsys.apps.storefront.experiments.read_out import read_out
from recsys.workspace.served_pages import Action, Impression, PageOutcome, ServedPage, ShownItem
from recsys.workspace.workspace import Workspace

BEGIN, DAYS, UNITS = 1_780_272_000, 10, 1_000  # 2026-06-01
FILE = """
[experiments.aa]
unit = "{unit}"
from = 2026-06-01
to = 2026-06-11
metric = "{metric}"
units = {units}
guardrails = {{error_share = 0.0, latency_p95_ms = 400, revenue = 0.0}}
[experiments.aa.arms]
{arms}
"""


def main() -> None:
    """Run what is missing, and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--effect", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("live_experiments.jsonl"))
    options = parser.parse_args()
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    with options.out.open("a") as out:
        for run in range(len(done), options.runs):
            done.append(simulated(run, options.effect))
            out.write(json.dumps(done[-1]) + "\n")
            out.flush()
    done = done[: options.runs]
    for name in ("decided", "mismatch", "error_share", "latency_p95_ms", "revenue"):
        count = sum(run["alarms"].get(name, 0) > 0 for run in done)
        row: dict[str, Any] = {"name": f"live experiments, effect {options.effect:g}, {name}", "runs": len(done), "failures": count}
        if options.effect == 1:
            row |= {"interval": binomial_interval(len(done)), "kept": flat(count, len(done), at_most=True)}
        print(json.dumps(row))
    for metric in ("click", "purchase", "revenue"):
        some = [run for run in done if run["metric"] == metric]
        print(
            json.dumps(
                {"name": f"decided, {metric}", "runs": len(some), "failures": sum(run["alarms"].get("decided", 0) > 0 for run in some)}
            )
        )


def simulated(run: int, effect: float) -> dict[str, Any]:
    """Return on how many days an experiment raised each alarm."""
    rng = np.random.default_rng([run, 24])
    metric, unit, arms = ("click", "purchase", "revenue")[run % 3], ("user", "session")[run // 3 % 2], 2 + (run % 4 == 3)
    names = "abc"[:arms]
    alarms: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        workspace.experiments.write_text(
            FILE.format(unit=unit, metric=metric, units=UNITS, arms="\n".join(f"{name} = {{}}" for name in names))
        )
        (experiment,) = read_experiments(workspace.experiments)
        book = ExperimentBook(workspace)
        book.catch_up(BEGIN)
        visits = Visits(book, names[-1], effect, rng)
        rates = rng.beta(1, 6, UNITS)
        comes = np.sort(rng.integers(0, DAYS, UNITS))
        for day in range(DAYS):
            start = BEGIN + day * DAY
            # Who came for the first time today, and one in ten of those who came before.
            today = np.flatnonzero((comes == day) | ((comes < day) & (rng.random(UNITS) < 0.1)))
            pages, actions = [], []
            for number, second in zip(today.tolist(), np.sort(rng.integers(0, DAY, len(today))).tolist(), strict=True):
                page, done = visits.page(f"run{run}-unit{number}", start + second, rates[number])
                pages.append(page)
                actions += done
            workspace.impressions.add_served(pages)
            workspace.impressions.add_actions(actions, start + DAY - 1)
            found = read_out(experiment, workspace.impressions, start + DAY)
            alarms["decided"] += any(one.latest is not None and one.latest.decides for one in found.comparisons)
            alarms["mismatch"] += not found.ratio_kept
            for guardrail in found.broken:
                alarms[guardrail.name] += 1
    return {"run": run, "metric": metric, "unit": unit, "arms": arms, "alarms": dict(alarms)}


@dataclass(frozen=True)
class Visits:
    """Makes the pages of one run; units of the last arm click `effect` times as often."""

    book: ExperimentBook
    last: str
    effect: float
    rng: np.random.Generator

    def page(self, user: str, time: int, rate: float) -> tuple[ServedPage, list[Action]]:
        """One page, and what is done with the first of its items."""
        rng, key = self.rng, f"{user}-{time}"
        exposures = self.book.assign("home", user, user, time).exposures
        failed, slow = rng.random() < 0.02, float(rng.lognormal(5, 0.5))
        rows = () if failed else (Impression(key, "for_you", (ShownItem("x"), ShownItem("y"))),)
        outcome: PageOutcome = "failed" if failed else "ok"
        page = ServedPage(key, "home", time, rows, user, user, exposures=exposures, milliseconds=slow, outcome=outcome)
        if failed or rng.random() >= rate * (self.effect if exposures[0].arm == self.last else 1):
            return page, []
        bought = [Action(key, "x", "purchase", time, value=float(rng.lognormal(2, 1)))] if rng.random() < 0.4 else []
        return page, [Action(key, "x", "click", time), *bought]


if __name__ == "__main__":
    main()
