"""Builds answers within a time budget: threads that retrieve, threads that rank, a circuit breaker around ranking.

A ranking that is late, fails or returns nan costs a list its order, never the answer: the candidates come in the order
of retrieval.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from recsys.apps.search.pipeline import SearchGroup
from recsys.recommend.pipeline import RequestGroup
from recsys.service.breaker import CircuitBreaker
from recsys.service.metrics import DEGRADED, STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from features.data.histories import Histories
    from recsys.apps.search.answers import SearchAnswer
    from recsys.apps.search.pipeline import Search
    from recsys.apps.search.request import SearchOptions
    from recsys.recommend.answers import Answer
    from recsys.recommend.pipeline import Recommender
    from recsys.recommend.request import RecommendOptions
    from recsys.service.traces.spans import RequestSpan
    from recsys.settings.serve import ServeConfig
    from retrieval.candidates import Candidates

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class RankingError(Exception):
    """The ranker failed, or its scores are not finite."""


class ThreadEndedError(Exception):
    """A thread was ended in the middle of its work."""


@dataclass
class StageTimes:
    """How long each stage of a request took.

    Attributes
    ----------
    arrived : float
        `time.perf_counter()` when the request arrived.
    span : RequestSpan or None
        The request's trace, where there is one.
    milliseconds : dict of str to float
        Stage -> milliseconds; `waiting` is the time until a thread was free.
    """

    arrived: float
    span: RequestSpan | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> StageTimes:
        """Return those of a request, of which `recsys.service.admission` noted the arrival."""
        return cls(noted["arrived"], noted.get("span"))

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record how long the body takes, whether or not it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.record(stage, time.perf_counter() - start)

    def record(self, stage: str, seconds: float) -> None:
        """Record a stage, here, in the metrics and in the trace."""
        self.milliseconds[stage] = round(1000 * seconds, 3)
        STAGES.labels(stage).observe(seconds)
        if self.span is not None:
            self.span.stage(stage, seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the request arrived."""
        return time.perf_counter() - self.arrived


class Stages(Protocol[T_co]):
    """The stages of one kind of answer: `RequestGroup`'s of a recommendation, `SearchGroup`'s of a search."""

    @property
    def ranks(self) -> bool:
        """Whether there is a ranking stage that a late answer can do without."""
        ...

    def retrieve(self) -> Candidates:
        """Find candidates among the allowed items."""
        ...

    def rank(self, candidates: Candidates) -> Candidates:
        """Order candidates."""
        ...

    def unranked(self, candidates: Candidates) -> Candidates:
        """Keep the order of retrieval."""
        ...

    def present(self, best: Candidates, *, degraded: bool = False) -> Sequence[T_co]:
        """Make the answers."""
        ...


class Request(Protocol[T_co]):
    """A request for one answer. It holds what answers it: a new bundle does not change it halfway."""

    def stages(self) -> Stages[T_co]:
        """Look up what the request names, and return its stages.

        Raises
        ------
        DataError
            An id, a brand, a category or an aspect is unknown.
        """
        ...


@dataclass(frozen=True)
class RecommendRequest:
    """What to recommend to one user.

    Attributes
    ----------
    recent : callable
        Returns the user's events since the bundle was built; see `recsys.recommend.recent_events.recent_histories`.
    """

    recommender: Recommender
    user: str | None
    options: RecommendOptions
    recent: Callable[[], Histories | None]

    def stages(self) -> Stages[Answer]:
        """Return the stages of the user's route."""
        (_, group), *_ = RequestGroup.groups(self.recommender, self.options, [self.user], self.recent())
        return group


@dataclass(frozen=True)
class SearchRequest:
    """What one user searches for; `recent` as in `RecommendRequest`."""

    search: Search
    text: str
    user: str | None
    options: SearchOptions
    recent: Callable[[], Histories | None]

    def stages(self) -> Stages[SearchAnswer]:
        """Read the query, and return the stages of the search."""
        return SearchGroup.of(self.search, self.options, [(self.text, self.user)], self.recent())


class Threads:
    """A pool that is replaced as a whole once one of its threads has died."""

    def __init__(self, name: str, count: int) -> None:
        self._name, self._count = name, count
        self._alive: list[threading.Thread] = []
        self._pool = self._new()

    def _new(self) -> ThreadPoolExecutor:
        self._alive = alive = []
        return ThreadPoolExecutor(self._count, self._name, initializer=lambda: alive.append(threading.current_thread()))

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in one of the threads. Work that is cancelled before its turn never starts.

        Raises
        ------
        ThreadEndedError
            The thread was ended while it worked.
        """
        if not all(thread.is_alive() for thread in self._alive):
            self.stop()
            self._pool = self._new()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except SystemExit as error:  # `wait_for` runs this in a task, where a SystemExit would end the event loop
            raise ThreadEndedError from error

    def stop(self) -> None:
        """Start no more work; what has started is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class AnswerPipeline:
    """Runs the stages of answers in threads of their own. One per process, on one event loop."""

    def __init__(self, config: ServeConfig) -> None:
        self._budget = config.budget_ms / 1000
        self._retrieval = Threads("retrieve", config.threads)
        self._ranking = Threads("rank", config.threads)
        self._others = Threads("other", 1)
        self._actions = Threads("actions", 1)
        self._assistant = Threads("assistant", config.threads)
        self._breaker = CircuitBreaker(config.breaker_failures, config.breaker_seconds)

    async def run(self, work: Callable[[], T], times: StageTimes, stage: str) -> T:
        """Run work that is not a user's list in the thread for such work: a long one delays no list."""
        return await _timed(self._others, work, times, stage)

    async def store_actions(self, work: Callable[[], T], times: StageTimes) -> T:
        """Store actions on impressions in a thread of its own: where it waits for the disk, prices and events do not."""
        return await _timed(self._actions, work, times, "storing")

    async def converse(self, work: Callable[[], T], times: StageTimes) -> T:
        """Run one turn of a conversation in threads of its own: a tool that hangs delays neither a list nor a page."""
        return await _timed(self._assistant, work, times, "assistant")

    async def answer(self, request: Request[T], times: StageTimes) -> tuple[T, bool]:
        """Return the list that was asked for and whether it is degraded: unranked although there is a ranker.

        Raises
        ------
        DataError
            An id, a brand, a category or an aspect of the options is unknown.
        """

        def retrieve() -> tuple[Stages[T], Candidates]:
            stages = request.stages()
            return stages, stages.retrieve()

        group, candidates = await _timed(self._retrieval, retrieve, times, "retrieval")
        ranked = None
        if group.ranks:
            with times.timed("ranking"):
                ranked = await self._rank(group, candidates, times)

        def present() -> T:
            with times.timed("telling"):
                if ranked is not None:
                    return group.present(ranked)[0]
                return group.present(group.rank(candidates) if not group.ranks else group.unranked(candidates), degraded=group.ranks)[0]

        return await self._retrieval.run(present), group.ranks and ranked is None

    async def _rank(self, group: Stages[object], candidates: Candidates, times: StageTimes) -> Candidates | None:
        """Return the ranking, or None where it does not come in time, fails, or the breaker is open."""
        if not self._breaker.allows():
            DEGRADED.labels("left_out").inc()
            return None
        try:
            left = max(0.0, self._budget - times.elapsed)
            ranked = await asyncio.wait_for(self._ranking.run(lambda: _checked_ranking(group, candidates)), left)
        except (TimeoutError, RankingError, ThreadEndedError) as error:
            DEGRADED.labels("late" if isinstance(error, TimeoutError) else "failed").inc()
            self._breaker.record(success=False)
            return None
        self._breaker.record(success=True)
        return ranked

    def stop(self) -> None:
        """Stop all threads."""
        for threads in (self._retrieval, self._ranking, self._others, self._actions, self._assistant):
            threads.stop()


async def _timed(threads: Threads, work: Callable[[], T], times: StageTimes, stage: str) -> T:
    submitted = time.perf_counter()

    def timed() -> T:
        times.record("waiting", time.perf_counter() - submitted)
        with times.timed(stage):
            return work()

    return await threads.run(timed)


def _checked_ranking(group: Stages[object], candidates: Candidates) -> Candidates:
    """Rank, and refuse scores that are not finite."""
    try:
        ranked = group.rank(candidates)
    except BaseException as error:  # a SystemExit must end neither the thread nor the service
        raise RankingError(type(error).__name__) from error
    if not np.isfinite(ranked.scores[ranked.valid]).all():
        raise RankingError("scores are not finite")
    return ranked
