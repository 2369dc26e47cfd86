"""Defines the program `recsys`: its global options, logging, errors and exit codes.

Answers go to stdout, progress and logs to stderr. The exit code is 0, 1 for an error, 2 for wrong usage and 130 for an
interrupt. Nothing heavy is imported here: `recsys --help` must be quick. Commands are in `recsys.cli.commands`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import NO_ROOM, DataError, RecsysError, disk_error, system_code
from features.text.plain import plain
from recsys.cli.assistant.command import assistant
from recsys.cli.campaigns.command import campaign
from recsys.cli.commands import COMMANDS
from recsys.cli.options import State, state_of
from recsys.cli.rules.command import rules
from recsys.cli.service import keys
from recsys.cli.storefront.experiments import experiment
from recsys.cli.storefront.impressions import impressions
from recsys.environment import LAYERS, missing_extra, prepare_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

app = typer.Typer(name="recsys", rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
for command in COMMANDS:
    app.command(command.__name__.replace("_", "-"))(command)
app.add_typer(assistant, name="assistant")
app.add_typer(campaign, name="campaign")
app.add_typer(experiment, name="experiment")
app.add_typer(impressions, name="impressions")
app.add_typer(keys, name="keys")
app.add_typer(rules, name="rules")


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"recsys {importlib.metadata.version('two-tower-recsys')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _global_options(
    context: typer.Context,
    workspace: Annotated[Path, typer.Option(metavar="DIR", envvar="RECSYS_WORKSPACE", help="Folder of data, models and bundles.")] = Path(
        "workspace"
    ),
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="RECSYS_CONFIG", help="Configuration file.  [default: recsys.toml if it exists]")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Log more to stderr, with tracebacks of errors.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """A two-tower recommender for a shop: from a catalogue with text and a log of purchases to recommendations."""
    state = state_of(context)
    state.root, state.config, state.verbose = workspace, config, verbose
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
    _set_up_logging(verbose)
    unread = workspace / "recsys.toml"
    if config is None and unread.is_file() and not Path("recsys.toml").is_file():
        told = f"note: {unread} is not read: go to its folder, or name it before the command: recsys --config {unread}"
        typer.echo(plain(told), err=True)


def _set_up_logging(verbose: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO if verbose else logging.ERROR
    )
    for name in LAYERS:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it logs which of its builds it cannot load
    if not verbose:
        warnings.filterwarnings("ignore")


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Only a BrokenPipeError leaves it as an exception."""
    state = State()
    try:
        # 0 and None are success; typer gives 130 for an interrupted command.
        return app(list(arguments), prog_name="recsys", standalone_mode=False, obj=state) or 0
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "recsys"
        message = error.format_message().replace("Value error, ", "").rstrip(".")
        global_options = context.find_root().command.params if context and context.parent else []
        if any(getattr(error, "option_name", None) in option.opts for option in global_options):
            message += ": it goes before the command"
        return _fail(f"{message}. Try `{path} --help`.", error.exit_code)
    except RecsysError as error:
        _trace(state)
        return _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        _trace(state)
        advice = missing_extra(error) if isinstance(error, ModuleNotFoundError) else None
        if advice:
            return _fail(advice, 1)
        if getattr(error, "filename", None) is not None or (system_code(error) or 0) in NO_ROOM:
            return _fail(disk_error(error, state.root), 1)
        advice = "this is a bug of the program" if state.verbose else "run it again with -v before the command for the traceback"
        return _fail(f"unexpected {type(error).__name__}: {error}: {advice}", 1)


def _trace(state: State) -> None:
    if state.verbose:
        traceback.print_exc()


def _fail(message: str, code: int) -> int:
    typer.echo(f"error: {plain(message)}", err=True)
    return code


class _Output(io.TextIOWrapper):
    """Standard output. If it cannot be written, the workspace is not to blame."""

    def write(self, text: str, /) -> int:
        with self._told():
            return super().write(text)

    def flush(self) -> None:
        with self._told():
            super().flush()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise DataError(f"the output cannot be written ({error.strerror}): check the place that it is redirected to") from error


def _give_up_output() -> None:
    # Python would report it once more at exit.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Run the program `recsys`."""
    prepare_environment()
    if sys.stdout is None:  # closed by the caller: `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):
        encoding, tty = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = _Output(sys.stdout.detach(), encoding=encoding, line_buffering=tty)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        # A title with characters that the terminal cannot show must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except DataError as error:
        _give_up_output()
        code = _fail(str(error), 1)
    except BrokenPipeError:
        # The reader has closed the pipe: `recsys search tea | head -1`.
        _give_up_output()
        code = 1
    sys.exit(code)
