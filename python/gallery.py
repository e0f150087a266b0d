"""Writes docs/figures.md, the gallery of all figures, and the table of CSV columns in
notebooks_export/README.md: scripts/gallery.sh makes the files that they are drawn from.

    python python/gallery.py DATA DOCS COLUMNS_PAGE
"""
import io
import sys
from pathlib import Path

from PIL import Image

from sparsescope.figures import FIGURES, SECTIONS, FigureSpec
from sparsescope.figures.columns import COLUMNS
from sparsescope.files import write_atomically, write_text
from sparsescope.render import RenderOptions, draw, missing_needs
from sparsescope.sources import Sources, files_in, need_text, open_sources

DPI = 130  # of the pictures on the page; what render writes is sharper
COLOURS = 128
TITLES = {
    "maps": "Where heads look", "curves": "How sparse heads can be", "structure": "What the attention is made of",
    "queries": "How alike queries are", "stability": "What stays the same", "methods": "Methods and plans",
    "error": "Error, quality, time",
}
BEGIN, END = "<!-- columns -->\n", "<!-- end of columns -->\n"


def write_picture(spec: FigureSpec, sources: Sources, path: Path) -> str:
    """A small PNG; returns the caption."""
    paper, drawn = draw(spec, sources, RenderOptions())
    buffer = io.BytesIO()
    paper.savefig(buffer, format="png", dpi=DPI)
    picture = Image.open(buffer).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    write_atomically(str(path), lambda temporary: picture.save(temporary, format="PNG", optimize=True))
    return drawn.caption


def entry(spec: FigureSpec, sources: Sources, pictures: Path) -> str:
    lines = [f"### `{spec.name}`", "", f"*{spec.question}*", ""]
    lack = missing_needs(spec, sources)
    if lack:
        lines += [f"No picture here: {lack}.", ""]
        return "\n".join(lines)
    caption = write_picture(spec, sources, pictures / f"{spec.name}.png")
    lines += [f"![{spec.name}](figures/{spec.name}.png)", "", caption, ""]
    if spec.needs:
        lines += ["Needs " + "; ".join(map(need_text, spec.needs)) + ".", ""]
    return "\n".join(lines)


def gallery(sources: Sources, docs: Path) -> str:
    pictures = docs / "figures"
    pictures.mkdir(exist_ok=True)
    page = ["# Figures", "",
            f"All {len(FIGURES)} figures of `sparsescope render`, on `data/tiny-wan`; this page is written by "
            "`scripts/gallery.sh`. Each comes as SVG, PDF and PNG, with its numbers (CSV) and its caption (the text "
            "below each picture). `render --list` names them; `--site`, `--fraction` and `--recall` choose what they "
            "show. In Python: `sparsescope.figures.NAME(axes, profile)` (`notebooks_export/README.md`).", ""]
    for section in SECTIONS:
        page += [f"## {TITLES[section]}", ""]
        page += [entry(spec, sources, pictures) for spec in FIGURES.values() if spec.section == section]
    return "\n".join(page).rstrip() + "\n"


def escaped(text: str) -> str:
    """For a cell of a Markdown table."""
    return text.replace("|", "\\|")


def columns_table() -> str:
    rows = ["| column | unit | meaning |", "| --- | --- | --- |"]
    for name, (unit, meaning) in sorted(COLUMNS.items()):
        rows.append(f"| `{name}` | {unit or '-'} | {escaped(meaning)} |")
    return "\n".join(rows) + "\n"


def with_columns(page: str) -> str:
    before, rest = page.split(BEGIN)
    return before + BEGIN + columns_table() + END + rest.split(END)[1]


def main() -> None:
    data, docs, columns_page = map(Path, sys.argv[1:])
    write_text(str(docs / "figures.md"), gallery(open_sources(files_in(data)), docs))
    write_text(str(columns_page), with_columns(columns_page.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
