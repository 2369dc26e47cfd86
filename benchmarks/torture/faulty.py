"""`recsys` with the ranker's fault that the variable FAULT names, from when the service is ready."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.cli.main import main
from recsys.recommend.pipeline import RequestGroup

if TYPE_CHECKING:
    from retrieval.candidates import Candidates

_rank_correctly = RequestGroup.rank
SLOW = 5.0  # seconds


def slow(group: RequestGroup, candidates: Candidates) -> Candidates:
    """Rank far beyond the time budget."""
    time.sleep(SLOW)
    return _rank_correctly(group, candidates)


def raising(_group: RequestGroup, _candidates: Candidates) -> Candidates:
    """Fail."""
    raise RuntimeError("the ranker has failed")


def nan(group: RequestGroup, candidates: Candidates) -> Candidates:
    """Return scores that are nan."""
    best = _rank_correctly(group, candidates)
    return replace(best, scores=np.full_like(best.scores, np.nan))


def killed(group: RequestGroup, candidates: Candidates) -> Candidates:
    """End the thread: first while it ranks, then again while it waits for work."""
    thread = threading.get_ident()
    threading.Timer(0.05, _end, (thread,)).start()
    _end(thread)
    time.sleep(0.001)  # the exception arrives here
    return _rank_correctly(group, candidates)


def _end(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


def _rank(self: RequestGroup, candidates: Candidates) -> Candidates:
    in_service = threading.current_thread().name.startswith("rank")  # not while a bundle is warmed up
    return (globals()[os.environ["FAULT"]] if in_service else _rank_correctly)(self, candidates)


if __name__ == "__main__":
    RequestGroup.rank = _rank
    main()
