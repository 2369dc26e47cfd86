"""`recsys` with a ranker that has a fault, named by the variable FAULT, from the moment that the service is ready."""

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

_right = RequestGroup.rank
SLOW = 5.0  # seconds


def slow(asked: RequestGroup, found: Candidates) -> Candidates:
    """Far beyond any budget."""
    time.sleep(SLOW)
    return _right(asked, found)


def raising(_asked: RequestGroup, _found: Candidates) -> Candidates:
    """Fails."""
    raise RuntimeError("the ranker has failed")


def nan(asked: RequestGroup, found: Candidates) -> Candidates:
    """Scores that are no numbers."""
    best = _right(asked, found)
    return replace(best, scores=np.full_like(best.scores, np.nan))


def killed(asked: RequestGroup, found: Candidates) -> Candidates:
    """Its thread ends: first in the middle of the work, then again while it waits for more."""
    me = threading.get_ident()
    threading.Timer(0.05, _end, (me,)).start()
    _end(me)
    time.sleep(0.001)  # here it comes
    return _right(asked, found)


def _end(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(SystemExit))


def _rank(asked: RequestGroup, found: Candidates) -> Candidates:
    in_service = threading.current_thread().name.startswith("rank")  # not where a bundle is warmed
    return (globals()[os.environ["FAULT"]] if in_service else _right)(asked, found)


if __name__ == "__main__":
    RequestGroup.rank = _rank
    main()
