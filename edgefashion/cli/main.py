"""The app: where every command is, and the way in and out. A file beside this one holds each command family.

stdout carries the result, stderr everything else. No heavy import at module level: ``--help`` is instant.
"""

from __future__ import annotations

import io
import signal
import sys
from typing import Annotated, Final, NoReturn

import typer

from edgefashion.cli.lazy import PLAIN, group
from edgefashion.errors import EdgeFashionError, printable
from edgefashion.system.addresses import in_arguments

EXIT_BUG: Final = 70
"""Not in the contract: our own fault. (sysexits.h calls it EX_SOFTWARE.)"""

_SHOWN_CHARS: Final = 200

FAMILIES: Final = {
    # In the order in which `--help` lists them: from a network in training to a camera in a shop.
    "zoo": "edgefashion.cli.train:zoo",
    "train": "edgefashion.cli.train:train",
    "tune": "edgefashion.cli.train:tune",
    "convert": "edgefashion.cli.convert:convert",
    "evaluate": "edgefashion.cli.evaluate:evaluate",
    "bench": "edgefashion.cli.bench:bench",
    "predict": "edgefashion.cli.predict:predict",
    "tag": "edgefashion.cli.tag:tag",
    "camera": "edgefashion.cli.camera:camera",
    "review": "edgefashion.cli.review:review",
    "serve": "edgefashion.cli.serve:serve",
    "doctor": "edgefashion.cli.machine:doctor",
    "demo": "edgefashion.cli.machine:demo",
    "data": "edgefashion.cli.data:data_app",
    "service": "edgefashion.cli.service:service_app",
    "export": "edgefashion.cli.export:export_app",
    "models": "edgefashion.cli.models:models_app",
}
"""Every command, and where it is: imported when it is asked for."""

app = typer.Typer(name="edgefashion", no_args_is_help=True, cls=group(FAMILIES), **PLAIN)


def _version(wanted: bool) -> None:
    if wanted:
        from edgefashion.version import __version__

        print(__version__)
        raise typer.Exit


class _Debug:
    """Whether main() shows tracebacks; set while the command line is parsed."""

    on = False


def _set_debug(wanted: bool) -> bool:
    _Debug.on = wanted
    return wanted


@app.callback()
def options(
    debug: Annotated[
        bool, typer.Option("--debug", callback=_set_debug, help="Show a traceback with every error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, convert, measure and run garment classifiers on Intel CPUs with OpenVINO."""


class _Terminated(SystemExit):
    """SIGTERM: every ``finally`` runs, then the process ends with 143; Windows' Ctrl-Break likewise, with 149."""


def _on_sigterm(number: int, _: object) -> NoReturn:
    raise _Terminated(128 + number)


def main() -> None:
    """Run the command line; errors become one or two lines and an exit code."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    if hasattr(signal, "SIGBREAK"):  # what a parent on Windows can send: the review page's Stop
        signal.signal(signal.SIGBREAK, _on_sigterm)
    _take_every_letter()
    try:
        app(prog_name="edgefashion")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            # The reader of our output has gone (`| head`). Click's own 1 would mean: a gate failed.
            raise SystemExit(128 + 13) from None
        raise
    except EdgeFashionError as error:
        _fail(str(error), error.exit_code)
    except UnicodeEncodeError as error:
        if not any("\ud800" <= letter <= "\udfff" for letter in error.object[error.start : error.end]):
            _fail_unforeseen(error)
        _fail(f"{error.object[:_SHOWN_CHARS]}: bytes that are no valid text stand in this name. Rename it", 2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}. Check the path, its permissions and the free space", 2)
    except ImportError as error:
        hint = "On Debian a missing .so is often cured by: apt-get install libgl1 libglib2.0-0"
        _fail(f"a package cannot be loaded: {error}. {hint}", 3)
    except Exception as error:
        _fail_unforeseen(error)


def _take_every_letter() -> None:
    """Have what a terminal or file cannot take (a letter that its encoding lacks, a byte of a name that is no text)
    written as an escape: no name may end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail_unforeseen(error: Exception) -> NoReturn:
    reason = (f"{type(error).__name__}: {error}".strip().splitlines() or [""])[0]
    reason = in_arguments(reason, pieces=True)
    _fail(f"this should not have happened ({reason}). Please report it with the output of --debug", EXIT_BUG)


def _fail(message: str, code: int) -> NoReturn:
    if _Debug.on:
        import traceback

        # A traceback quotes what libraries say, and is sent to others.
        print(in_arguments(traceback.format_exc(), pieces=True), end="", file=sys.stderr)
    print(f"edgefashion: {printable(in_arguments(message))}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
