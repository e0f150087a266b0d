"""The commands as a user meets them: the program, its exit code, its two streams and its files."""
from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

PROGRAM = os.environ["SPARSESCOPE_PROGRAM"]


def run(*arguments, environment=None):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False,
                          env={**os.environ, **(environment or {})})


def test_render_writes_every_format_with_numbers_and_caption(data, tmp_path):
    done = run("render", data / "run.h5", "--figure", "coverage", "--out", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["coverage.csv", "coverage.pdf", "coverage.png", "coverage.svg", "coverage.txt"]
    pdf = (tmp_path / "figures/coverage.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf  # fonts are embedded, as outlines
    svg = (tmp_path / "figures/coverage.svg").read_text()
    assert "<text" not in svg and "font-family" not in svg
    assert 'width="252pt"' in svg  # 3.5 inches
    with open(tmp_path / "figures/coverage.csv", encoding="utf-8") as file:
        assert next(csv.reader(file)) == ["step", "layer", "head", "curve", "f", "mass", "low", "high"]


def test_the_same_files_give_the_same_bytes(data, tmp_path):
    for folder in ("a", "b"):
        assert run("render", data / "run.h5", "--figure", "coverage", "--out", tmp_path / folder).returncode == 0
    for ending in ("svg", "pdf", "png", "csv", "txt"):
        name = f"coverage.{ending}"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_render_list_names_every_figure_with_a_line():
    from sparsescope.figures import FIGURES

    lines = run("render", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")].sort() == list(FIGURES).sort()
    listed = json.loads(run("render", "--list", "--json").stdout)["figures"]
    assert {figure["name"] for figure in listed} == set(FIGURES)


def test_json_is_one_object_and_names_the_files(data, tmp_path):
    done = run("render", data / "run.h5", "--figure", "coverage", "--out", tmp_path, "--json")
    figure = json.loads(done.stdout)["figures"][0]
    assert figure["name"] == "coverage" and all(os.path.exists(path) for path in figure["files"])


def test_an_existing_file_is_not_replaced_unasked(data, tmp_path):
    (tmp_path / "coverage.csv").write_text("mine")
    done = run("render", data / "run.h5", "--figure", "coverage", "--out", tmp_path)
    assert done.returncode == 2 and "coverage.csv exists" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["coverage.csv"]
    assert run("render", data / "run.h5", "--figure", "coverage", "--out", tmp_path, "--force").returncode == 0


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["--figure", "covrage"], 2, "no such figure"),
    (["--figure", "coverage", "--site", "layer=99"], 2, "layer 99 does not exist"),
    (["--figure", "coverage", "--site", "depth=1"], 2, "AXIS=INDEX"),
    (["--figure", "coverage", "--formats", "bmp"], 2, "svg, pdf, png"),
    (["--figure", "coverage", "--recall", "1.5"], 2, "--recall"),
    (["--figure", "tile-map", "--site", "layer=0 step=1 prompt=2"], 0, ""),
    (["--figure", "pareto"], 4, "--validation"),
    (["--plan", "/nowhere.json"], 2, "no such file"),
])
def test_wrong_arguments_say_what_is_allowed(data, tmp_path, arguments, code, words):
    done = run("render", data / "run.h5", *arguments, "--out", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    if code != 0:
        assert not (tmp_path / "out").exists()
        answer = json.loads(run("render", data / "run.h5", *arguments, "--out", tmp_path / "out", "--json").stdout)
        assert answer["error"]["exit_code"] == code


def test_a_file_that_is_no_profile_is_refused_by_name(data, tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("hello")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file.attrs["format"] = "something"
    for path in (text, other):
        done = run("render", path, "--out", tmp_path / "out")
        assert done.returncode == 3 and str(path) in done.stderr and "expected" in done.stderr
    done = run("render", data / "run.h5", "--plan", data / "summary.json", "--out", tmp_path / "out")
    assert done.returncode == 3 and "sparsescope-plan" in done.stderr


def test_without_python_or_the_package_it_says_what_to_install(data, tmp_path):
    arguments = ("render", data / "run.h5", "--out", tmp_path / "out")
    missing = run(*arguments, environment={"SPARSESCOPE_PYTHON": "/nowhere/python"})
    assert missing.returncode == 4 and "scripts/setup.sh" in missing.stderr
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    empty = run(*arguments, environment={"SPARSESCOPE_PYTHON": str(bare / "bin/python"), "PYTHONPATH": ""})
    assert empty.returncode == 4 and "pip install" in empty.stderr
    # The package alone, without what it draws with.
    package = os.path.dirname(os.path.dirname(__import__("sparsescope").__file__))
    partial = run(*arguments, environment={"SPARSESCOPE_PYTHON": str(bare / "bin/python"), "PYTHONPATH": package})
    assert partial.returncode == 4 and "requirements-figures.txt" in partial.stderr


def test_an_interrupt_leaves_complete_files_alone(data, tmp_path):
    child = subprocess.Popen([PROGRAM, "render", data / "run.h5", "--out", tmp_path, "--threads", "1"],
                             stderr=subprocess.PIPE, text=True, start_new_session=True)
    child.stderr.readline()  # the first figure, or the first that is left out
    time.sleep(1)
    os.killpg(child.pid, signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    for path in tmp_path.iterdir():
        assert not path.name.startswith("."), path
        assert path.stat().st_size > 0


def test_a_map_in_the_csv_is_the_map_in_the_profile(data, tmp_path):
    site = "prompt=1 branch=0 step=2 layer=3 head=2"
    done = run("render", data / "run.h5", "--figure", "tile-map", "--site", site, "--formats", "png", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = np.loadtxt(tmp_path / "tile-map.csv", delimiter=",", skiprows=1)[:, 1:]
    with h5py.File(data / "run.h5") as file:
        np.testing.assert_allclose(drawn, file["maps/p1_b0_s2_l3"][2], rtol=1e-6)
