"""notebook RUN.h5 --out FILE.ipynb: a notebook that redraws figures from the profile."""
from __future__ import annotations

import os

import nbformat

from sparsescope.command_line import Parser, Streams, add_source_options, source_files
from sparsescope.errors import UsageError
from sparsescope.files import expect_folder, refuse_existing, write_text
from sparsescope.notebook.exporter import build, choose, execute, templates
from sparsescope.sources import open_sources


def run(argv: list[str]) -> None:
    parser = Parser(prog="notebook")
    if "--list" in argv:
        list_templates(Streams("--json" in argv))
        return
    add_source_options(parser)
    parser.add_argument("--template", default="figures")
    parser.add_argument("--no-run", action="store_true")
    arguments = parser.parse_args(argv)
    streams = Streams(arguments.json, arguments.quiet)
    template = choose(arguments.template)
    if not arguments.out or not arguments.out.endswith(".ipynb"):
        raise UsageError(f"--out: expected a file that ends in .ipynb, found '{arguments.out or ''}'")
    expect_folder(arguments.out)
    refuse_existing([arguments.out], arguments.force)
    sources = open_sources(source_files(arguments))
    folder = os.path.dirname(os.path.abspath(arguments.out))
    notebook = build(template, sources, folder)
    if not arguments.no_run:
        streams.message(f"running {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells")
        execute(notebook, folder)
    write_text(arguments.out, nbformat.writes(notebook) + "\n")
    state = "not run" if arguments.no_run else "run"
    streams.line(f"{arguments.out}: {len(notebook.cells)} cells, {state}")
    streams.result({"out": arguments.out, "template": template.name, "cells": len(notebook.cells),
                    "executed": not arguments.no_run})


def list_templates(streams: Streams) -> None:
    known = templates().values()
    width = max(len(template.name) for template in known)
    for template in known:
        needs = f"  [{', '.join(template.needs)}]" if template.needs else ""
        streams.line(f"{template.name:<{width}}  {template.title}{needs}")
    streams.result({"templates": [{"name": t.name, "title": t.title, "needs": list(t.needs)} for t in known]})
