"""Every figure on tiny-wan's files: it is drawn, its layout holds, its numbers and caption explain
themselves. What the numbers are is tested beside each figure's own file."""
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from layout import problems
from matplotlib.backends.backend_agg import FigureCanvasAgg

from sparsescope.figures import FIGURES, columns
from sparsescope.figures.columns import COLUMNS
from sparsescope.render import RenderOptions, draw, missing_needs


@pytest.fixture(scope="module", params=list(FIGURES))
def drawn(request, sources):
    spec = FIGURES[request.param]
    lack = missing_needs(spec, sources)
    assert not lack
    figure, result = draw(spec, sources, RenderOptions())
    FigureCanvasAgg(figure)
    return figure, result


def test_layout(drawn):
    assert problems(drawn[0]) == []


def test_numbers_are_explained(drawn):
    table = drawn[1].table
    assert len(table) > 0
    if table.index.name is None:  # a matrix explains its axes by their names
        assert [name for name in table.columns if name not in COLUMNS] == []
    else:
        assert table.index.name in COLUMNS and table.columns.name in COLUMNS


def test_caption_says_what_and_where(drawn):
    caption = drawn[1].caption
    assert "tiny-wan" in caption.lower() and caption.endswith(".") and "nan" not in caption.lower().split()
    assert "  " not in caption and ".." not in caption.replace("...", "")


def test_axes_are_labelled(drawn):
    for axes in drawn[0].axes:
        if axes.axison and (axes.lines or axes.collections or axes.images) and axes.get_label() != "<colorbar>":
            named = axes.get_xlabel() or axes.get_title() or axes.get_ylabel() or axes.get_shared_x_axes() \
                .get_siblings(axes)
            assert named


def test_some_data_is_drawn(drawn):
    numbers = drawn[1].table.select_dtypes("number").to_numpy()
    assert np.isfinite(numbers).any()


def test_no_column_is_explained_twice():
    source = Path(columns.__file__).read_text(encoding="utf-8")
    names = re.findall(r'^    "(\w+)": \(', source, re.MULTILINE)
    assert len(names) == len(set(names)) == len(COLUMNS)
