"""What no figure may do: texts that collide or leave the paper, a legend that lies on data, a line that
nobody can tell from another."""
from __future__ import annotations

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

SLACK = 1.0  # pixels at 150 dpi


def visible_texts(figure: Figure) -> list[tuple[str, Bbox]]:
    renderer = figure.canvas.get_renderer()
    found, undrawn = [], _ticks_out_of_view(figure)
    for artist in figure.findobj(Text):
        if isinstance(artist, Annotation) or not artist.get_text().strip() or not _shown(artist):
            continue
        if id(artist) in undrawn:
            continue
        box = artist.get_window_extent(renderer)
        if box.width > 0 and box.height > 0:
            found.append((artist.get_text(), box))
    return found


def _ticks_out_of_view(figure: Figure) -> set[int]:
    """Ids of the labels of ticks beyond an axis' limits: they exist and are not drawn."""
    found = set()
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - slack <= tick.get_loc() <= high + slack:
                found |= {id(tick.label1), id(tick.label2)}
    return found


def _shown(artist) -> bool:
    if not artist.get_visible() or artist.get_alpha() == 0:
        return False
    axes = getattr(artist, "axes", None)
    return axes is None or axes.get_visible()


def colliding_texts(figure: Figure) -> list[str]:
    """Pairs of texts whose boxes overlap."""
    texts = [(text, box) for text, box in visible_texts(figure)]
    problems = []
    for i, (first, a) in enumerate(texts):
        for second, b in texts[i + 1:]:
            width = min(a.x1, b.x1) - max(a.x0, b.x0)
            height = min(a.y1, b.y1) - max(a.y0, b.y0)
            if width > SLACK and height > SLACK:
                problems.append(f"'{first}' and '{second}' overlap by {width:.0f} x {height:.0f} pixels")
    return problems


def texts_off_paper(figure: Figure) -> list[str]:
    paper = figure.bbox
    return [f"'{text}' leaves the paper" for text, box in visible_texts(figure)
            if box.x0 < -SLACK or box.y0 < -SLACK or box.x1 > paper.x1 + SLACK or box.y1 > paper.y1 + SLACK]


def legends_on_data(figure: Figure) -> list[str]:
    """Legends of axes under which a line or a point of these axes lies."""
    renderer = figure.canvas.get_renderer()
    problems = []
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is None:
            continue
        box = legend.get_window_extent(renderer).padded(-SLACK)
        if not box.overlaps(axes.get_window_extent(renderer)):
            continue
        for line in axes.lines:
            points = line.get_transform().transform(np.column_stack(line.get_data()).astype(float))
            dense = [points]
            if line.get_linestyle() not in ("None", "", " ") and len(points) > 1:
                steps = np.linspace(0, 1, 20)[:, None, None]
                dense = (points[:-1] * (1 - steps) + points[1:] * steps).reshape(-1, 2)
            if box.count_contains(np.reshape(dense, (-1, 2))):
                problems.append(f"the legend of '{axes.get_ylabel()}' lies on line '{line.get_label()}'")
        for cloud in axes.collections:
            offsets = cloud.get_offset_transform().transform(cloud.get_offsets())
            if len(offsets) and box.count_contains(offsets):
                problems.append(f"the legend of '{axes.get_ylabel()}' lies on points")
    return problems


def problems(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return colliding_texts(figure) + texts_off_paper(figure) + legends_on_data(figure)
