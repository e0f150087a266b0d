"""Whether videos of sparse attention are like those of dense attention, clip by clip."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparsescope.figures import style
from sparsescope.figures.captions import caption
from sparsescope.figures.registry import Drawn, figure
from sparsescope.figures.report_style import report_looks
from sparsescope.reports import in_order, label
from sparsescope.sources import Validation


@dataclass(frozen=True)
class Metric:
    """guards and typical: published values for videos; none are known for latents."""

    name: str  # of a clip
    title: str
    guards: tuple[float, ...] = ()
    typical: tuple[float, float] | None = None


METRICS = (
    Metric("psnr_pixel", "PSNR, pixels (dB)", (24.0,), (26.0, 31.0)),
    Metric("ssim_pixel", "SSIM, pixels", (0.92,)),
    Metric("lpips_alex", "LPIPS (Alex)", (0.30, 0.55)),
    Metric("psnr_latent", "PSNR, latents (dB)"),
    Metric("ssim_latent", "SSIM, latents"),
)
# What the lines and the band are; of metrics that no clip has, that they are left out.
MEANINGS = {
    "psnr_pixel": "24 dB and SSIM 0.92 (dashed): the guard of SGLang's approximate modes; band: 26 to 31 dB, "
                  "typical of published sparse settings",
    "lpips_alex": "LPIPS below 0.30: same trajectory, above 0.55: diverged (TensorRT-LLM)",
}


@figure("quality-bands", "error", "Is it lossless, similar or different?", needs=("clips",), panels=True,
        columns=2, height=2.9)
def quality_bands(figure: Figure, profile: xr.Dataset, *, validations: list[Validation]) -> Drawn:
    """PSNR and SSIM of every clip, a column a report, lines through the same clip; with published bands."""
    shown = in_order([v for v in validations if v.report.get("clips")])
    metrics = [m for m in METRICS if any(clip.get(m.name) is not None for v in shown
                                         for clip in v.report["clips"])]
    panels = style.panel_grid(figure, len(metrics), len(metrics), narrow=2, sharex=True).flat[:len(metrics)]
    rows, spreads, looks = [], [], report_looks(shown)
    for axes, metric in zip(panels, metrics):
        values = clip_table(shown, metric.name)
        _bands(axes, metric)
        for same_prompts in _paired(shown):
            axes.plot(same_prompts, values.iloc[same_prompts].to_numpy(), color=style.QUIET, linewidth=0.5,
                      alpha=0.6)
        for place, validation in enumerate(shown):
            clips = values.iloc[place].dropna().to_numpy()
            colour, marker = looks[validation.name]
            axes.plot([place] * len(clips), clips, linestyle="none", marker=marker, color=colour,
                      markersize=3,
                      markeredgewidth=0, alpha=0.75)
            axes.plot([place - 0.25, place + 0.25], [clips.mean()] * 2, color=style.INK, linewidth=1.2)
            if metric is metrics[0]:
                spreads.append(f"{label(validation)} {clips.min():.3g} to {clips.max():.3g}")
            rows += [{"report": validation.name, "metric": metric.name, "prompt": prompt, "value": value}
                     for prompt, value in values.iloc[place].dropna().items()]
        axes.set_title(metric.title)
        axes.set_xticks(range(len(shown)), [label(v) for v in shown], rotation=90)
        axes.set_xlim(-0.5, len(shown) - 0.5)
        axes.grid(axis="x", visible=False)
    return Drawn(pd.DataFrame(rows), caption(
        profile, "Likeness of each sampled clip to the clip that dense attention samples from the same "
        "noise; a column a report, named by its method and density", rows=False, notes=(
            "short lines: means; grey lines join the same clip, since clips differ more than settings",
            *(MEANINGS.get(metric.name, "") for metric in metrics),
            "" if any(metric.name == "lpips_alex" for metric in metrics) else "LPIPS was not measured",
            f"spread of {metrics[0].title} over clips: {', '.join(spreads)}")))


def clip_table(shown: list[Validation], metric: str) -> pd.DataFrame:
    """A row a report, a column a prompt; NaN where a report lacks the clip."""
    return pd.DataFrame([{clip["prompt"]: clip.get(metric) for clip in v.report["clips"]} for v in shown],
                        dtype=np.float64)


def _paired(shown: list[Validation]) -> list[list[int]]:
    """Columns of reports on the same prompts with the same noise, whose clips are the same."""
    groups: dict[tuple, list[int]] = {}
    for place, validation in enumerate(shown):
        key = (tuple(validation.report["prompts"]), str(validation.report["sampling"]))
        groups.setdefault(key, []).append(place)
    return [places for places in groups.values() if len(places) > 1]


def _bands(axes: Axes, metric: Metric) -> None:
    for guard in metric.guards:
        axes.axhline(guard, color=style.ORANGE, linewidth=0.9, linestyle="--")
    if metric.typical:
        axes.axhspan(*metric.typical, color=style.SKY, alpha=0.2, linewidth=0)
