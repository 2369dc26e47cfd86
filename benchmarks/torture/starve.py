"""Disk errors at each write of a refresh: the error is one line, and CURRENT is unchanged."""

from __future__ import annotations

import errno
import os
import resource
import signal
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.torture.kills import POINTS
from benchmarks.torture.outcome import report, run
from benchmarks.torture.small import Small, child, ended, full, small, tried
from features.errors import RecsysError

WRITES = (*POINTS[:4], (Path, "open"))
ERRORS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE)


def fail_from(point: int, call: int, code: int) -> None:
    """Make a function fail from its n-th call on."""
    owner, name = WRITES[point]
    original, calls = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= call and not (name == "rmtree" and kwargs.get("ignore_errors")):
            raise OSError(code, os.strerror(code))
        return original(*args, **kwargs)

    setattr(owner, name, counted)


def limit(kind: int, value: int) -> None:
    """Set a kernel limit, like that of a full disk or of too many open files."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(kind, (value, value))


def starved(shop: Small, hinder: Any) -> None:
    """Check that a hindered refresh succeeds or prints one line, and that the bundle in use is intact."""
    before = shop.whole()
    code = ended(child(_starving, shop, hinder))
    assert code in (0, 3), f"exit code {code}"
    now = shop.whole()
    assert code == 0 or now == before, "CURRENT has changed although the refresh failed"


def _starving(shop: Small, hinder: Any) -> None:
    hinder()
    try:
        shop.refresh()
    except RecsysError as error:
        assert "\n" not in str(error)
        os._exit(3)


def main() -> None:
    """Inject errors at each named point, then set kernel limits."""
    nightly = full("every error at the first calls of each function, and at later ones, in place of half of them at two")
    hinders = [
        (f"{WRITES[point][1]} {call} {os.strerror(code)}", partial(fail_from, point, call, code))
        for call in ((1, 2, 4, 7, 11) if nightly else (1, 3))
        for point in range(len(WRITES))
        for code in (ERRORS if nightly else ERRORS[call % 2 :: 2])
    ]
    hinders += [(f"files of {size} bytes", partial(limit, resource.RLIMIT_FSIZE, size)) for size in (0, 100, 2_000, 20_000, 100_000)]
    hinders += [(f"{count} handles", partial(limit, resource.RLIMIT_NOFILE, count)) for count in (8, 12, 16, 24)]
    failures = 0
    with small() as shop:
        for number, (name, hinder) in enumerate(hinders):
            shop.change(number)
            failures += not tried(name, lambda: starved(shop, hinder))  # noqa: B023
        shop.change(len(hinders))
        failures += not tried("the next refresh", shop.refresh)
    report("starved_disk", len(hinders), failures)


if __name__ == "__main__":
    run(main)
