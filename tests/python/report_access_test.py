"""The report for every reader: names and order for those who hear it, contrast in both themes, focus that
can be seen, paper, hostile prompts, and screenshots against references."""
from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from report_browser import report_in
from report_profiles import no_program, rising_curves, write_profile

from sparsescope.command_line import main

VIEWS = ("overview", "head", "layer", "heads", "plan", "validation", "sweep", "videos", "definitions")
REFERENCES = Path(__file__).parent / "report_references"

NAMES = """() => [...document.querySelectorAll(
  "button, a, input, select, summary, [role=img], [tabindex='0']")]
  .filter(one => one.offsetParent !== null && !one.closest(".modebar"))
  .map(one => ({tag: one.tagName, id: one.id, name: (one.getAttribute("aria-label")
    || (one.labels && [...one.labels].map(label => label.textContent).join(" ")) || one.textContent
    || "").trim()}))"""

HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4")].filter(one => one.offsetParent !== null)
  .map(one => [Number(one.tagName[1]), one.textContent])"""

# Text against what lies behind it: [ratio, text] of every visible text, HTML and SVG.
CONTRAST = """() => {
  const parse = (colour) => {
    const part = colour.match(/[\\d.]+/g).map(Number);
    return [part[0], part[1], part[2], part.length > 3 ? part[3] : 1];
  };
  const over = (front, back) => [0, 1, 2].map(i => front[3] * front[i] + (1 - front[3]) * back[i]).concat(1);
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = colour.slice(0, 3).map(c => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    const box = parent.getBoundingClientRect();
    if (!walker.currentNode.textContent.trim() || !box.width || !box.height) continue;
    if (parent.closest("script, style, .modebar, .skip")) continue;
    const style = getComputedStyle(parent);
    if (style.visibility === "hidden" || parent.closest("[hidden]")) continue;
    const back = behind(parent);
    const svg = parent instanceof SVGElement;
    const ink = over(parse(svg ? style.fill : style.color), back);
    found.push([ratio(ink, back), walker.currentNode.textContent.trim().slice(0, 40)]);
  }
  const box = document.getElementById("search");
  found.push([ratio(parse(getComputedStyle(box, "::placeholder").color), behind(box)), "placeholder"]);
  return found;
}"""


@pytest.fixture(scope="module")
def report(chromium, page_file):
    with report_in(chromium, page_file) as opened:
        yield opened
        assert opened.troubles == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_and_picture_has_a_name(report, view):
    report.open(view=view, layer=2, head=1)
    report.page.wait_for_timeout(200)
    found = report.page.evaluate(NAMES)
    assert len(found) > 15 and [one for one in found if not one["name"]] == []
    ids = report.page.evaluate(
        "() => [...document.querySelectorAll('[id]')].map(one => one.id).filter(id => id)")
    own = [
        one for one in ids
        if not one.startswith(("clip", "g", "cb", "legend", "topdefs", "defs", "modebar"))
    ]
    assert len(own) == len(set(own))


@pytest.mark.parametrize("view", VIEWS)
def test_headings_are_in_order(report, view):
    report.open(view=view, layer=2, head=1)
    levels = [level for level, _ in report.page.evaluate(HEADINGS)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))


def test_tables_name_their_columns_and_rows(report):
    for view in ("overview", "heads", "plan", "validation", "sweep"):
        report.open(view=view, layer=2, head=1)
        for table in report.page.locator("table:visible").all():
            assert table.get_attribute("aria-label")
            scopes = table.locator("thead th").evaluate_all("cells => cells.map(cell => cell.scope)")
            assert scopes and set(scopes) == {"col"}
            firsts = table.locator("tbody tr").evaluate_all(
                "rows => rows.map(row => [row.cells[0].tagName, row.cells[0].scope])")
            assert all(first == ["TH", "row"] for first in firsts)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_contrast(report, view, theme):
    report.open(view=view, layer=2, head=1)
    if report.page.locator("html").get_attribute("data-theme") != theme:
        report.page.click("#theme")
    report.page.mouse.move(5, 895)
    report.page.wait_for_timeout(200)
    found = report.page.evaluate(CONTRAST)
    assert len(found) > 50
    assert [(round(ratio, 2), text) for ratio, text in found if ratio < 4.5] == []


def test_contrast_is_really_measured(report):
    report.open(view="overview")
    if report.page.locator("html").get_attribute("data-theme") == "dark":
        report.page.click("#theme")
    report.page.evaluate("() => document.documentElement.style.setProperty('--quiet', '#9aa4b0')")
    report.page.wait_for_timeout(100)
    assert len([text for ratio, text in report.page.evaluate(CONTRAST) if ratio < 4.5]) > 20


def test_focus_can_be_seen_in_the_order_of_reading(report):
    report.open(view="head", layer=2, head=1)
    seen = []
    for _ in range(24):
        report.page.keyboard.press("Tab")
        seen.append(
            report.page.evaluate("""() => {
          const one = document.activeElement, style = getComputedStyle(one);
          return [one.id || one.textContent.trim().slice(0, 12), style.outlineStyle,
            parseFloat(style.outlineWidth), one.getBoundingClientRect().top >= 0];
        }"""))
    assert all(style != "none" and width >= 1 and inside for _, style, width, inside in seen)
    names = [name for name, *_ in seen]
    order = ["Overview", "Head", "search", "theme", "keys", "stat", "recall", "branch", "prompt", "step"]
    places = [names.index(name) for name in order]
    assert places == sorted(places) and names[0].startswith("Skip")


def test_paper_has_everything_and_no_controls(report):
    report.open(view="overview", layer=2, head=1)
    report.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert report.page.locator(".view:visible").count() == len(VIEWS)
    for gone in ("#controls", "#search", "#theme", "#views", ".help", ".toolbar"):
        assert report.page.locator(f"{gone}:visible").count() == 0, gone
    assert report.page.locator("html").get_attribute("data-theme") == "light"
    plots = report.page.locator(".picture .plot:not([hidden])")
    drawn = report.page.locator(".picture .plot.js-plotly-plot:not([hidden])")
    assert plots.count() == drawn.count() > 15
    assert report.page.locator("#state-line").is_visible()
    report.page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert report.page.locator(".view:visible").count() == 1 and report.page.locator("#controls").is_visible()
    paper = report.page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF") and paper.count(b"/Type /Page\n") > 8
    report.page.wait_for_selector(".view:visible")


EVIL = [
    "<script>window.pwned = 1</script>", "</script><img src=x onerror='window.pwned = 1'>",
    "{{constructor}} & \"quotes\""
]


def test_words_of_files_are_only_words(chromium, tmp_path):
    lead = (3, 1, 2, 2, 2)
    statistics = {"coverage_tile": rising_curves(lead, 1), "coverage_pooled": rising_curves(lead, 2),
                  "entropy": np.random.default_rng(3).random(lead)}
    profile = write_profile(tmp_path / "evil.h5", statistics, prompts=EVIL)
    with h5py.File(profile, "r+") as file:
        file["layer_name"] = [word.encode() for word in EVIL[:2]]
        file["layer_name"].dims[0].attach_scale(file["layer"])
    out = tmp_path / "evil.html"
    with no_program():
        assert main(["report", str(profile), "--out", str(out), "--quiet"]) == 0
    with report_in(chromium, out) as opened:
        for view in ("overview", "head", "layer", "heads", "definitions"):
            opened.open(view=view, layer=1)
            opened.page.wait_for_timeout(150)
        opened.open(view="overview")
        assert [row[1] for row in opened.table("Prompts")] == EVIL
        options = opened.page.locator("#prompt option").all_text_contents()
        assert options[1:] == [f"{i}: {words}" for i, words in enumerate(EVIL)]
        opened.page.fill("#search", "pwned")
        assert opened.page.locator("#found li").count() >= 2
        opened.page.locator("#found li").first.click()
        opened.open(view="layer", layer=0)
        assert EVIL[0] in opened.page.locator("#layer-lead").inner_text()
        assert opened.page.evaluate("() => window.pwned") is None and opened.troubles == []
        assert opened.page.locator("main img, main script").count() == 0


def likeness(first: Image.Image, second: Image.Image) -> tuple[float, float]:
    """Mean difference of grey values at 160 pixels' width, and the share of pixels that differ by more
    than a fifth: blind to fonts and anti-aliasing, not to a missing picture or a wrong theme."""
    size = (160, round(160 * first.height / first.width))
    grey = [
        np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), dtype=float)
        for image in (first, second)
    ]
    difference = np.abs(grey[0] - grey[1])
    return difference.mean(), (difference > 51).mean()


def alike(first: Image.Image, second: Image.Image) -> bool:
    mean, far = likeness(first, second)
    return mean < 6 and far < 0.02


SHOTS = {
    "overview": ("overview", "light", 1280),
    "head": ("head", "light", 1280),
    "head-dark": ("head", "dark", 1280),
    "layer-narrow": ("layer", "light", 420)
}


@pytest.mark.parametrize("name", SHOTS)
def test_screenshots(chromium, page_file, tmp_path, name):
    view, theme, width = SHOTS[name]
    with report_in(chromium, page_file, color_scheme=theme) as opened:
        opened.page.set_viewport_size({"width": width, "height": 1000})
        opened.open(view=view, layer=2, head=1, step=2)
        opened.page.wait_for_timeout(1500)
        taken = tmp_path / f"{name}.png"
        opened.page.screenshot(path=taken)
        small = Image.open(taken).convert("RGB")
        small.thumbnail((640, 640))
        reference = REFERENCES / f"{name}.png"
        if os.environ.get("SPARSESCOPE_UPDATE_REFERENCES"):
            REFERENCES.mkdir(exist_ok=True)
            small.quantize(64).save(reference, optimize=True)
        assert alike(small,
                     Image.open(reference).convert("RGB")), likeness(small,
                                                                     Image.open(reference).convert("RGB"))
        if view == "head":  # the comparison sees a picture that is missing
            opened.page.locator("#picture-coverage .plot").evaluate(
                "plot => plot.style.visibility = 'hidden'")
            opened.page.locator("#picture-frame_mass .plot").evaluate(
                "plot => plot.style.visibility = 'hidden'")
            opened.page.screenshot(path=taken)
            assert not alike(Image.open(taken).convert("RGB"), Image.open(reference).convert("RGB"))
