"""A command line and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error; what was logged before it is left out."""
        assert self.code == 1, self
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert lines[-1].startswith("error: ")
        assert "unexpected" not in lines[-1]
        assert "Traceback" not in self.err
        return lines[-1]

    @property
    def answer(self) -> Any:
        assert self.code == 0, self
        assert "Traceback" not in self.err
        return json.loads(self.out)


Command = Callable[..., Said]


def toml(table: dict[str, Any], path: str = "") -> Iterator[str]:
    """A nested table of plain values as TOML, whose values look like JSON's."""
    if path:
        yield f"[{path}]"
    yield from (f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict))
    for key, value in table.items():
        if isinstance(value, dict):
            yield from toml(value, f"{path}.{key}" if path else key)
