"""Threads of the service, and what becomes of work that is ended."""

from __future__ import annotations

import asyncio
import sys

import pytest

from recsys.service.answering import ThreadEndedError, Threads


def test_an_exit_in_a_thread_ends_the_work_and_not_the_loop() -> None:
    async def asked() -> int:
        threads = Threads("test", 1)
        with pytest.raises(ThreadEndedError):
            await asyncio.wait_for(threads.run(lambda: sys.exit(3)), 20)
        return await asyncio.wait_for(threads.run(lambda: 7), 20)

    assert asyncio.run(asked()) == 7
