"""The Python code of the pages that users read runs as it stands, in order, on a profile of tiny-wan."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = DOCS.parent / "notebooks_export"
PAGES = [DOCS / "reading-a-profile.md", NOTEBOOKS / "README.md"]


def code_of(page: Path) -> str:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    return "\n".join(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_runs(page, data, tmp_path, monkeypatch, capsys):
    for file in data.iterdir():
        if file.is_file():
            (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    exec(compile(code_of(page), str(page), "exec"), {"__name__": "page"})  # noqa: S102
    assert capsys.readouterr().out


def test_every_column_is_in_the_readme():
    from sparsescope.figures.columns import COLUMNS

    page = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
    for name, (unit, meaning) in COLUMNS.items():
        assert f"| `{name}` | {unit or '-'} | " in page, "scripts/gallery.sh writes the table anew"


def test_every_figure_is_in_the_gallery_with_a_picture():
    from sparsescope.figures import FIGURES

    page = (DOCS / "figures.md").read_text(encoding="utf-8")
    for name, spec in FIGURES.items():
        assert f"### `{name}`\n\n*{spec.question}*" in page, "scripts/gallery.sh writes the page anew"
        assert f"![{name}](figures/{name}.png)" in page or spec.needs
    pictures = {path.stem for path in (DOCS / "figures").glob("*.png")}
    assert pictures == set(re.findall(r"!\[([^\]]+)\]\(figures/", page))
