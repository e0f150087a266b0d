"""Plans, validation reports, findings and videos as the report's page takes them; the command and its
file."""
from __future__ import annotations

import base64
import io
import json
import re

import h5py
import numpy as np
import pytest
from PIL import Image
from report_profiles import no_program, write_profile
from scipy.stats import spearmanr

from sparsescope.command_line import main
from sparsescope.profile import open_profile
from sparsescope.report.data import report_data
from sparsescope.report.findings import findings
from sparsescope.report.page import SCRIPTS, html_page, json_in_html
from sparsescope.report.plans import page_plan, setting_text
from sparsescope.report.validations import page_validation
from sparsescope.report.videos import page_videos
from sparsescope.sources import SourceFiles, Validation, open_sources
from report_data_test import unpack


def small_plan(method: str, rules: list[dict], dense_steps=(), dense_layers=()) -> dict:
    return {
        "model": {
            "layers": 2,
            "heads": 2
        },
        "steps": 3,
        "grid": [4, 8, 8],
        "tile": [2, 4, 4],
        "method": method,
        "dense": {
            "steps": list(dense_steps),
            "layers": list(dense_layers)
        },
        "rules": rules,
        "expected": {},
        "evidence": {}
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """1 prompt, 2 branches, 3 steps, 2 layers of 2 heads; bsa_density rises with kappa, differently
    everywhere."""
    kappa = np.array([1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1])
    lead = (1, 2, 3, 2, 2)
    power = np.linspace(0.5, 1.5, int(np.prod(lead))).reshape(lead)
    statistics = {"bsa_density": kappa ** power[..., None], "entropy": power}
    return statistics, open_profile(write_profile(tmp_path_factory.mktemp("small") / "small.h5", statistics))


def test_later_rules_override_and_dense_ones_stay_dense(small):
    whole = {"steps": [0, 2], "layers": [0, 1], "heads": [0, 1], "top_k": 2}
    rules = [whole, whole | {"heads": [1, 1], "steps": [1, 2], "top_k": 4}]
    plan = page_plan("p", small_plan("vsa", rules, [0], [1]), small[1])
    setting = unpack(plan["setting"])
    assert plan["settings"] == ["dense", "2 tiles", "4 tiles"]
    assert (setting[0] == 0).all() and (setting[:, 1] == 0).all()
    assert setting[1, 0].tolist() == [1, 2] and setting[2, 0].tolist() == [1, 2]


def test_density_of_a_vsa_plan_is_its_share_of_tiles(small):
    rule = {"steps": [0, 1], "layers": [0, 0], "heads": [0, 1], "top_k": 2}
    plan = page_plan("p", small_plan("vsa", [rule]), small[1])
    density, setting = unpack(plan["density"]), unpack(plan["setting"])
    assert density[0, 0].tolist() == [0.25, 0.25] and density[2].tolist() == [[1, 1], [1, 1]]  # 2 of 8 tiles
    assert plan["settings"] == ["dense", "2 tiles"] and setting[1, 0].tolist() == [1, 1] and setting[2, 0,
                                                                                                     0] == 0


def test_density_of_a_bsa_plan_is_measured_at_its_setting(small):
    rule = {
        "steps": [0, 2],
        "layers": [0, 1],
        "heads": [0, 1],
        "query_keep": 0.5,
        "window": [2, 2, 2],
        "kv_keep": 0.2,
        "min_blocks": 1
    }
    statistics, profile = small
    density = unpack(page_plan("p", small_plan("bsa", [rule]), profile)["density"])
    curve = statistics["bsa_density"][0].mean(axis=0)  # over branches
    for place in np.ndindex(3, 2, 2):
        low, high = curve[place][6], curve[place][7]  # at 3/16 and 1/4
        expected = 0.5 * (low + (high - low) * (0.2 - 3 / 16) / (1 / 16))
        assert density[place] == pytest.approx(expected, rel=1e-5)


def test_density_that_no_profile_tells_is_unknown(small):
    rule = {
        "steps": [0, 2],
        "layers": [0, 1],
        "heads": [0, 1],
        "partition": "temporal:1",
        "select": "threshold",
        "threshold": 0.5,
        "pool": "overall"
    }
    assert np.isnan(unpack(page_plan("p", small_plan("vmoba", [rule]), small[1])["density"])).all()


def test_settings_in_words():
    assert setting_text("vsa", {"top_k": 4, "choice": "row_oracle"}) == "4 tiles, row oracle"
    assert setting_text("vmoba", {
        "partition": "st:2,4,4",
        "select": "topk",
        "top_k": 3,
        "pool": "overall"
    }) == ("st:2,4,4, 3 blocks, pool overall")


def test_real_plans_have_the_density_that_they_expect(source_files, sources):
    for path in source_files.plans:
        plan = json.loads(open(path, encoding="utf-8").read())
        density = unpack(page_plan("p", plan, sources.profile)["density"]).mean()
        assert density == pytest.approx(plan["expected"]["density"]["mean"], rel=0.02), path


def test_head_means_and_misleading_ranks(sources):
    validation = sources.validations[0]
    found = page_validation(validation)
    sites = validation.report["sites"]
    for head in found["heads"]:
        own = [site for site in sites if (site["layer"], site["head"]) == (head["layer"], head["head"])]
        assert head["sites"] == len(own)
        for metric in ("density", "recall", "rel_l2", "cosine"):
            assert head[metric] == pytest.approx(sum(site[metric] for site in own) / len(own))
    missed = [head["missed"] for head in found["heads"]]
    errors = [head["rel_l2"] for head in found["heads"]]
    assert found["correlation"] == pytest.approx(spearmanr(missed, errors).statistic)
    worst = max(found["heads"], key=lambda head: head["rel_l2"])
    assert worst["error_rank"] == 1 and min(head["missed_rank"] for head in found["heads"]) == 0


def test_infinite_errors_are_counted_not_averaged():
    site = {"prompt": 0, "branch": 0, "step": 0, "layer": 0, "head": 0, "density": 0.5, "recall": 0.9, "rel_l1": 0.2,
            "rel_l2": 0.3, "cosine": 0.9}
    endless = {"rel_l1": 1e300, "rel_l2": 1e300}
    sites = [site, site | {"step": 1} | endless, site | {"head": 1} | endless]
    report = {"sites": sites, "summary": {"requirements": []}, "prompts": ["p"]}
    some, none = page_validation(Validation("v", report, None))["heads"]
    assert some["rel_l2"] == pytest.approx(0.3) and some["infinite"] == 1 and some["sites"] == 2
    assert none["rel_l2"] is None and none["infinite"] == 1 and none["recall"] == 0.9


def test_every_finding_has_words_chance_and_its_numbers(sources):
    summary = sources.summary
    sections = {one["key"]: one for one in findings(summary)}
    assert set(sections) == {key for key, value in summary["findings"].items() if value}
    for section in sections.values():
        assert section["sentences"] and all(table["rows"] for table in section["tables"])
        for sentence in section["sentences"]:
            assert "None" not in sentence and "nan" not in sentence
    overlaps = summary["findings"]["set_stability"]["overlaps"]
    table = sections["set_stability"]["tables"][0]
    names = [column["name"] for column in table["columns"]]
    assert len(table["rows"]) == len(overlaps)
    for row, line in zip(table["rows"], overlaps):
        assert row[names.index("chance")] == line["chance"]
        assert row[names.index("Jaccard index")] == {
            "value": line["jaccard"]["mean"],
            "low": line["jaccard"]["low"],
            "high": line["jaccard"]["high"]
        }
    with_chance = [
        section["key"] for section in sections.values()
        if any("chance" in column["name"] for table in section["tables"] for column in table["columns"])
    ]
    assert {"key_facts", "head_classes", "set_stability", "query_premise",
            "recall_errors"} <= set(with_chance)


def test_frames_of_videos(data):
    videos, _ = page_videos(str(data / "videos.h5"))
    with h5py.File(data / "videos.h5", "r") as file:
        for video in videos:
            for kind in ("dense", "sparse"):
                frames = file[f"{kind}/p{video['prompt']}"][:][video["numbers"]]
                encoded = base64.b64decode(video[kind].removeprefix("data:image/jpeg;base64,"))
                strip = np.asarray(Image.open(io.BytesIO(encoded))).reshape(frames.shape)
                assert np.abs(strip.astype(int) - frames).mean() < 6  # JPEG


def test_json_cannot_leave_its_element():
    evil = {"prompt": "</script><script>alert(1)</script><!--", "and": "&amp;"}
    text = json_in_html(evil)
    assert "<" not in text and ">" not in text and "&" not in text and json.loads(text) == evil


def test_every_script_is_part_of_the_page(small):
    from importlib import resources

    found = {path.name for path in (resources.files("sparsescope.report") / "web").iterdir()}
    assert found == {*SCRIPTS, "page.html", "page.css"}


def test_a_profile_without_anything_else(small, tmp_path):
    with no_program():
        content = report_data(open_sources(SourceFiles(small[1].encoding["source"])))
    assert content["findings"] == [] and content["plans"] == [] and content["maps"] == {}
    assert any("--maps" in line for line in content["lacking"]) and any("--plan" in line
                                                                        for line in content["lacking"])
    assert "<title>a &lt;b&gt;</title>" in html_page(content, "a <b>")


def command(*arguments: str) -> int:
    with no_program():
        return main(["report", *map(str, arguments)])


def test_the_command_writes_one_file_and_says_so(small, tmp_path, capsys):
    profile, out = small[1].encoding["source"], tmp_path / "page.html"
    assert command(profile, "--out", out, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["file"] == str(out) and answer["bytes"] == out.stat().st_size and answer["left_out"] == []
    page = out.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:|//)""", page.split('id="data"')[0])
    assert command(profile, "--out", out) == 2 and "--force" in capsys.readouterr().err
    assert command(profile, "--out", out, "--force") == 0


def test_wrong_arguments(small, tmp_path, capsys):
    profile = small[1].encoding["source"]
    assert command(profile) == 2 and "--out" in capsys.readouterr().err
    assert command(tmp_path / "none.h5", "--out", tmp_path / "a.html") == 2
    broken = tmp_path / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    assert command(profile, "--plan", broken, "--out", tmp_path / "a.html") == 3
    assert "sparsescope-plan" in capsys.readouterr().err and not (tmp_path / "a.html").exists()
