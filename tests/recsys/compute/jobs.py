"""Jobs that tests run: workers import them by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def open_squares(log: str, dies_once: str = "") -> Callable[[Sequence[int], Path], None]:
    """Write squares of numbers, and each call to a log; a negative number is refused, and the first call may end its process."""

    def squares(numbers: Sequence[int], path: Path) -> None:
        if min(numbers) < 0:
            raise DataError("a number is negative: give positive ones")
        if dies_once and not Path(dies_once).exists():
            Path(dies_once).touch()
            os._exit(1)
        path.write_text(" ".join(str(number**2) for number in numbers))
        with Path(log).open("a") as file:
            file.write(f"{numbers[0]}\n")

    return squares
