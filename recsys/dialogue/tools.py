"""Tools that a shop plugs in: what a flow calls once its slots are filled.

A tool is a Python object of the entry point group `recsys.assistant_tools`, or an HTTP hook of the configuration. It gets the slots and
the id of the customer whom the shop has signed in, never an id that the customer wrote. What it returns must fit its JSON schema.
"""

from __future__ import annotations

import json
import logging
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from urllib.error import HTTPError

from features.errors import ConfigError, RecsysError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from importlib.metadata import EntryPoint

    from recsys.dialogue.slots import SlotKind
    from recsys.settings.apps.assistant import HookConfig

GROUP = "recsys.assistant_tools"
MOST_BYTES = 64_000  # of a hook's reply
_log = logging.getLogger(__name__)


class ToolError(RecsysError):
    """A tool failed, hung, or returned what its schema does not allow."""


@dataclass(frozen=True)
class Slot:
    """What a tool must be told.

    Attributes
    ----------
    required : the flow asks for it; a slot that is not required is taken where the customer states it.
    """

    name: str
    kind: SlotKind
    required: bool = True


@runtime_checkable
class Tool(Protocol):
    """What a shop can plug in.

    Attributes
    ----------
    name : of the flow.
    examples : how customers ask for it, a few in each language.
    slots : in the order in which they are asked for.
    needs_user : whether it only serves customers who are signed in.
    result : JSON schema of what `call` returns.
    texts : language -> what to say, with the names of the result's values in braces.
    """

    @property
    def name(self) -> str: ...
    @property
    def examples(self) -> Sequence[str]: ...
    @property
    def slots(self) -> Sequence[Slot]: ...
    @property
    def needs_user(self) -> bool: ...
    @property
    def result(self) -> Mapping[str, Any]: ...
    @property
    def texts(self) -> Mapping[str, str]: ...

    def call(self, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        """Do it, and return the values for the text."""
        ...


@dataclass(frozen=True)
class HookTool:
    """An HTTP hook: the slots and the customer's id go out as JSON, and JSON comes back."""

    config: HookConfig
    slots: Sequence[Slot] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "slots", tuple(Slot(one.name, one.kind, one.required) for one in self.config.slots))

    @property
    def name(self) -> str:
        """Name of the flow."""
        return self.config.name

    @property
    def examples(self) -> Sequence[str]:
        """How customers ask for it."""
        return self.config.examples

    @property
    def needs_user(self) -> bool:
        """Whether it only serves customers who are signed in."""
        return self.config.needs_user

    @property
    def result(self) -> Mapping[str, Any]:
        """JSON schema of the reply."""
        return self.config.result

    @property
    def texts(self) -> Mapping[str, str]:
        """What to say, by language."""
        return self.config.texts

    def call(self, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        """Post the slots, and return the reply.

        Raises
        ------
        ToolError
            The hook cannot be reached, or answers no JSON object.
        """
        headers = {"Content-Type": "application/json"}
        if self.config.secret is not None:
            headers["Authorization"] = f"Bearer {self.config.secret.get_secret_value()}"
        body = json.dumps({"tool": self.name, "user": user, "slots": dict(slots)}).encode()
        request = urllib.request.Request(str(self.config.url), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.config.seconds) as reply:
                content = json.loads(reply.read(MOST_BYTES))
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()
            raise ToolError(f"the hook of the tool {self.name!r} failed ({getattr(error, 'code', type(error).__name__)})") from error
        if not isinstance(content, dict):
            raise ToolError(f"the hook of the tool {self.name!r} answered {type(content).__name__}, expected a JSON object")
        return content


class Tools:
    """The tools of a shop, each called in a thread with a deadline.

    Parameters
    ----------
    seconds : from which on a call has failed.

    Raises
    ------
    ConfigError
        Two tools have one name, or a schema is none.
    """

    def __init__(self, tools: Sequence[Tool], seconds: float) -> None:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for

        self._tools = {tool.name: tool for tool in tools}
        if len(self._tools) < len(tools):
            names = [tool.name for tool in tools]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two tools of the assistant are called {twice!r}, expected one: rename one")
        self._validators = {}
        for tool in tools:
            kind = validator_for(tool.result)
            try:
                kind.check_schema(dict(tool.result))
            except SchemaError as error:
                raise ConfigError(f"the result of the tool {tool.name!r} is no JSON schema ({error.message}): correct it") from error
            self._validators[tool.name] = kind(dict(tool.result))
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(4, "tool")

    def __iter__(self) -> Any:
        return iter(self._tools.values())

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def call(self, name: str, slots: Mapping[str, str], user: str | None) -> Mapping[str, Any]:
        """Call a tool.

        Raises
        ------
        ToolError
            It failed, hung, or returned what its schema does not allow. Nothing of its message reaches the customer.
        """
        tool = self._tools[name]
        work = self._threads.submit(tool.call, dict(slots), user)
        try:
            found = work.result(self._seconds)
        except ToolError:
            raise
        except TimeoutError as error:
            work.cancel()
            raise ToolError(f"the tool {name!r} did not answer within {self._seconds:g} seconds") from error
        except Exception as error:  # a shop's code may raise anything
            raise ToolError(f"the tool {name!r} failed ({type(error).__name__})") from error
        wrong = next(self._validators[name].iter_errors(found), None)
        if wrong is not None:
            place = "/".join(map(str, wrong.absolute_path)) or "the whole"
            raise ToolError(f"the tool {name!r} returned what its schema does not allow, at {place}")
        return found


def installed_tools(tell: Callable[[str], None] | None = None) -> list[Tool]:
    """Return the tools that installed packages bring, by the entry point group `recsys.assistant_tools`.

    Parameters
    ----------
    tell : takes a line about each entry point that cannot be loaded or is no tool, which is then left out; None raises an error.

    Raises
    ------
    ConfigError
        An entry point cannot be loaded, or is no tool.
    """
    found: list[Tool] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            found.append(_loaded(point))
        except ConfigError as error:
            if tell is None:
                raise
            tell(f"{error}; its flow is left out")
    return found


def _loaded(point: EntryPoint) -> Tool:
    try:
        made = point.load()()
    except Exception as error:  # a shop's code may raise anything
        raise ConfigError(f"the tool {point.name!r} ({point.value}) cannot be loaded ({type(error).__name__}: {error})") from error
    if not isinstance(made, Tool):
        raise ConfigError(f"the tool {point.name!r} ({point.value}) lacks attributes of recsys.dialogue.tools.Tool: see docs/assistant.md")
    return made
