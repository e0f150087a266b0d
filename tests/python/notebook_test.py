"""Every notebook template runs on tiny-wan's files, through the program and as a library."""
from __future__ import annotations

import json
import os
import re
import subprocess

import nbformat
import pytest

from sparsescope.errors import UnsupportedError
from sparsescope.notebook.exporter import build, execute, templates
from sparsescope.render import missing_needs
from sparsescope.figures import FIGURES
from sparsescope.sources import SourceFiles, open_sources

PROGRAM = os.environ["SPARSESCOPE_PROGRAM"]


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("name", list(templates()))
def test_template_runs(name, sources, tmp_path):
    notebook = build(templates()[name], sources, str(tmp_path))
    execute(notebook, str(tmp_path))
    nbformat.validate(notebook)
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]


def test_every_figure_that_the_files_allow_has_a_cell(sources, tmp_path):
    notebook = build(templates()["figures"], sources, str(tmp_path))
    headings = {match.group(1) for cell in notebook.cells if (match := re.match(r"### (\S+)", cell.source))}
    assert headings == {name for name, spec in FIGURES.items() if not missing_needs(spec, sources)}


def test_paths_are_relative_to_the_notebook_so_that_the_folder_moves(data, tmp_path):
    home = tmp_path / "home"
    (home / "notes").mkdir(parents=True)
    os.link(data / "run.h5", home / "run.h5")
    done = subprocess.run([PROGRAM, "notebook", home / "run.h5", "--template", "one_head", "--out",
                           home / "notes/head.ipynb", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["executed"] is True
    moved = tmp_path / "moved"
    home.rename(moved)
    notebook = nbformat.read(moved / "notes/head.ipynb", as_version=4)
    assert "PROFILE = '../run.h5'" in "\n".join(cell.source for cell in notebook.cells)
    execute(notebook, str(moved / "notes"))


def test_a_template_that_lacks_its_files_says_which(data, tmp_path):
    sources = open_sources(SourceFiles(str(data / "run.h5")))
    with pytest.raises(UnsupportedError, match="--plan PLAN.json"):
        build(templates()["plan"], sources, str(tmp_path))


def test_wrong_arguments(data, tmp_path):
    def run(*arguments):
        return subprocess.run([PROGRAM, "notebook", data / "run.h5", *map(str, arguments)], capture_output=True,
                              text=True, check=False)

    assert run("--out", tmp_path / "a.txt").returncode == 2
    missing = run("--out", tmp_path / "nowhere/a.ipynb")
    assert missing.returncode == 2 and "does not exist" in missing.stderr
    assert run("--template", "none", "--out", tmp_path / "a.ipynb").returncode == 2
    assert run("--no-run", "--out", tmp_path / "a.ipynb").returncode == 0
    assert run("--no-run", "--out", tmp_path / "a.ipynb").returncode == 2  # exists
    assert not [output for output in outputs(nbformat.read(tmp_path / "a.ipynb", as_version=4))]
