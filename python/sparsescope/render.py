"""Draws figures into files: SVG, PDF, PNG at print size, the drawn numbers as CSV, the caption as text.

The same files give the same bytes. Figures are drawn in parallel, each in a process of its own.
"""
from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from time import perf_counter

import pandas as pd

from sparsescope.errors import UnsupportedError, UsageError
from sparsescope.figures import FIGURES, Drawn, FigureSpec, style
from sparsescope.figures.select import default_site, kept_site
from sparsescope.files import write_atomically, write_text
from sparsescope.films import write_gif, write_mp4
from sparsescope.sources import NEEDS, SourceFiles, Sources, open_sources

FORMATS = ("svg", "pdf", "png")
# No dates: the same profile gives the same bytes.
_METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


@dataclass(frozen=True)
class RenderOptions:
    formats: tuple[str, ...] = FORMATS
    columns: int | None = None  # each figure's own
    dpi: int = 300
    site: dict[str, int] = field(default_factory=dict)
    fraction: float | None = None
    recall: float | None = None
    query: tuple[int, int, int] | None = None  # (t, h, w) of a token


@dataclass
class Rendered:
    """A figure's files, or why it was left out."""

    name: str
    files: list[str] = field(default_factory=list)
    caption: str = ""
    seconds: float = 0.0
    skipped: str = ""


def missing_needs(spec: FigureSpec, sources: Sources) -> str:
    """What a figure lacks and how to get it; empty where it can be drawn."""
    return sources.lacking(("statistics", *spec.needs))


def chosen_figures(names: list[str] | None) -> list[FigureSpec]:
    for name in names or []:
        if name not in FIGURES:
            raise UsageError(f"--figure {name}: no such figure; known: {', '.join(FIGURES)}")
    return [FIGURES[name] for name in names] if names else list(FIGURES.values())


def draw(spec: FigureSpec, sources: Sources, options: RenderOptions):
    """-> (matplotlib Figure, Drawn), drawn inside the style."""
    columns = options.columns or spec.columns
    with style.context(columns):
        paper = style.new_figure(columns, spec.height_for(sources.profile))
        target = paper if spec.panels else paper.subplots()
        drawn = spec.draw(target, sources.profile, **_arguments(spec, sources, options))
        paper.draw_without_rendering()  # the layout is settled while the style holds
    return paper, drawn


def source_names(spec: FigureSpec, sources: Sources) -> list[str]:
    """The files beside the profile that a figure's signature asks for, of those that were given."""
    accepted = inspect.signature(spec.draw).parameters
    return [name for name in NEEDS if name in accepted and getattr(sources, name, None) is not None]


def _arguments(spec: FigureSpec, sources: Sources, options: RenderOptions) -> dict:
    """What a figure's signature asks for, of sources and options."""
    accepted = inspect.signature(spec.draw).parameters
    arguments = {name: getattr(sources, name) for name in source_names(spec, sources)}
    for name in ("fraction", "recall", "query"):
        if name in accepted and getattr(options, name) is not None:
            arguments[name] = getattr(options, name)
    if "site" in accepted and options.site:
        kinds = tuple(name for need in spec.needs for name in need.split("|") if name in ("maps", "qkv"))
        arguments["site"] = kept_site(sources.profile, kinds, **options.site)[0] if kinds \
            else default_site(sources.profile, **options.site)
    return arguments


def outputs_of(spec: FigureSpec, out: str, options: RenderOptions) -> list[str]:
    """The files that every figure writes; films come on top."""
    return [os.path.join(out, f"{spec.name}.{ending}") for ending in (*options.formats, "csv", "txt")]


def render_one(spec: FigureSpec, sources: Sources, out: str, options: RenderOptions) -> Rendered:
    started = perf_counter()
    paper, drawn = draw(spec, sources, options)
    result = Rendered(spec.name, outputs_of(spec, out, options), drawn.caption)
    with style.context(options.columns or spec.columns):
        for path, ending in zip(result.files, options.formats):
            write_atomically(path, lambda temporary, ending=ending: paper.savefig(
                temporary, format=ending, dpi=options.dpi, metadata=_METADATA[ending]))
    write_csv(os.path.join(out, f"{spec.name}.csv"), drawn.table)
    write_text(os.path.join(out, f"{spec.name}.txt"), drawn.caption + "\n")
    result.files += write_films(spec.name, drawn, out)
    result.seconds = perf_counter() - started
    return result


def write_csv(path: str, table: pd.DataFrame) -> None:
    """Seven digits: more than fp32 statistics hold. A matrix keeps its named index."""
    write_text(path, csv_text(table.reset_index() if table.index.name is not None else table))


def csv_text(table: pd.DataFrame) -> str:
    """As pandas writes it, but tables of numbers alone several times faster: a map of 1,440 tiles has 2
    million."""
    kinds = {dtype.kind for dtype in table.dtypes}
    if not kinds <= set("iuf"):
        return table.to_csv(index=False, float_format="%.7g", lineterminator="\n")
    line = ",".join("%.7g" if dtype.kind == "f" else "%d" for dtype in table.dtypes)
    columns = [table.iloc[:, i].tolist() for i in range(table.shape[1])]
    lines = [",".join(map(str, table.columns)), *((line % row).replace("nan", "") for row in zip(*columns))]
    return "\n".join(lines) + "\n"


def write_films(name: str, drawn: Drawn, out: str) -> list[str]:
    files = []
    for film, frames in drawn.films.items():
        for ending, write in (("gif", write_gif), ("mp4", write_mp4)):
            path = os.path.join(out, f"{name}-{film}.{ending}")
            write_atomically(path, lambda temporary, write=write: write(temporary, frames))
            files.append(path)
    return files


_worker: tuple[Sources, str, RenderOptions] | None = None


def _start_worker(files: SourceFiles, out: str, options: RenderOptions) -> None:
    global _worker  # one process draws one figure at a time, from files that it opened itself
    _worker = open_sources(files), out, options


def _work(name: str, asked: bool) -> Rendered:
    return _render_or_skip(FIGURES[name], *_worker, asked)


def _render_or_skip(spec: FigureSpec, sources: Sources, out: str, options: RenderOptions,
                    asked: bool) -> Rendered:
    """One figure that finds its site missing must not end a run over all of them."""
    try:
        return render_one(spec, sources, out, options)
    except (UsageError, UnsupportedError) as error:
        if asked:
            raise
        return Rendered(spec.name, skipped=str(error))


def render(sources: Sources, specs: list[FigureSpec], out: str, options: RenderOptions, jobs: int,
           asked: bool = False) -> Iterator[Rendered]:
    """Draws what the sources allow, and says of the rest what it lacks, each as soon as it is done. asked:
    the figures were named, so that one which cannot be drawn is an error."""
    ready = []
    for spec in specs:
        lack = missing_needs(spec, sources)
        if lack:
            yield Rendered(spec.name, skipped=lack)
        else:
            ready.append(spec)
    if jobs == 1 or len(ready) <= 1:
        for spec in ready:
            yield _render_or_skip(spec, sources, out, options, asked)
        return
    # Processes of their own: HDF5 handles do not survive a fork.
    with ProcessPoolExecutor(min(jobs, len(ready)), mp_context=get_context("spawn"),
                             initializer=_start_worker, initargs=(sources.files, out, options)) as pool:
        futures = [pool.submit(_work, spec.name, asked) for spec in ready]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            for future in futures:
                future.cancel()
