"""What is in docs/ and follows from the code: `python -m recsys.docs_tools.write_docs` writes it again.

docs/cli.md is the commands' own help; in docs/configuration.md the defaults are the models', the words are a person's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from pydantic import BaseModel

from features.ingest.source import Source
from recsys.cli.main import app
from recsys.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOCS = Path("docs")
_ROW = re.compile(r"^\| `([a-z_0-9.]+)` \| [^|]* \|", re.MULTILINE)

_INTRODUCTION = """\
# The command line

Written by `make docs` from the commands' own help.

Answers go to stdout; progress and logs go to stderr. The exit code is 0, 1 for an error, 2 for wrong usage, 130 when interrupted.
An error is one line: what is wrong, where, and what to do next. `-v` before the command adds the traceback.

Lists of ids are separated by commas; an id that holds a comma stands in double quotes: `--history '"a,b",c'`.
"""
_ANSWERS = """\
## What `--json` prints

Keys are only ever added. Missing values are `null`.

`recommend`: `contributions` is there with `--explain` alone: what each feature added to the log odds, largest first. `fallback` says why a
list is not a personal one.

```
{"user_id": "1228", "bundle_id": "...", "fallback": null, "items": [
  {"rank": 1, "item_id": "...", "title": "...", "category": "...", "price": 1.99, "probability": 0.31, "reason": "...",
   "contributions": {"...": 0.8}}]}
```

`recommend --users-file`: a row an item, with `user_id`, `item_id`, `rank`, `probability`, `reason`.

`similar`, `search`: `score` is the cosine similarity.

```
{"query": "...", "bundle_id": "...", "items": [
  {"rank": 1, "item_id": "...", "title": "...", "category": "...", "price": 1.99, "score": 0.83}]}
```

`doctor`: `status` is `ok`, `warn` or `fail`.

```
[{"name": "faiss", "status": "ok", "found": "...", "advice": ""}]
```

`evaluate`: every figure is `{"value": .., "low": .., "high": .., "users": ..}` with its 95% interval.

```
{"metrics": {"ndcg@10": {..}, ..}, "slices": {"repeat": {..}, ..}, "stages": {..},
 "baselines": {"popular": {"metrics": {..}, "slices": {..}}, ..},
 "split": {"cut": "...", "users": 0, "items": 0}, "bundle_id": "...",
 "reasons": {"all": {..}, "new": {..}}, "exposure": {"price": [..],
  "brand": [{"name": "...", "shown": .., "bought": .., "catalogue": ..}, ..]}}
```
"""


def command_line() -> str:
    """The whole of docs/cli.md."""
    group: Any = typer.main.get_command(app)
    # Help names the environment and the width of whoever asks; the page must not.
    context = typer.Context(group, info_name="recsys", terminal_width=100)
    return "\n".join([_INTRODUCTION, *_help(group, context), _ANSWERS])


def _help(command: Any, context: typer.Context) -> Iterator[str]:
    """A section for a command, and for each below it."""
    yield _section(context.command_path, command.get_help(context))
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        yield from _help(below, typer.Context(below, parent=context, info_name=name, terminal_width=100))


def _section(title: str, text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"## {title}\n\n```\n{lines}\n```\n"


def defaults() -> dict[str, object]:
    """Every key of recsys.toml, dotted, and its default."""
    source = {f"source.{key}": value for key, value in _leaves(Source.model_construct())}
    return source | {key: value for key, value in _leaves(Settings.model_construct()) if key != "source"}


def documented(page: str) -> list[str]:
    """The keys that have a row in docs/configuration.md."""
    return _ROW.findall(page)


def with_defaults(page: str) -> str:
    """docs/configuration.md with the defaults that hold now; rows of keys that are gone stay, for a test to find."""
    now = defaults()

    def row(match: re.Match[str]) -> str:
        key = match[1]
        if key not in now:
            return match[0]
        return f"| `{key}` | {'none' if now[key] is None else f'`{json.dumps(now[key])}`'} |"

    return _ROW.sub(row, page)


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


if __name__ == "__main__":
    (_DOCS / "cli.md").write_text(command_line(), encoding="utf-8")
    _configuration = _DOCS / "configuration.md"
    _configuration.write_text(with_defaults(_configuration.read_text(encoding="utf-8")), encoding="utf-8")
