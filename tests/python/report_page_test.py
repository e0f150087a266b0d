"""The report's page in Chromium and Firefox: what it shows are the files' numbers, and what the reader does
changes what it should."""
from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest
from report_browser import PATIENCE, launch, report_in

F = np.array([1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1])
VIEWS = ("overview", "head", "layer", "heads", "plan", "validation", "sweep", "videos", "definitions")


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def report(request, playwright, page_file):
    """The open page, in both browsers; a test that leaves trouble in it fails."""
    browser = launch(playwright, request.param)
    with report_in(browser, page_file) as opened:
        yield opened
    browser.close()


@pytest.fixture(autouse=True)
def no_trouble(request):
    yield
    if "report" in request.fixturenames:
        opened = request.getfixturevalue("report")
        assert opened.troubles == []


@pytest.fixture(scope="module")
def raw(data):
    with h5py.File(data / "run.h5", "r") as file:
        yield lambda name: file[f"stats/{name}"][:].astype(np.float64)


def needed(curves: np.ndarray, recall: float) -> np.ndarray:
    """Mean over prompts of each prompt's own kept fraction: curves [prompt, .., f]."""
    flat = curves.reshape(-1, len(F))
    found = [np.exp(np.interp(recall, curve, np.log(F))) for curve in flat]
    return np.reshape(found, curves.shape[:-1]).mean(axis=0)


def numbers(text: str) -> list[float]:
    return [float(part) for part in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", text)]


def test_the_file_is_small_and_every_view_opens_without_trouble(report, page_file):
    assert page_file.stat().st_size < 15e6
    for view in VIEWS:
        report.open(view=view, layer=2, head=1)
        assert report.page.locator(f"#view-{view}").is_visible()
        assert report.page.locator(".view:visible").count() == 1
    words = report.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    pictures = float(report.page.locator("html").get_attribute("data-ready"))
    name = report.page.context.browser.browser_type.name
    print(f"\n{name}: words after {words / 1000:.2f} s, pictures after {pictures / 1000:.2f} s")
    assert words < 30_000 and pictures < 60_000  # the time itself is no test on a busy machine


def test_heat_map_is_the_fraction_needed(report, raw):
    report.open(view="overview", layer=2, head=1, step=1, branch=1, recall=0.8)
    trace = report.plot("map_heads")["data"][0]
    expected = needed(raw("coverage_tile")[:, 1, 1], 0.8)  # [layer, head]
    np.testing.assert_allclose(trace["customdata"], expected, rtol=1e-5)
    np.testing.assert_allclose(trace["z"], np.log10(expected), rtol=1e-4, atol=1e-6)
    steps = report.plot("map_steps")["data"][0]
    heads = np.stack(
        [needed(raw("coverage_tile")[:, 1, step], 0.8) for step in range(raw("entropy").shape[2])], axis=1)
    by_prompt = np.reshape([
        np.exp(np.interp(0.8, curve, np.log(F)))
        for curve in raw("coverage_tile")[:, 1].reshape(-1, len(F))
    ],
                           raw("coverage_tile")[:, 1].shape[:-1])
    medians = np.median(by_prompt, axis=-1).mean(axis=0).T  # [layer, step]
    assert heads.shape[:2] == medians.shape
    np.testing.assert_allclose(steps["customdata"], medians, rtol=1e-5)


def test_curves_are_means_over_prompts(report, raw):
    report.open(view="head", layer=2, head=1, step=0)
    drawn = {trace["name"]: trace for trace in report.plot("coverage")["data"]}
    for name, label in (("coverage_pooled", "pooled scores"), ("coverage_tile", "best per tile")):
        np.testing.assert_allclose(drawn[label]["y"], raw(name)[:, 0, 0, 2, 1].mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(drawn[label]["x"], F)
    frames = report.plot("frame_mass")["data"][0]
    lift = raw("frame_mass")[:, 0, 0, 2, 1].mean(axis=0) * 8
    np.testing.assert_allclose(frames["customdata"], lift, rtol=1e-5)
    times = {trace["name"]: trace["y"] for trace in report.plot("distance")["data"]}["time (frames)"]
    share = np.array([1 / 8] + [2 * (8 - d) / 64 for d in range(1, 8)])
    np.testing.assert_allclose(times, raw("mass_dt")[:, 0, 0, 2, 1].mean(axis=0) / share, rtol=1e-5)
    bars = report.plot("query_cosine")["data"][0]["y"]
    counts = raw("query_cosine")[:, 0, 0, 2, 1].mean(axis=0)
    np.testing.assert_allclose(bars, counts / counts.sum(), rtol=1e-5)


def test_one_prompt(report, raw):
    report.open(view="head", layer=4, head=1, step=2)
    report.page.select_option("#prompt", "1")
    drawn = {trace["name"]: trace for trace in report.plot("coverage")["data"]}
    np.testing.assert_allclose(drawn["pooled scores"]["y"], raw("coverage_pooled")[1, 0, 2, 4, 1], rtol=1e-6)
    assert "pooled scores, interval" not in drawn and report.selected()["prompt"] == "1"


def test_tile_map_and_where_attention_lands(report, data, raw):
    report.open(view="head", layer=2, head=0, step=0)
    with h5py.File(data / "run.h5", "r") as file:
        mass = file["maps/p0_b0_s0_l2"][0].astype(np.float64)
    drawn = np.array(report.plot("tile_map")["data"][0]["customdata"], dtype=float)
    np.testing.assert_allclose(drawn, np.maximum(mass * 32, 1e-4), rtol=2e-4)
    cells = np.array(report.plot("key_mass")["data"][0]["customdata"],
                     dtype=float)  # blank lines between frames
    assert cells.shape == (4, 9)
    lift = raw("key_mass")[:, 0, 0, 2, 0].mean(axis=0).reshape(2, 4, 4) * 32
    np.testing.assert_allclose(cells[:, :4], lift[0], rtol=1e-5)
    np.testing.assert_allclose(cells[:, 5:], lift[1], rtol=1e-5)


def test_slider_moves_the_step(report, raw):
    report.open(view="head", layer=2, head=1, step=0)
    before = report.plot("map_heads")["data"][0]["customdata"]
    report.page.focus("#step")
    report.page.keyboard.press("ArrowRight")
    assert report.selected()["step"] == "1"
    after = report.plot("map_heads")["data"][0]["customdata"]
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after, needed(raw("coverage_tile")[:, 0, 1], 0.9), rtol=1e-5)
    curve = next(trace for trace in report.plot("coverage")["data"] if trace["name"] == "best per tile")
    np.testing.assert_allclose(curve["y"], raw("coverage_tile")[:, 0, 1, 2, 1].mean(axis=0), rtol=1e-6)
    sigma = numbers(report.page.locator("#step-text").inner_text())
    assert sigma[0] == 1 and 0 < sigma[1] <= 1


def test_pointing_at_a_cell_previews_its_head_and_a_click_keeps_it(report, raw):
    report.open(view="head", layer=2, head=1, step=0)
    report.plot("map_heads")
    title = report.page.locator("#title-head")
    x, y = report.cell_centre("map_heads", 0, 6)
    report.page.mouse.move(x - 3, y)
    report.page.mouse.move(x, y)
    report.page.wait_for_function(
        "() => document.getElementById('title-head').textContent === 'Layer 6, head 0'")
    curve = next(trace for trace in report.plot("coverage")["data"] if trace["name"] == "best per tile")
    np.testing.assert_allclose(curve["y"], raw("coverage_tile")[:, 0, 0, 6, 0].mean(axis=0), rtol=1e-6)
    assert report.selected()["layer"] == "2"  # only pointed at
    report.page.mouse.move(700, 5)
    report.page.wait_for_function(
        "() => document.getElementById('title-head').textContent === 'Layer 2, head 1'")
    x, y = report.cell_centre("map_heads", 2, 4)
    report.page.mouse.move(x - 2, y)
    report.page.mouse.move(x, y)
    report.page.wait_for_function(
        "() => document.getElementById('title-head').textContent === 'Layer 4, head 2'")
    report.page.mouse.click(x, y)
    report.page.mouse.move(700, 5)
    report.page.wait_for_timeout(300)
    assert title.inner_text() == "Layer 4, head 2" and report.selected()["layer"] == "4"
    frame = report.plot("map_heads")["layout"]["shapes"][0]
    assert (frame["x0"], frame["x1"], frame["y0"], frame["y1"]) == (1.5, 2.5, 3.5, 4.5)
    values = report.page.locator("#peek-facts dd[data-stat=entropy]").inner_text()
    assert numbers(values)[0] == pytest.approx(raw("entropy")[:, 0, 0, 4, 2].mean(), abs=5e-4)


def test_choosing_a_row_frames_its_cell(report):
    report.open(view="heads", layer=0, head=0)
    report.page.locator(
        'table[aria-label="All heads at this step"] button[aria-label="Select layer 5, head 2"]').click()
    frame = report.plot("map_heads")["layout"]["shapes"][0]
    assert (frame["x0"], frame["y0"]) == (1.5, 4.5)
    row = report.page.locator('table[aria-label="All heads at this step"] tr.selected')
    assert row.count() == 1 and row.get_attribute("data-layer") == "5" and row.get_attribute(
        "aria-current") == "true"


def test_tables_hold_the_numbers_of_the_file(report, raw):
    report.open(view="heads", layer=0, head=0, step=1)
    columns, rows = report.columns("All heads at this step"), report.table("All heads at this step")
    expected = {
        "Entropy": raw("entropy")[:, 0, 1].mean(axis=0),
        "Row overlap": raw("row_overlap")[:, 0, 1].mean(axis=0),
        "Tiles needed, pooled scores": needed(raw("coverage_pooled")[:, 0, 1], 0.9)
    }
    assert len(rows) == expected["Entropy"].size
    for row in rows:
        layer, head = map(int, row[0].split("."))
        for name, values in expected.items():
            assert float(row[columns.index(name)]) == pytest.approx(values[layer, head], abs=5.1e-4)
    report.page.locator('table[aria-label="All heads at this step"] .sort', has_text="Row overlap").click()
    ranked = [float(row[columns.index("Row overlap")]) for row in report.table("All heads at this step")]
    assert ranked == sorted(ranked, reverse=True)
    sorts = report.page.locator('table[aria-label="All heads at this step"] th[aria-sort="descending"]')
    assert sorts.count() == 1


def test_plan_is_the_last_rule_of_each_place(report, source_files):
    plan = json.loads(open(source_files.plans[-1], encoding="utf-8").read())
    report.open(view="plan", plan=len(source_files.plans) - 1, step=2, planStep="step")
    assert plan["method"] == "vsa"
    expected = np.ones((plan["model"]["layers"], plan["model"]["heads"]))
    for layer, head in np.ndindex(expected.shape):
        for rule in plan["rules"]:
            spans = zip((2, layer, head), (rule["steps"], rule["layers"], rule["heads"]))
            if all(first <= at <= last for at, (first, last) in spans):
                expected[layer, head] = rule["top_k"] / 32
        if 2 in plan["dense"]["steps"] or layer in plan["dense"]["layers"]:
            expected[layer, head] = 1
    drawn = report.plot("plan_density")
    np.testing.assert_allclose(drawn["data"][0]["z"], expected, rtol=1e-6)
    marked = set(zip(drawn["data"][1]["y"], drawn["data"][1]["x"]))
    assert marked <= {tuple(place) for place in np.argwhere(expected == 1)}
    for row in report.table("Settings by head"):
        layer, head = map(int, row[0].split("."))
        assert float(row[2]) == pytest.approx(expected[layer, head], abs=5.1e-4)
        assert (row[1] == "dense") == ((layer, head) in marked)


def test_validation_tables_are_the_report(report, sources):
    report.open(view="validation", report=1, layer=0, head=0)
    validation = sources.validations[1]
    summary, sites = validation.report["summary"], validation.report["sites"]
    columns = report.columns("Reports")
    row = next(row for row in report.table("Reports") if row[0] == validation.name)
    for label, key, digits in (("density", "density", 3), ("relative L2", "rel_l2", 3),
                               ("PSNR latent", "psnr_latent", 2), ("output relative L2", "output_rel_l2",
                                                                   3)):
        found = numbers(row[columns.index(label)])
        wanted = [summary[key], summary[f"{key}_low"], summary[f"{key}_high"]]
        np.testing.assert_allclose(found, wanted, atol=0.51 * 10 ** -digits)
    names = report.columns("Errors by head")
    for row in report.table("Errors by head"):
        layer, head = map(int, row[0].split("."))
        own = [site for site in sites if site["layer"] == layer and site["head"] == head]
        for label, key in (("relative L2", "rel_l2"), ("recall", "recall"), ("cosine", "cosine")):
            mean = sum(site[key] for site in own) / len(own)
            assert float(row[names.index(label)]) == pytest.approx(mean, abs=5.1e-4)
    points = report.plot("mass_error")["data"][0]
    assert len(points["x"]) == len(report.table("Errors by head"))
    assert len(report.table("Heads whose recall misleads")) == 10


def test_findings_are_those_of_the_summary(report, sources):
    report.open(view="overview")
    found = sources.summary["findings"]["set_stability"]["overlaps"]
    rows = report.page.locator("#finding-set_stability ~ .tables table[aria-label=Overlaps]").first.locator(
        "tbody tr")
    assert rows.count() == len(found)
    for place, line in enumerate(found):
        cells = [cell.strip() for cell in rows.nth(place).locator("th, td").all_text_contents()]
        assert cells[0] == line["between"] and float(cells[3]) == pytest.approx(line["chance"], abs=5.1e-4)
        assert numbers(cells[4])[0] == pytest.approx(line["jaccard"]["mean"], abs=5.1e-4)


def test_sweep_points_are_those_of_the_file(report, sources):
    report.open(view="sweep")
    points = sources.sweep["points"]
    across = {"sweep_density": lambda point: point["density"],
              "sweep_time": lambda point: point["sparse_ms"] / point["dense_ms"]}
    for key, value in across.items():
        traces = [trace for trace in report.plot(key)["data"] if trace["name"] != "knee"]
        assert len(traces) == len({(point["method"], point["kind"]) for point in points})
        drawn = sorted(place for trace in traces for place in zip(trace["x"], trace["y"]))
        expected = sorted((value(point), point["error"]) for point in points)
        np.testing.assert_allclose(drawn, expected, rtol=1e-12)


def test_frames_of_the_videos_move(report):
    report.open(view="videos")
    images = report.page.locator(".frame-image")
    assert images.count() == 3
    places = set()
    for _ in range(3):
        places.add(images.first.evaluate("image => getComputedStyle(image).backgroundPositionY"))
        report.page.focus("#frame")
        report.page.keyboard.press("ArrowRight")
    assert len(places) == 3 and report.page.locator("#view-videos output").inner_text() == "3"


@pytest.mark.parametrize("words,expected", [
    ("layer 3 head 1", {"view": "head", "layer": "3", "head": "1"}),
    ("6.2", {"view": "head", "layer": "6", "head": "2"}), ("layer 5", {"view": "layer", "layer": "5"}),
    ("row overlap", {"stat": "row_overlap"}), ("step 1", {"step": "1"}),
])
def test_search_goes_there(report, words, expected):
    report.open(view="overview", layer=0, head=0, step=0)
    report.page.keyboard.press("/")
    report.page.keyboard.type(words)
    report.page.wait_for_selector("#found li[aria-selected=true]")
    report.page.keyboard.press("Enter")
    assert expected.items() <= report.selected().items()
    assert report.page.locator("#found").is_hidden()


def test_search_finds_prompts_definitions_and_nothing(report, profile):
    from sparsescope.profile import manifest

    report.open(view="overview")
    prompt = manifest(profile)["prompts"][1]
    report.page.fill("#search", prompt)
    report.page.locator("#found li", has_text=prompt).first.click()
    assert report.selected()["prompt"] == "1"
    report.page.fill("#search", "jaccard")
    report.page.locator("#found li", has_text="definition").first.click()
    assert report.selected()["view"] == "definitions" and report.page.locator("#term-jaccard").is_visible()
    report.page.fill("#search", "no such thing")
    assert report.page.locator("#found").inner_text() == "Nothing found"


def test_keys(report):
    report.open(view="overview", layer=2, head=1, step=1)
    for key, expected in (("ArrowDown", {
            "layer": "3"
    }), ("ArrowRight", {
            "head": "2"
    }), ("ArrowRight", {
            "head": "2"
    }), ("]", {
            "step": "1"
    } if "step" in report.selected() else {}), ("2", {
            "view": "head"
    })):
        report.page.keyboard.press(key)
        if key != "]":
            assert expected.items() <= report.selected().items(), key
    assert report.page.locator("#step-text").inner_text().startswith("2 ")
    report.page.locator("#picture-map_steps .plot").focus()
    report.page.keyboard.press("ArrowLeft")
    assert report.page.locator("#step-text").inner_text().startswith("1 ")
    report.page.locator("body").click(position={"x": 5, "y": 5})
    report.page.keyboard.press("?")
    assert report.page.locator("#keys-dialog").is_visible()
    report.page.keyboard.press("Escape")
    assert report.page.locator("#keys-dialog").is_hidden()


def test_a_question_mark_defines(report):
    report.open(view="head", layer=2, head=1)
    button = report.page.locator("#picture-coverage .help")
    button.click()
    box = report.page.locator("#definition")
    assert "coverage_pooled" in box.inner_text() and button.get_attribute("aria-expanded") == "true"
    report.page.keyboard.press("Escape")
    assert box.is_hidden()


def test_the_address_is_a_link_to_the_view(report, raw):
    report.open(view="layer", layer=6, head=2, step=3, branch=1, stat="entropy")
    assert report.page.locator("#title-layer").inner_text() == "Layer 6"
    trace = report.plot("map_heads")["data"][0]
    np.testing.assert_allclose(trace["customdata"], raw("entropy")[:, 1, 3].mean(axis=0), rtol=1e-6)
    lines = report.plot("layer_steps")["data"]
    assert {trace["name"]
            for trace in lines} == {"head 0", "head 1", "head 2"} and lines[-1]["name"] == "head 2"
    np.testing.assert_allclose(lines[-1]["y"], raw("entropy")[:, 1, :, 6, 2].mean(axis=0), rtol=1e-6)
    report.open(view="nowhere", layer=99, step="x", stat="<b>")  # what is not allowed is not taken
    assert report.page.locator("#view-overview").is_visible()


def test_theme_is_remembered(report):
    report.open(view="overview")
    root = report.page.locator("html")
    before = root.get_attribute("data-theme")
    ink = report.page.evaluate("getComputedStyle(document.body).color")
    report.page.click("#theme")
    after = root.get_attribute("data-theme")
    assert {before, after} == {"light", "dark"}
    assert report.page.evaluate("getComputedStyle(document.body).color") != ink
    assert report.plot("map_heads")["layout"]["font"]["color"] == report.page.evaluate(
        "getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()")
    report.open(view="overview")
    assert root.get_attribute("data-theme") == after
    report.page.keyboard.press("t")
    assert root.get_attribute("data-theme") == before


def test_dark_is_taken_from_the_system(chromium, page_file):
    with report_in(chromium, page_file, color_scheme="dark") as opened:
        assert opened.open().page.locator("html").get_attribute("data-theme") == "dark"
        opened.page.emulate_media(color_scheme="light")
        opened.page.wait_for_selector("html[data-theme=light]", state="attached", timeout=PATIENCE)
