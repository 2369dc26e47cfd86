"""`recsys simulate`: two arms replay the same days of the log, and their lists are compared by what was then bought.

simulations/<system>-<key>/ caches the lists of each day under a digest of all that determines them. An interrupted run
resumes, and an arm that was simulated before is not computed again, whatever it is compared with.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load, save

from eval.reports.simulation import page
from eval.simulation.readout import readout
from eval.simulation.report import Side, Simulation
from eval.simulation.visits import K, Visits, known_before
from features.data.interactions import DAY
from features.errors import ConfigError, DataError
from features.storage.atomic import replace_durably, write_whole
from features.storage.digests import digest, of_json
from features.storage.sorted_unique import sorted_unique
from recsys.offline.ab_arm import AbArm
from recsys.offline.ab_runner import AbRunner
from recsys.offline.click_log import write_clicks
from recsys.offline.evaluate import evaluation_cut, progress
from recsys.settings.arm import OURS, SYSTEMS
from recsys.settings.settings import load_settings
from recsys.snapshot.fingerprint import fingerprint
from recsys.training.windows import moment

if TYPE_CHECKING:
    from features.data.interactions import Interactions
    from recsys.offline.options import SimulateOptions
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

_log = logging.getLogger(__name__)
VERSION = 1  # raise it when the same facts give other lists: cached lists of other versions are not reused
FEWEST_USERS = 40
IDLE = "the cross-encoder is not used: when the model was trained, it gained no more than chance explains"


def simulate(workspace: Workspace, settings: Settings, options: SimulateOptions) -> Simulation:
    """Replay the days with both arms, compare them, and write JSON and a page to reports/.

    Raises
    ------
    ConfigError: an arm is neither a system nor a configuration.
    DataError: the log has no times, the days lie outside it, or too few users buy in them.
    """
    arms = tuple(arm_of(given, side, settings) for side, given in (("--a", options.a), ("--b", options.b)))
    catalog, log = workspace.load(settings.events)
    start, days = period(log, options, settings.simulate.horizon_days)
    replay = Replay(AbRunner(workspace, catalog, log, start, options.train), days, options.users)
    buyers = len(replay.visits({}, settings.simulate.horizon_days).users)
    if buyers < FEWEST_USERS:
        raise DataError(f"{buyers} users buy in the {days} days from {moment(start)}, expected at least {FEWEST_USERS}: take more days")
    visits = replay.visits(replay.run(arms), settings.simulate.horizon_days)
    known = known_before(log, start, visits.users, settings.baselines)
    sides = tuple(replay.side(arm, visits, side) for arm, side in zip(arms, "ab", strict=True))
    names = [moment(start + day * DAY)[:10] for day in range(days)]
    result = readout(visits, known, settings.simulate, names, (sides[0], sides[1]), workspace.root.name)
    if options.click_log:
        clicks = write_clicks(options.click_log, visits, catalog.ids, settings.simulate.clicks)
        result = result.model_copy(update={"clicks": clicks})
    path = workspace.reports / f"simulation-{arms[0].name}-{arms[1].name}.json"
    write_whole(path, result.to_json())
    write_whole(path.with_suffix(".html"), page(result))
    _log.info("page with plots: %s", path.with_suffix(".html"))
    return result


def arm_of(given: str | AbArm, option: str, settings: Settings) -> AbArm:
    """Return the arm that an option names: "ours", a baseline, or the path of a configuration.

    Raises
    ------
    ConfigError: it is none of these, or the configuration is invalid.
    """
    if isinstance(given, AbArm):
        return given
    if given in SYSTEMS:
        return AbArm(given, settings.model_copy(update={"arm": settings.arm.model_copy(update={"system": given})}))
    path = Path(given)
    if path.suffix != ".toml" and not path.is_file():
        raise ConfigError(f"{option} {given!r} is neither a system nor a file: give NAME.toml, {OURS}, or one of {', '.join(SYSTEMS[1:])}")
    return AbArm(path.stem, load_settings(path))


def period(log: Interactions, options: SimulateOptions, horizon: int) -> tuple[int, int]:
    """Return the beginning of the first day, seconds since the epoch, and the number of days.

    By default the days run from where `recsys evaluate` cuts the log to the last day whose whole horizon lies in it.

    Raises
    ------
    DataError: the log's times carry only the order of events, its users never return, or no whole day is left.
    """
    if log.moments is None:
        raise DataError(
            "the log's times carry only the order of events, so there are no days to replay: give times, or use `recsys evaluate`"
        )
    if log.ordinal:
        raise DataError(
            "the log's users never return, so no day of a replay would know them: give ids of customers, not of visits, or use "
            "`recsys evaluate`"
        )
    start = evaluation_cut(log) if options.start is None else int(options.start.replace(tzinfo=UTC).timestamp())
    whole = int((log.end - start) // DAY) - horizon + 1
    if not log.start < start or whole < 1:
        raise DataError(
            f"the log runs from {moment(log.start)} to {moment(log.end)}, and --from is {moment(start)}: expected a date after its start "
            f"and {horizon} or more whole days before its end"
        )
    if options.days is not None and options.days > whole:
        raise DataError(
            f"--days is {options.days}, and the log holds {whole} whole days from {moment(start)}: give --days {whole} or fewer"
        )
    return start, options.days or whole


@dataclass(frozen=True)
class Replay:
    """The days that both arms replay, and their users.

    Attributes
    ----------
    most : int or None
        The number of users, at most, drawn at random among those with an event on these days.
    """

    shop: AbRunner
    days: int
    most: int | None

    def run(self, arms: tuple[AbArm, ...]) -> dict[str, list[np.ndarray]]:
        """Return the lists of each day, by "a" and "b". Both arms run day by day, so that they share refreshes."""
        visitors, keys = self.visitors(), [self.key(arm) for arm in arms]
        lists: dict[str, list[np.ndarray]] = {side: [] for side in "ab"}
        with progress() as show:
            for day, users in enumerate(visitors):
                for number, (side, arm, key) in enumerate(zip("ab", arms, keys, strict=True)):
                    show(f"{arm.name}, {moment(self.shop.at(day))[:10]}", 2 * day + number, 2 * self.days)
                    lists[side].append(self._cached(arm, key, day, users))
        return lists

    def visitors(self) -> list[np.ndarray]:
        """Return the users of each day: sorted user rows with an event on it."""
        log, shop = self.shop.log, self.shop
        inside = log.between(shop.start, shop.at(self.days))
        chosen = sorted_unique(inside.user)
        if self.most is not None and len(chosen) > self.most:
            chosen = np.random.default_rng(0).choice(chosen, self.most, replace=False)
        inside = inside.where(np.isin(inside.user, chosen))
        day = (inside.time - shop.start) // DAY
        return [sorted_unique(inside.user[day == number]).astype(np.int64) for number in range(self.days)]

    def key(self, arm: AbArm) -> str:
        """Return a digest of all that determines an arm's lists, 16 hex digits."""
        shop = self.shop
        model = {} if arm.config.system != OURS else {"model": shop.model(arm, 0)[0].to_files()}
        facts: dict[str, Any] = {
            "arm": arm.facts,
            "log": fingerprint(shop.catalog, shop.log),
            "start": shop.start,
            "most": self.most,
            "k": K,
            "way": VERSION,
        }
        facts |= {name: digest(files) for name, files in model.items()}
        return of_json(facts)[:16]

    def _cached(self, arm: AbArm, key: str, day: int, users: np.ndarray) -> np.ndarray:
        """Return the lists of a day, int32 (b, K), from the cache if it has them."""
        path = self.shop.workspace.root / "simulations" / f"{arm.config.system}-{key}" / f"day-{day:03}.safetensors"
        if path.is_file():
            stored = load(path.read_bytes())
            if np.array_equal(stored["users"], users):
                return stored["rows"]
        rows = self.shop.lists(arm, day, users)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, save({"users": users, "rows": rows}))
        return rows

    def visits(self, lists: dict[str, list[np.ndarray]], horizon: int) -> Visits:
        """Return all days as one table of visits."""
        visitors = self.visitors()
        day = np.repeat(np.arange(self.days), [len(users) for users in visitors])
        both = {side: np.concatenate(days) for side, days in lists.items()}
        return Visits(np.concatenate(visitors), day, both, self.shop.log, self.shop.start, horizon)

    def side(self, arm: AbArm, visits: Visits, side: str) -> Side:
        """Return what the readout reports of an arm."""
        facts, coverage = arm.config.model_dump(mode="json"), visits.coverage(side)
        if arm.config.system != OURS:
            return Side(name=arm.name, facts=facts, models={}, coverage=coverage)
        trained = sorted({arm.trained(day) for day in range(self.days)})
        models = {moment(self.shop.at(day))[:10]: f"trained until {moment(self.shop.at(day))}" for day in trained}
        ranking = self.shop.model(arm, 0)[0].ranking
        idle = ranking is not None and ranking.residual.idle and arm.config.cross_encoder
        return Side(name=arm.name, facts=facts, models=models, coverage=coverage, note=IDLE if idle else "")
