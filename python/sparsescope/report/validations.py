"""Validation reports, reduced to what tables and pictures show."""
from __future__ import annotations

import pandas as pd

from sparsescope.report.encode import finite
from sparsescope.reports import site_table
from sparsescope.sources import Validation
from sparsescope.statistics import rank_correlation

METRICS = ("density", "recall", "rel_l1", "rel_l2", "cosine")
SUMMARY = ("density", "recall", "rel_l2", "rel_l1", "cosine", "output_rel_l2", "psnr_latent", "ssim_latent",
           "psnr_pixel", "ssim_pixel", "speedup", "time_dense_ms", "time_sparse_ms", "time_selection_ms")
INFINITE = 1e299  # the report writes 1e300 for an error over a dense output of zero


def page_validation(validation: Validation) -> dict:
    report, summary = validation.report, validation.report["summary"]
    heads = head_means(validation)
    missed, errors = 1 - heads["recall"], heads["rel_l2"]
    heads = heads.assign(missed=missed, missed_rank=_ranks(missed), error_rank=_ranks(errors))
    heads["misleads"] = heads["error_rank"] - heads["missed_rank"]
    known = errors.notna()
    return {"name": validation.name, "method": validation.method, "prompts": report["prompts"],
            "summary": {key: [_known(summary, key), _known(summary, f"{key}_low"), _known(summary, f"{key}_high")]
                        for key in SUMMARY if key in summary},
            "requirements": summary["requirements"],
            "heads": [_head(*place, values) for place, values in zip(heads.index, heads.to_dict("records"))],
            "correlation": finite(rank_correlation(missed[known], errors[known])),
            "clips": report.get("clips", []), "removal": report.get("removal", {})}


def _known(summary: dict, key: str) -> float | None:
    return None if summary.get(key) is None else finite(summary[key])


def _ranks(values: pd.Series) -> pd.Series:
    """0 the least, 1 the most, equal ones share theirs."""
    return (values.rank() - 1) / max(1, values.count() - 1)


def _head(layer: int, head: int, values: dict) -> dict:
    counts = {key: int(values.pop(key)) for key in ("sites", "infinite")}
    return {"layer": int(layer), "head": int(head), **counts, **{key: finite(value) for key, value in values.items()}}


def head_means(validation: Validation) -> pd.DataFrame:
    """By (layer, head): means over prompts, branches and steps, and the number of sites; infinite errors
    are left out of the mean and counted."""
    sites = site_table(validation, branch=None).set_index(["layer", "head"])[list(METRICS)]
    known = sites.where(sites.abs() < INFINITE)
    heads = known.groupby(level=["layer", "head"])
    return heads.mean().assign(sites=heads.size(), infinite=known.isna().any(axis=1).groupby(level=[0, 1]).sum())
