"""Jobs that tests run: workers import them by name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def open_squares(log: str, dies_once: str = "", pause: float = 0.0) -> Callable[[Sequence[int], Path], None]:
    """Write squares of numbers after a pause in seconds, and each call to a log; a negative number is refused.

    dies_once : a file; while it is not there, a call makes it, and ends its process.
    """

    def squares(numbers: Sequence[int], path: Path) -> None:
        if min(numbers) < 0:
            raise DataError("a number is negative: give positive ones")
        if dies_once and not Path(dies_once).exists():
            Path(dies_once).touch()
            os._exit(1)
        time.sleep(pause)
        path.write_text(" ".join(str(number**2) for number in numbers))
        with Path(log).open("a") as file:
            file.write(f"{numbers[0]}\n")

    return squares
