"""Output files are complete or absent, and an existing file is never replaced unasked."""
from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable

from sparsescope.errors import UsageError


def refuse_existing(paths: Iterable[str], force: bool) -> None:
    """Before any work: UsageError names the first path that exists and may not be replaced."""
    for path in paths:
        if os.path.exists(path) and not force:
            raise UsageError(f"{path} exists; --force replaces it")


def expect_folder(path: str) -> None:
    """UsageError where the folder of an output file does not exist, as in the program's other commands."""
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise UsageError(f"{path}: the folder {folder} does not exist")


def write_atomically(path: str, write: Callable[[str], None]) -> None:
    """write(temporary path) fills a file beside the place; it is flushed, then renamed."""
    folder, name = os.path.split(path)
    stem, ending = os.path.splitext(name)
    handle, temporary = tempfile.mkstemp(prefix=f".{stem}.", suffix=ending, dir=folder or ".")
    os.close(handle)
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: str, text: str) -> None:
    def write(temporary: str) -> None:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)

    write_atomically(path, write)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
