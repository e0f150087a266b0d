"""Small reports by hand: 2 prompts, 2 steps, 4 layers, 2 heads."""
from __future__ import annotations

import numpy as np

from sparsescope.sources import Validation

PROMPTS = ["a ring", "a cross"]


def report(**more) -> dict:
    """Site s of prompt p: density, recall, rel_l2 as functions of its indices that loops can repeat."""
    sites = [{"prompt": p, "branch": b, "step": s, "layer": la, "head": h, "density": density(p, b, s, la, h),
              "recall": recall(p, b, s, la, h), "rel_l1": 0.1, "rel_l2": rel_l2(p, b, s, la, h),
              "cosine": 0.9}
             for p, b, s, la, h in np.ndindex(2, 2, 2, 4, 2)]
    return {"format": "sparsescope-report", "version": 1, "plan": "0" * 64, "prompts": PROMPTS,
            "sampling": {"seed": 0},
            "summary": summary(0.25), "sites": sites, **more}


def density(prompt: int, branch: int, step: int, layer: int, head: int) -> float:
    return 0.1 + 0.01 * prompt + 0.3 * branch + 0.02 * step + 0.05 * layer + 0.003 * head


def recall(prompt: int, branch: int, step: int, layer: int, head: int) -> float:
    return 0.9 - 0.02 * prompt - 0.3 * branch - 0.01 * step - 0.1 * layer - 0.03 * head


def rel_l2(prompt: int, branch: int, step: int, layer: int, head: int) -> float:
    return 0.05 + 0.01 * prompt + 0.3 * branch + 0.02 * step + 0.1 * (3 - layer) + 0.04 * head


def summary(kept: float, **more) -> dict:
    return {"density": kept, "speedup": 1 / (1.2 * kept), "output_rel_l2": 0.2, "output_rel_l2_low": 0.15,
            "output_rel_l2_high": 0.26, "psnr_latent": 30.0, "psnr_latent_low": 28.0,
            "psnr_latent_high": 32.0,
            "psnr_pixel": 24.0, "psnr_pixel_low": 20.0, "psnr_pixel_high": 28.0, "requirements": [], **more}


def clip(prompt: int, psnr: float, **more) -> dict:
    return {"prompt": prompt, "density": 0.25, "recall": 0.6, "rel_l2": 0.3, "output_rel_l2": 0.2,
            "latent_rel_l2": 0.25, "psnr_latent": psnr + 6, "ssim_latent": 0.8, "psnr_pixel": psnr,
            "ssim_pixel": 0.9, "speedup": 2.5, **more}


def removal(unit: str, errors: list[list[float]]) -> list[dict]:
    """errors [unit][prompt]; with one prompt there is no interval."""
    found = []
    for index, values in enumerate(errors):
        mean, spread = float(np.mean(values)), 0.1 if len(values) > 1 else None
        found.append({unit: index, "latent_rel_l2": mean, "density": 0.25, "of_prompt": values,
                      "latent_rel_l2_low": spread and mean - spread,
                      "latent_rel_l2_high": spread and mean + spread})
    return found


def validation(name: str = "run", method: str | None = "vsa", **more) -> Validation:
    return Validation(name, report(**more), {"method": method} if method else None)
