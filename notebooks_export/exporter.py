"""Fills a template and runs it.

Templates are percent-format scripts (jupytext) in templates/: plain text, so that a change of them can be
read. A cell tagged `parameters` takes the paths, relative to the notebook, so that a folder can be moved
as a whole; a cell tagged `figures` becomes a heading and a cell for every figure that the files allow.
"""
from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from importlib import resources

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from sparsescope.errors import SparsescopeError, UnsupportedError, UsageError
from sparsescope.figures import FIGURES, SECTIONS, FigureSpec
from sparsescope.render import missing_needs, source_names
from sparsescope.sources import SourceFiles, Sources

SECONDS_A_CELL = 600


@dataclass(frozen=True)
class Template:
    name: str
    title: str
    needs: tuple[str, ...]
    notebook: nbformat.NotebookNode


def templates() -> dict[str, Template]:
    folder = resources.files("sparsescope.notebook") / "templates"
    found = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            notebook = jupytext.reads(file.read_text(encoding="utf-8"), fmt="py:percent")
            about = notebook.metadata.pop("sparsescope", {})
            name = file.name.removesuffix(".py")
            found[name] = Template(name, about.get("title", ""), tuple(about.get("needs", ())), notebook)
    return found


def build(template: Template, sources: Sources, folder: str) -> nbformat.NotebookNode:
    """The template with its parameters and figures, to be saved in folder. UnsupportedError where the files
    lack what the template needs."""
    if lacking := sources.lacking(template.needs):
        raise UnsupportedError(f"notebook {template.name} {lacking}")
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {
        "name": "python3", "display_name": "Python 3", "language": "python"}})
    for cell in template.notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            notebook.cells.append(nbformat.v4.new_code_cell(
                _parameters(sources.files, folder), metadata={"tags": ["parameters"]}))
        elif "figures" in tags:
            notebook.cells += figure_cells(sources)
        elif cell.cell_type == "markdown":
            notebook.cells.append(nbformat.v4.new_markdown_cell(cell.source))
        else:
            notebook.cells.append(nbformat.v4.new_code_cell(cell.source))
    for number, cell in enumerate(notebook.cells):  # not random: the same files give the same notebook
        cell.id = f"cell-{number}"
    return notebook


def _parameters(files: SourceFiles, folder: str) -> str:
    def relative(path: str | None) -> str | None:
        return os.path.relpath(path, folder) if path else None

    moved = replace(files, profile=relative(files.profile), **{
        name: tuple(map(relative, getattr(files, name))) for name in ("plans", "validations", "benches", "others")
    }, **{name: relative(getattr(files, name)) for name in ("sweep", "costs", "summary", "videos")})
    return "\n".join([f"PROFILE = {moved.profile!r}"] + [
        f"{name.upper()} = {list(getattr(moved, name))!r}" for name in ("plans", "validations", "benches", "others")
    ] + [f"{name.upper()} = {getattr(moved, name)!r}" for name in ("sweep", "costs", "summary", "videos")])


def figure_cells(sources: Sources) -> list[nbformat.NotebookNode]:
    cells = []
    for section in SECTIONS:
        specs = [spec for spec in FIGURES.values()
                 if spec.section == section and not missing_needs(spec, sources)]
        if specs:
            cells.append(nbformat.v4.new_markdown_cell(f"## {section.capitalize()}"))
        for spec in specs:
            cells.append(nbformat.v4.new_markdown_cell(f"### {spec.name}\n\n{spec.question}"))
            cells.append(nbformat.v4.new_code_cell(figure_code(spec, sources)))
    return cells


def figure_code(spec: FigureSpec, sources: Sources) -> str:
    """The cell of one figure, written out so that it can be edited."""
    handed = "".join(f", {name}=sources.{name}" for name in source_names(spec, sources))
    target = "paper" if spec.panels else "paper.subplots()"
    return "\n".join([
        f"with style.context(columns={spec.columns}):",
        f"    paper = style.new_figure(columns={spec.columns}, height={spec.height_for(sources.profile):.3g})",
        f"    drawn = figures.{spec.draw.__name__}({target}, profile{handed})",
        "print(drawn.caption)",
        "paper",
    ])


def execute(notebook: nbformat.NotebookNode, folder: str) -> None:
    """Runs every cell in folder, with this interpreter."""
    with tempfile.TemporaryDirectory(prefix="sparsescope-") as sockets:
        # Sockets of files instead of ports, which others on the machine could reach.
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=os.path.join(sockets, "kernel"))
        client = NotebookClient(notebook, km=manager, timeout=SECONDS_A_CELL, record_timing=False,
                                extra_arguments=["--IPKernelApp.log_level=ERROR"],
                                resources={"metadata": {"path": folder}})
        try:
            client.execute()
        except CellExecutionError as error:
            raise SparsescopeError(f"a cell of the notebook failed: {error}") from error


def choose(name: str) -> Template:
    known = templates()
    if name not in known:
        raise UsageError(f"--template {name}: no such template; known: {', '.join(known)}")
    return known[name]
