"""render RUN.h5 --out DIR: figures into files."""
from __future__ import annotations

import os
from dataclasses import asdict

from sparsescope.command_line import Parser, Streams, add_source_options, source_files
from sparsescope.errors import UnsupportedError, UsageError
from sparsescope.figures import FIGURES, SECTIONS
from sparsescope.figures.select import check_site, parse_query, parse_site
from sparsescope.files import refuse_existing
from sparsescope.render import FORMATS, RenderOptions, chosen_figures, missing_needs, outputs_of, render
from sparsescope.sources import open_sources


def run(argv: list[str]) -> None:
    parser = Parser(prog="render")
    if "--list" in argv:
        list_figures(Streams("--json" in argv))
        return
    add_source_options(parser)
    parser.add_argument("--figure", action="append", default=[])
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--columns", type=int, choices=(1, 2))
    parser.add_argument("--dpi", type=int, default=300)
    parser.add_argument("--site", default="")
    parser.add_argument("--fraction", type=float)
    parser.add_argument("--recall", type=float)
    parser.add_argument("--query", default="")
    arguments = parser.parse_args(argv)
    streams = Streams(arguments.json, arguments.quiet)
    options = RenderOptions(_formats(arguments.formats), arguments.columns, arguments.dpi,
                            parse_site(arguments.site), arguments.fraction, arguments.recall,
                            parse_query(arguments.query))
    _check_share("--fraction", options.fraction)
    _check_share("--recall", options.recall)
    specs = chosen_figures(arguments.figure)
    sources = open_sources(source_files(arguments))
    check_site(sources.profile, options.site)
    if arguments.figure:
        for spec in specs:  # what was asked for by name must be possible
            if lack := missing_needs(spec, sources):
                raise UnsupportedError(f"figure {spec.name} {lack}")
    if not arguments.out:
        raise UsageError("--out is required")
    drawable = [spec for spec in specs if not missing_needs(spec, sources)]
    refuse_existing((path for spec in drawable for path in outputs_of(spec, arguments.out, options)),
                    arguments.force)
    os.makedirs(arguments.out, exist_ok=True)
    done = []
    drawing = render(sources, specs, arguments.out, options, max(1, arguments.jobs), asked=bool(arguments.figure))
    for count, rendered in enumerate(drawing, 1):
        done.append(rendered)
        if rendered.skipped:
            streams.message(f"left out {rendered.name}: {rendered.skipped}")
        else:
            streams.message(f"figure {count} of {len(specs)}: {rendered.name}, {rendered.seconds:.1f} s")
    drawn = [rendered for rendered in done if not rendered.skipped]
    streams.line(f"{len(drawn)} figures in {arguments.out}; {len(done) - len(drawn)} left out")
    streams.result({"figures": [asdict(rendered) for rendered in done]})


def list_figures(streams: Streams) -> None:
    width = max(map(len, FIGURES))
    for section in SECTIONS:
        named = [spec for spec in FIGURES.values() if spec.section == section]
        if named:
            streams.line(f"{section}:")
        for spec in named:
            needs = f"  [{', '.join(spec.needs)}]" if spec.needs else ""
            streams.line(f"  {spec.name:<{width}}  {spec.question}{needs}")
    streams.result({"figures": [{"name": s.name, "section": s.section, "question": s.question,
                                 "needs": list(s.needs)} for s in FIGURES.values()]})


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    if not chosen or any(part not in FORMATS for part in chosen):
        raise UsageError(f"--formats: expected a list of {', '.join(FORMATS)}, found '{text}'")
    return chosen


def _check_share(option: str, value: float | None) -> None:
    if value is not None and not 0 < value < 1:
        raise UsageError(f"{option}: expected a number between 0 and 1, found {value:g}")
