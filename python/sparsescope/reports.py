"""Validation reports as tables: a row a site, and a report's place on the figures' axes."""
from __future__ import annotations

import pandas as pd

from sparsescope.sources import Validation


def site_table(validation: Validation, branch: int | None = 0) -> pd.DataFrame:
    """The report's sites: their indices, density, recall, rel_l1, rel_l2, cosine. branch: one of them, or
    None for all."""
    table = pd.DataFrame(validation.report["sites"])
    return table if branch is None else table[table["branch"] == branch]


def head_means(validation: Validation, branch: int | None = 0) -> pd.DataFrame:
    """Means over prompts and steps of every head, indexed by (layer, head)."""
    table = site_table(validation, branch)
    return table.groupby(["layer", "head"])[["density", "recall", "rel_l1", "rel_l2", "cosine"]].mean()


def label(validation: Validation) -> str:
    """"VSA 0.25": method and measured density; the file's name where the plan was not given."""
    from sparsescope.figures.style import METHODS

    if validation.plan is None:
        return validation.name
    return f"{METHODS[validation.method][0]} {validation.report['summary']['density']:.2g}"


def in_order(validations: list[Validation]) -> list[Validation]:
    """By method, then by density."""
    order = ["vsa", "bsa", "vmoba", "dense"]
    return sorted(validations, key=lambda v: (order.index(v.method) if v.method in order else len(order),
                                              v.report["summary"]["density"], v.name))


def one_a_method(validations: list[Validation]) -> list[Validation]:
    """The sparsest report of each method; of those whose plan was not given, the first."""
    first: dict[str, Validation] = {}
    for validation in in_order(validations):
        first.setdefault(validation.method, validation)
    return list(first.values())
