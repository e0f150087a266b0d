"""The report in a real browser, for tests: Debian's Chromium and Firefox ESR, headless, driven by
playwright."""
from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from sparsescope.command_line import main

PATIENCE = 60_000  # ms: a busy machine is slow, and no test is about time
SIZE = {"width": 1280, "height": 900}


def launch(playwright: Playwright, name: str) -> Browser:
    if name == "chromium":
        return playwright.chromium.launch(executable_path="/usr/bin/chromium",
                                          args=["--no-sandbox"],
                                          timeout=PATIENCE)
    return playwright.firefox.launch(channel="moz-firefox",
                                     executable_path="/usr/bin/firefox-esr",
                                     timeout=PATIENCE)


class Report:
    """An open page, and what went wrong in it."""

    def __init__(self, page: Page, path: Path):
        self.page, self.path, self.troubles = page, path, []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: message.type in
                ("error", "warning") and self.troubles.append(message.text))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("requestfailed", lambda request: self.troubles.append(f"failed: {request.url[:80]}"))
        page.on("request", lambda request: request.url.startswith(("http:", "https:"))
                and self.troubles.append(f"network: {request.url[:80]}"))

    def open(self, **selected) -> "Report":
        self.page.goto("about:blank")
        address = "&".join(f"{key}={value}" for key, value in selected.items())
        self.page.goto(f"{self.path.as_uri()}#{address}")
        self.page.wait_for_selector("html[data-ready]", state="attached")
        return self

    def plot(self, key: str) -> dict:
        """What Plotly draws in a picture: {"data", "layout"}, once it is on the screen and up to date."""
        box = self.page.locator(f"#picture-{key} .plot")
        box.scroll_into_view_if_needed()
        self.page.wait_for_function("key => document.querySelector(`#picture-${key} .plot`).data", arg=key)
        self.page.wait_for_timeout(120)
        return json.loads(
            box.evaluate(
                "plot => JSON.stringify({data: plot.data, layout: plot.layout}, (name, value) => "
                "ArrayBuffer.isView(value) "
                "? Array.from(value) : value)"))

    def note(self, key: str) -> str:
        return self.page.locator(f"#picture-{key} .note").inner_text()

    def cell_centre(self, key: str, x: int, y: int) -> tuple[float, float]:
        """Where on the screen a heat map's cell lies."""
        return tuple(self.page.locator(f"#picture-{key} .plot").evaluate(
            """(plot, [x, y]) => {
              plot.scrollIntoView({block: "center"});
              const box = plot.getBoundingClientRect(), {xaxis, yaxis} = plot._fullLayout;
              return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)];
            }""", [x, y]))

    def table(self, title: str) -> list[list[str]]:
        """The texts of a table's body."""
        return self.page.locator(f'table[aria-label="{title}"] tbody tr').evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))")

    def columns(self, title: str) -> list[str]:
        return self.page.locator(f'table[aria-label="{title}"] thead th .sort').evaluate_all(
            "cells => cells.map(cell => cell.textContent.trim())")

    def selected(self) -> dict[str, str]:
        return dict(part.split("=", 1) for part in self.page.evaluate("location.hash.slice(1)").split("&"))


@contextmanager
def report_in(browser: Browser, path: Path, **options):
    context = browser.new_context(viewport=SIZE, **options)
    try:
        yield Report(context.new_page(), path)
    finally:
        context.close()


@pytest.fixture(scope="session")
def page_file(source_files, tmp_path_factory):
    """The report of every file that it can show."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    arguments = [
        "report", source_files.profile, "--summary", source_files.summary, "--sweep", source_files.sweep,
        "--costs", source_files.costs, "--videos", source_files.videos, "--out",
        str(out), "--quiet"
    ]
    for option, paths in (("--plan", source_files.plans), ("--validation", source_files.validations)):
        for path in paths:
            arguments += [option, path]
    assert main(arguments) == 0
    return out


@pytest.fixture(scope="session")
def playwright():
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright):
    browser = launch(playwright, "chromium")
    yield browser
    browser.close()
