"""Draws the picture of README.md from a profile: where the attention of a head goes, how much of it a
sparse selection keeps, and where in the model there is room.

    python python/readme_picture.py RUN.h5 docs/profile.png

Needs h5py and matplotlib. The profile must hold maps (sparsescope profile --maps ...).
"""
import sys

import h5py
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np

RECALL = 0.9
INK = "#333333"
BLUE, ORANGE = "#0072B2", "#D55E00"  # Okabe-Ito: distinct for colour-blind readers


def fraction_for_recall(curve, fractions, recall):
    """Smallest kept fraction at which the coverage reaches recall; linear in log f, as the curves are.

    curve [..., f] -> [...]
    """
    log_f = np.log(fractions)
    flat = curve.reshape(-1, curve.shape[-1])
    found = [np.exp(np.interp(recall, row, log_f)) for row in flat]
    return np.reshape(found, curve.shape[:-1])


def draw_map(figure, axes, profile, name, head):
    mass = profile["maps"][name][head]  # [query tile, key tile]
    tiles = profile["stats/key_mass"].shape[-1]
    lift = np.log10(np.clip(mass * tiles, 0.01, 100))
    image = axes.imshow(lift, cmap="cividis", vmin=-2, vmax=2, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, ticks=[-2, -1, 0, 1, 2])
    bar.ax.set_yticklabels(["1/100", "1/10", "uniform", "10 x", "100 x"])
    axes.set_xlabel("key tile")
    axes.set_ylabel("query tile")


def draw_curves(axes, profile, step, layer, heads):
    fractions = profile["f"][:]
    for head, colour, label in heads:
        for statistic, style, kind in (
            ("coverage_row", ":", "best per row"),
            ("coverage_tile", "--", "best per tile"),
            ("coverage_pooled", "-", "pooled scores"),
        ):
            curve = profile["stats"][statistic][:, 0, step, layer, head].mean(axis=0)
            axes.plot(fractions, curve, style, color=colour, lw=1.6, label=f"{label}, {kind}")
    axes.plot(fractions, fractions, color="#999999", lw=1, label="random choice")
    axes.set_xscale("log", base=2)
    axes.set_xticks([1 / 64, 1 / 16, 1 / 4, 1])
    axes.set_xticklabels(["1/64", "1/16", "1/4", "1"])
    axes.set_xlabel("tiles kept (fraction)")
    axes.set_ylabel("attention mass kept")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.12))


def draw_room(figure, axes, profile):
    curve = profile["stats/coverage_tile"][:, 0].mean(axis=0)  # [step, layer, head, f]
    needed = fraction_for_recall(curve, profile["f"][:], RECALL)
    needed = needed.transpose(1, 2, 0).reshape(-1, needed.shape[0])  # [layer * head, step]
    image = axes.imshow(needed, cmap="cividis_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    heads = curve.shape[2]
    axes.set_yticks(np.arange(curve.shape[1]) * heads + (heads - 1) / 2)
    axes.set_yticklabels(range(curve.shape[1]))
    for layer in range(1, curve.shape[1]):
        axes.axhline(layer * heads - 0.5, color="white", lw=0.8)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    axes.set_xlabel("denoising step")
    axes.set_ylabel(f"layer ({heads} heads each)")
    figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)


def main(profile_path, picture_path):
    with h5py.File(profile_path) as profile:
        name = sorted(profile["maps"])[0]
        step = int(name.split("_s")[1].split("_")[0])
        pooled = profile["stats/coverage_pooled"][:, 0, step].mean(axis=0)  # [layer, head, f]
        quarter = int(np.argmin(abs(profile["f"][:] - 0.25)))
        layer, local = np.unravel_index(np.argmax(pooled[:, :, quarter]), pooled.shape[:2])
        diffuse = int(np.argmin(pooled[layer, :, quarter]))

        plt.rcParams.update({"font.size": 9, "text.color": INK, "axes.labelcolor": INK})
        figure, axes = plt.subplots(1, 3, figsize=(12, 3.7), layout="constrained")
        draw_map(figure, axes[0], profile, f"p0_b0_s{step}_l{layer}", local)
        axes[0].set_title(f"Where layer {layer}, head {local} looks (step {step})", fontsize=10)
        heads = [(local, BLUE, f"head {local}"), (diffuse, ORANGE, f"head {diffuse}")]
        draw_curves(axes[1], profile, step, layer, heads)
        axes[1].set_title(f"What a selection keeps (layer {layer}, step {step})", fontsize=10)
        draw_room(figure, axes[2], profile)
        axes[2].set_title(f"Fraction of tiles needed for {RECALL:.0%} of the mass", fontsize=10)
        figure.savefig(picture_path, dpi=130)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
