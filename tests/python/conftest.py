"""The files that make_data.sh made with the program from data/tiny-wan; their folder comes as
SPARSESCOPE_TEST_DATA."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from report_browser import chromium, page_file, playwright  # noqa: F401  fixtures: one browser a session

from sparsescope.sources import SourceFiles, Sources, files_in, open_sources


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(os.environ["SPARSESCOPE_TEST_DATA"])


@pytest.fixture(scope="session")
def profile(sources):
    return sources.profile


@pytest.fixture(scope="session")
def source_files(data: Path) -> SourceFiles:
    """Every file that a figure can be drawn from."""
    return files_in(data)


@pytest.fixture(scope="session")
def sources(source_files: SourceFiles) -> Sources:
    return open_sources(source_files)
