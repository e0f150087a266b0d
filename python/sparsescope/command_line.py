"""The commands that the program hands to Python, with its options, streams and exit codes: results on
standard output, messages on standard error; 0 done, 2 wrong arguments, 3 a broken file, 4 not supported
here, 5 out of memory or disk, 130 interrupted, 1 a defect of ours."""
from __future__ import annotations

import argparse
import errno
import importlib
import json
import sys
import traceback

from sparsescope.errors import SparsescopeError, UsageError

COMMANDS = {"render": "sparsescope.render_command", "report": "sparsescope.report.command",
            "notebook": "sparsescope.notebook.command"}


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UsageError(message)


class Streams:
    """Where a command prints: with --json exactly one object on standard output."""

    def __init__(self, as_json: bool, quiet: bool = False):
        self.as_json, self.quiet = as_json, quiet

    def line(self, text: str) -> None:
        if not self.as_json:
            print(text, flush=True)

    def result(self, content: dict) -> None:
        if self.as_json:
            print(json.dumps(content), flush=True)

    def message(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """The files that a figure, a report or a notebook may be drawn from."""
    parser.add_argument("profile")
    parser.add_argument("--plan", action="append", default=[])
    parser.add_argument("--validation", action="append", default=[])
    parser.add_argument("--sweep")
    parser.add_argument("--bench", action="append", default=[])
    parser.add_argument("--costs")
    parser.add_argument("--summary")
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--videos")
    parser.add_argument("--out")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)


def source_files(arguments: argparse.Namespace):
    from sparsescope.sources import SourceFiles

    return SourceFiles(arguments.profile, tuple(arguments.plan), tuple(arguments.validation), arguments.sweep,
                       tuple(arguments.bench), arguments.costs, arguments.summary, tuple(arguments.other),
                       arguments.videos)


def main(argv: list[str]) -> int:
    as_json = "--json" in argv
    try:
        if not argv or argv[0] not in COMMANDS:
            raise UsageError(f"expected a command of {', '.join(COMMANDS)}, found {argv[:1]}")
        importlib.import_module(COMMANDS[argv[0]]).run(argv[1:])
        return 0
    except SparsescopeError as error:
        return failed(as_json, error.kind, error.exit_code, str(error))
    except ModuleNotFoundError as error:
        return failed(as_json, "unsupported", 4, f"the Python package {error.name} is missing; install it with "
                      "scripts/setup.sh, or with pip install -r requirements-figures.txt")
    except KeyboardInterrupt:
        return failed(as_json, "interrupted", 130, "interrupted")
    except MemoryError:
        return failed(as_json, "resource", 5, "out of memory")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return failed(as_json, "resource", 5, str(error))
        return failed(as_json, "data", 3, str(error))
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001  what is left is a defect of ours
        traceback.print_exc()
        return failed(as_json, "internal", 1, f"{type(error).__name__}: {error}; this is a defect of sparsescope: "
                      "please report it with the command line")


def failed(as_json: bool, kind: str, exit_code: int, message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"kind": kind, "exit_code": exit_code, "message": message}}))
    return exit_code
