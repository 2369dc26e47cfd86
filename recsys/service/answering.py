"""One answer within its time: threads that retrieve, threads that rank, and a circuit breaker between them.

Ranking that is late, fails or says nan costs a list its order, never the answer: what retrieval found is told in retrieval's own order.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState

from recsys.recommend.pipeline import RequestGroup
from recsys.service.metrics import DEGRADED, STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from features.data.histories import Histories
    from recsys.recommend.answers import Answer
    from recsys.recommend.pipeline import Recommender
    from recsys.recommend.request import RecommendOptions
    from recsys.settings.serve import ServeConfig
    from retrieval.candidates import Candidates

T = TypeVar("T")


class RankingError(Exception):
    """The ranker failed, or its scores are no numbers."""


class LostError(Exception):
    """A thread was told to end in the middle of its work."""


@dataclass
class Stages:
    """How long each stage took, in milliseconds; `waiting` is for a thread. arrived: `time.perf_counter()` when the request came."""

    arrived: float
    taken: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what happens inside."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.set(name, time.perf_counter() - begun)

    def set(self, name: str, seconds: float) -> None:
        """Count it."""
        self.taken[name] = round(1000 * seconds, 3)
        STAGES.labels(name).observe(seconds)

    @property
    def passed(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self.arrived


@dataclass(frozen=True)
class Question:
    """What is asked for one user, of the recommender that a request holds on to. recent: see `recent_histories`."""

    recommender: Recommender
    options: RecommendOptions
    recent: Callable[[], Histories | None]


class Threads:
    """A pool whose threads may be lost: where one has died, all are replaced by new ones."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._count = name, count
        self._alive: list[threading.Thread] = []
        self._pool = self._new()

    def _new(self) -> ThreadPoolExecutor:
        self._alive = alive = []
        return ThreadPoolExecutor(self._count, self._name, initializer=lambda: alive.append(threading.current_thread()))

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in one of the threads. What is given up before its turn is never begun.

        Raises
        ------
        LostError: the thread was told to end meanwhile.
        """
        if not all(thread.is_alive() for thread in self._alive):
            self.stop()
            self._pool = self._new()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except SystemExit as error:  # in a task of its own, as `wait_for` makes one, it would end the event loop
            raise LostError from error

    def stop(self) -> None:
        """Begin nothing more; what has begun is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Pipeline:
    """See the module. One a process, on one event loop."""

    def __init__(self, config: ServeConfig) -> None:
        self._budget = config.budget_ms / 1000
        self._retrieving = Threads("retrieve", config.threads)
        self._ranking = Threads("rank", config.threads)
        self._others = Threads("other", 1)
        self._breakers = AsyncCircuitBreakerFactory(config.breaker_failures, config.breaker_seconds, exclude=[asyncio.CancelledError])

    async def run(self, work: Callable[[], T], stages: Stages, name: str) -> T:
        """Something that is no list for a user, in a thread of its own: a long look at the catalogue holds no list up."""
        return await _timed(self._others, work, stages, name)

    async def answer(self, question: Question, stages: Stages) -> tuple[Answer, bool]:
        """The list for one user, and whether it is degraded.

        Raises
        ------
        DataError: an id or a category of the options is unknown.
        """
        asked, found = await _timed(self._retrieving, lambda: _retrieved(question), stages, "retrieval")
        best = None
        if asked.ranks:
            with stages.timed("ranking"):
                best = await self._ranked(asked, found, stages)

        def told() -> Answer:
            with stages.timed("telling"):
                if best is not None:
                    return asked.present(best)[0]
                return asked.present(asked.rank(found) if not asked.ranks else asked.unranked(found), degraded=asked.ranks)[0]

        return await self._retrieving.run(told), asked.ranks and best is None

    async def _ranked(self, asked: RequestGroup, found: Candidates, stages: Stages) -> Candidates | None:
        """None where there is no ranking in time; the breaker leaves the ranker alone for a while when that goes on."""
        try:
            async with await self._breakers.get_breaker("ranking"):
                left = max(0.0, self._budget - stages.passed)
                return await asyncio.wait_for(self._ranking.run(lambda: _checked(asked, found)), left)
        except TimeoutError:
            DEGRADED.labels("late").inc()
        except (RankingError, LostError):
            DEGRADED.labels("failed").inc()
        except OpenedState:
            DEGRADED.labels("left_out").inc()
        return None

    def stop(self) -> None:
        """No more answers."""
        for threads in (self._retrieving, self._ranking, self._others):
            threads.stop()


async def _timed(threads: Threads, work: Callable[[], T], stages: Stages, name: str) -> T:
    begun = time.perf_counter()

    def timed() -> T:
        stages.set("waiting", time.perf_counter() - begun)
        with stages.timed(name):
            return work()

    return await threads.run(timed)


def _retrieved(question: Question) -> tuple[RequestGroup, Candidates]:
    user = question.options.user
    (_, asked), *_ = RequestGroup.groups(question.recommender, question.options, [user], question.recent())
    return asked, asked.retrieve()


def _checked(asked: RequestGroup, found: Candidates) -> Candidates:
    """The ranking, if it is one."""
    try:
        best = asked.rank(found)
    except BaseException as error:  # a SystemExit must end neither thread nor service
        raise RankingError(type(error).__name__) from error
    if not np.isfinite(best.scores[best.valid]).all():
        raise RankingError("scores are no numbers")
    return best
