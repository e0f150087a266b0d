"""How reports are told apart: those of a method by its colour and marker, those whose plan was not given by
colours of their own and their files' names."""
from __future__ import annotations

from matplotlib.lines import Line2D

from sparsescope.figures import style
from sparsescope.sources import Validation

_OTHERS = (style.PURPLE, style.SKY, style.YELLOW)


def report_looks(validations: list[Validation]) -> dict[str, tuple[str, str]]:
    """By a report's name: colour and marker."""
    unnamed = [validation.name for validation in validations if validation.plan is None]
    looks = {name: (_OTHERS[place % len(_OTHERS)], style.MARKERS[3 + place % 4])
             for place, name in enumerate(unnamed)}
    for validation in validations:
        if validation.plan is not None:
            _, colour, _, marker = style.METHODS[validation.method]
            looks[validation.name] = (colour, marker)
    return looks


def unnamed_handles(validations: list[Validation]) -> list[Line2D]:
    """Legend entries of the reports whose plan was not given."""
    looks = report_looks(validations)
    return [Line2D([], [], color=looks[validation.name][0], marker=looks[validation.name][1],
                   label=validation.name)
            for validation in validations if validation.plan is None]
