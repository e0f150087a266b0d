"""The program beside this package, for what is computed there and nowhere else."""
from __future__ import annotations

import json
import os
import shutil
import subprocess

from sparsescope.errors import DataError, UnsupportedError


def find_program() -> str | None:
    """$SPARSESCOPE_PROGRAM (set by the program when it starts this package), or sparsescope on the PATH."""
    return os.environ.get("SPARSESCOPE_PROGRAM") or shutil.which("sparsescope")


def summarize(path: str) -> dict:
    """The findings of `sparsescope summary PATH --json` (data/schema/summary.schema.json)."""
    program = find_program()
    if program is None:
        raise UnsupportedError("findings come from the program sparsescope, which is not on the PATH; "
                               "SPARSESCOPE_PROGRAM names it")
    done = subprocess.run([program, "summary", path, "--json", "--log-level", "off"], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise DataError(f"{path}: summary failed: {_error_of(done.stdout) or done.stderr.strip()}")
    return json.loads(done.stdout)


def _error_of(answer: str) -> str:
    try:
        return json.loads(answer)["error"]["message"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return ""
