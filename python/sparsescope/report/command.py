"""report RUN.h5 --out FILE.html: the interactive page."""
from __future__ import annotations

from sparsescope.command_line import Parser, Streams, add_source_options, source_files
from sparsescope.errors import UsageError
from sparsescope.files import expect_folder, refuse_existing, write_text
from sparsescope.profile import model_name
from sparsescope.report.data import report_data
from sparsescope.report.page import html_page
from sparsescope.sources import open_sources


def run(argv: list[str]) -> None:
    parser = Parser(prog="report")
    add_source_options(parser)
    arguments = parser.parse_args(argv)
    streams = Streams(arguments.json, arguments.quiet)
    if not arguments.out:
        raise UsageError("--out is required")
    expect_folder(arguments.out)
    refuse_existing([arguments.out], arguments.force)
    sources = open_sources(source_files(arguments))
    content = report_data(sources)
    page = html_page(content, f"{model_name(sources.profile) or 'captured q, k and v'}: attention profile")
    write_text(arguments.out, page)
    for note in content["left_out"]:
        streams.message(f"left out: {note}")
    streams.line(f"{arguments.out}: {len(page.encode()) / 1e6:.1f} MB")
    streams.result({"file": arguments.out, "bytes": len(page.encode()), "left_out": content["left_out"]})
