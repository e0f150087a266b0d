"""What every number and picture of the page means: a name, a unit, a sentence, and a definition."""
from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Term:
    name: str
    unit: str
    sentence: str  # what it shows, under the heading
    definition: str  # exactly, behind the "?"


TERMS: dict[str, Term] = {
    # Numbers of a head at a step.
    "needed_tile": Term(
        "Tiles needed, best per tile", "fraction of the tiles",
        "The least share of the key tiles that holds the chosen recall, if each query tile takes its "
        "best ones.",
        "The smallest kept fraction f at which coverage_tile reaches the recall, linear in log f between "
        "the measured fractions; the first measured fraction where the curve starts above it. Of each "
        "prompt by itself, then the mean over prompts."),
    "needed_pooled": Term(
        "Tiles needed, pooled scores", "fraction of the tiles",
        "The share of the key tiles that VSA's selector needs for the chosen recall.",
        "As for the best tiles, of coverage_pooled: tiles are ranked by the score between the means of "
        "their queries and keys."),
    "needed_row": Term(
        "Tiles needed, best per row", "fraction of the tiles",
        "The share of the key tiles that suffices if every query row chooses for itself.",
        "As for the best tiles, of coverage_row: no selection of whole tiles can do with less."),
    "entropy": Term(
        "Entropy", "nat",
        "How many keys a query spreads its attention over, as a logarithm.",
        "Mean over rows of -sum P ln P, where P is the row's attention; ln S (S tokens) if it is "
        "uniform."),
    "entropy_share": Term(
        "Entropy over ln S", "share of uniform",
        "Entropy relative to uniform attention: 1 is as diffuse as can be.",
        "Entropy divided by ln S, S the number of video tokens."),
    "row_overlap": Term(
        "Row overlap", "fraction",
        "How alike the rows of a tile attend: 1 means that they can share one list.",
        "Mean over rows of 1 - 0.5 * sum over key tiles of |m_r - M|: the row's mass on each key tile "
        "against its query tile's mean."),
    "query_cosine_mean": Term(
        "Query cosine, mean", "cosine",
        "How alike the queries of a tile are; random directions give 0.",
        "Mean of the cosine between a row's query and the query at its tile's centre, from the "
        "histogram's 64 bins."),
    "own_frame": Term(
        "Mass on the own frame", "probability",
        "Share of the attention that stays within the query's latent frame.",
        "Mean over latent frames of frame_mass[a, a]; uniform attention gives 1 / frames."),
    "sink_share": Term(
        "Sink share", "probability",
        "Attention that the heaviest 1 % of the key tiles receive together.",
        "Sum of key_mass over the ceil(N / 100) tiles with the most of it; uniform attention gives their "
        "share of the tiles."),
    "prefix_mass": Term(
        "Mass on text", "probability",
        "Share of the attention of video queries that goes to text keys.",
        "Mean over video rows of the probability on text keys."),
    "skewness": Term(
        "Score skewness", "",
        "Whether pooled scores lean to one side; normal scores have 0.",
        "Mean over query tiles of the population skewness of a row of pooled scores Z."),
    "kurtosis": Term(
        "Score excess kurtosis", "",
        "Whether pooled scores have heavy tails; normal scores have 0.",
        "Mean over query tiles of the population excess kurtosis of a row of pooled scores Z."),
    "error_quarter": Term(
        "Error at 1/4 of the tiles", "relative L2",
        "Error of the head's output when VSA keeps a quarter of the tiles.",
        "error_pooled at f = 1/4: |o - o'| / |o| of the head's output with only the best-scored quarter "
        "of the tiles kept, the softmax renormalised; measured on a few query tiles of each call."),
    "sensitivity": Term(
        "Sensitivity", "ratio",
        "How far an error of this head moves the model's output.",
        "Relative change of the model's output per unit of relative error of the head, along random "
        "directions pulled back through the model, on sampled steps."),
    # Pictures of a head.
    "coverage": Term(
        "Coverage", "attention mass",
        "Attention mass that the kept tiles hold, against the share of tiles kept.",
        "coverage_row: mean over rows of the sum of a row's K(f) largest tile masses. coverage_tile: the "
        "same for the K(f) heaviest tiles of each query tile, weighted by its rows. coverage_pooled: of "
        "the K(f) tiles with the best pooled scores, what VSA gets. K(f) = ceil(f N) of N tiles. Random "
        "choice keeps K(f) / N."),
    "distance": Term(
        "Attention against distance", "times uniform",
        "Attention at a distance in time, rows or columns, over what uniform attention puts there.",
        "mass_dt, mass_dh and mass_dw: mean over rows of the probability on keys at distance d along one "
        "axis, divided by the mean share of keys at that distance: 1 / n for d = 0, 2 (n - d) / n^2 "
        "beyond, n the axis' extent. 1 means that distance does not matter."),
    "frame_mass": Term(
        "Frame by frame", "times uniform",
        "How much the rows of one latent frame attend to each other latent frame.",
        "frame_mass[a, b] * T: mean over the rows of frame a of the probability on the keys of frame b, "
        "over the 1 / T of uniform attention; colours on a log scale from 1/10 to 10."),
    "entropy_steps": Term(
        "Entropy over steps", "nat",
        "How diffuse the head is as the noise goes; thin lines: the layer's other heads.",
        "Mean over rows of -sum P ln P at every step; the dotted line is ln S, uniform attention."),
    "query_cosine": Term(
        "Query cosine", "share of the rows",
        "How alike the queries of a tile are to the one at its centre.",
        "Histogram of cos(q_r, q_centre) in 64 bins over [-1, 1], over the rows of each tile except its "
        "centre."),
    "key_mass": Term(
        "Where attention lands", "times uniform",
        "Attention that each key tile receives from all queries, frame of tiles by frame of tiles.",
        "key_mass[j] * S / n_j: the share of all attention that tile j receives over its share of the "
        "tokens; colours on a log scale from 1/10 to 10."),
    "tile_map": Term(
        "Tile map", "times uniform",
        "Attention of every query tile on every key tile.",
        "Lift M[i, j] * S / n_j: the mean probability that rows of query tile i put on key tile j over "
        "the tile's share of the tokens; tiles are numbered t, h, w with w fastest; colours on a log "
        "scale from 1/100 to 100."),
    "vmoba": Term(
        "VMoBA's partitions", "recall",
        "Attention mass kept against pairs computed, for each partition of the grid.",
        "Recall and density over rows under VMoBA's selection: the k best blocks of each query and head "
        "(k counts the own block), or the blocks that a threshold tau keeps. temporal:n groups n whole "
        "frames (frame-local heads; Sparse-VideoGen's spatial), spatial:h,w groups one place over all "
        "frames (place-local; its temporal), st:t,h,w are cubes."),
    "vmoba_error": Term(
        "VMoBA's errors", "relative L2",
        "Error of the head's output against pairs computed, for each partition.",
        "|o - o'| / |o| of the head's output under VMoBA's selection, on a few query tiles of each call."),
    "bsa_cutoff": Term(
        "BSA's cut-off", "fraction",
        "Whether the Gaussian cut-off keeps the share that it is asked for.",
        "bsa_density and bsa_recall against kappa: scores above mean + sd * Phi^-1(1 - kappa) of their "
        "row are kept, the best always, all at kappa = 1. Normal scores put the density on the diagonal."),
    "errors": Term(
        "Errors", "relative L2",
        "Error of the head's output against pairs computed, for VSA and BSA.",
        "error_pooled, bsa_error (half of the queries restored from others) and bsa_error_unpruned: |o - "
        "o'| / |o| of the head's output, measured on a few query tiles of each call."),
    "effects": Term(
        "Effect on the model's output", "squared relative L2",
        "Change of the model's output when this head alone takes a setting.",
        "effect_pooled, bsa_effect, bsa_effect_unpruned: squared relative error of the transformer's "
        "output, first order in the head's output, from random directions; only at sampled steps."),
    # Pictures of a layer and of the model.
    "map_heads": Term(
        "Layer by head", "",
        "The chosen number for every head at this step; click or use the arrow keys to select one.",
        "Rows are self-attention layers in execution order, columns are heads. The colour range is that "
        "of all steps and branches, so that the step slider changes the cells alone."),
    "map_steps": Term(
        "Layer by step", "",
        "The chosen number's median over the heads of a layer, at every denoising step.",
        "Step 0 is the noisiest. Point at a cell for the 5 % and 95 % heads beside the median."),
    "layer_coverage": Term(
        "Coverage of all heads", "attention mass",
        "Mass of the best tiles of each query tile, a line a head; the thick line is the median head.",
        "coverage_tile of every head of the layer at this step; point at a line for its head, click to "
        "select it."),
    "layer_steps": Term(
        "Heads over steps", "",
        "The number of the heat map for every head of the layer, over the denoising steps.",
        "One line a head, the selected head thick; the statistic and the recall are those chosen on the "
        "left."),
    "layer_distance": Term(
        "Heads against distance in time", "times uniform",
        "How fast the attention of each head falls with the distance in latent frames.",
        "mass_dt over the share of keys at that distance, a line a head, the selected head thick."),
    "layer_errors": Term(
        "Errors of all heads", "relative L2",
        "Error of each head's output when VSA keeps that share of the tiles.",
        "error_pooled of every head of the layer: |o - o'| / |o| with only the best-scored K(f) tiles "
        "kept, on a few query tiles of each call."),
    # Plans, reports, sweeps.
    "plan_density": Term(
        "Plan: pairs computed", "density",
        "Share of query-key pairs that the plan computes; crosses mark dense heads.",
        "VSA: top_k over tiles; VMoBA's top-k: top_k over blocks; thresholds and BSA's cut-off: the "
        "profile's measured density at that setting (times query_keep for BSA). 1 where the plan leaves "
        "attention dense."),
    "plan_steps": Term(
        "Plan: layers over steps", "density",
        "Mean over the heads of a layer, at every step.",
        "The mean of the shares of the map of heads; steps that the plan leaves dense stand at 1."),
    "validation_error": Term(
        "Error by head", "relative L2",
        "Error of each head's output with the real sparse kernels, on held-out prompts.",
        "|o - o'| / |o| on the dense trajectory, mean over prompts, branches and steps."),
    "mass_error": Term(
        "Missed mass against error", "relative L2",
        "Where recall misleads: heads far from the trend.",
        "One point a head: 1 - recall against the relative L2 error of the head's output, means over "
        "prompts, branches and steps; Spearman's rank correlation of the two is printed."),
    "sweep_density": Term(
        "Error against density", "relative L2",
        "Error of the model's output at the pairs that were really computed.",
        "Relative L2 error of the transformer's output with the whole plan in force against measured "
        "density, one point a plan, bars: intervals over held-out prompts; random selections and each "
        "row's own best choice bound the methods."),
    "sweep_time": Term(
        "Error against time", "relative L2",
        "The same plans at the time that their attention took, selection included.",
        "Time of sparse attention with its selection over time of dense attention on the machine of the "
        "sweep; right of 1 sparsity costs time. The ring marks the knee: more time buys little from "
        "there on."),
    "costs": Term(
        "What kernels cost", "times dense",
        "Measured time of one attention call against density, selection included.",
        "Median time of selection and sparse kernel over the median time of the dense kernel, one line a "
        "kind of setting."),
    "videos": Term(
        "Dense and sparse", "",
        "The same prompt and noise, sampled with dense and with sparse attention.",
        "Decoded videos of `validate --videos`; the third picture is the absolute difference of the "
        "pixels, four times enlarged."),
    "removal": Term(
        "One layer or step alone", "relative L2",
        "Error of the final latents when only this layer, or step, runs sparse.",
        "Relative L2 of the final latents of a whole sampled video, all else dense; bars with intervals "
        "over prompts."),
    # Metrics of tables.
    "recall": Term(
        "Recall", "probability",
        "Attention mass that the computed pairs hold.",
        "Mean over query rows of the dense attention's probability on the kept keys; 1 for the full "
        "mask."),
    "density": Term(
        "Density", "fraction of the pairs",
        "Share of the query-key pairs that are computed.",
        "Computed query-key pairs over all pairs, of real tokens, not padded slots."),
    "rel_l2": Term(
        "Relative L2", "",
        "Error of a head's output.",
        "|o - o'| / |o|, o the dense output, in fp64."),
    "rel_l1": Term(
        "Relative L1", "",
        "Error of a head's output.",
        "sum |o - o'| / sum |o|, o the dense output."),
    "cosine": Term(
        "Cosine", "",
        "Direction of a head's output, blind to its size.",
        "Cosine of the flattened dense and sparse outputs of a head."),
    "output_rel_l2": Term(
        "Output relative L2", "",
        "Error of the whole transformer's output.",
        "|y - y'| / |y| at the dense trajectory's latent with the plan at every site; mean over prompts, "
        "branches and steps."),
    "psnr": Term(
        "PSNR", "dB",
        "How near the sparse video is to the dense one of the same seed.",
        "10 log10(R^2 / MSE); pixels: R = 1, values clipped; latents: R is the range of the dense "
        "latents."),
    "ssim": Term(
        "SSIM", "",
        "Structural likeness of the sparse and the dense video.",
        "Wang et al. 2004, 11 x 11 Gaussian window, mean over windows, channels and frames."),
    "speedup": Term(
        "Speed-up of attention", "times",
        "Dense over sparse time, selection included.",
        "Median time of dense attention of one forward over that of selection and sparse kernels."),
    "jaccard": Term(
        "Jaccard index", "",
        "Overlap of two sets: shared tiles over tiles in either.",
        "Chance is (K/N) / (2 - K/N) for two random sets of K of N tiles; above chance is (J - chance) / "
        "(1 - chance)."),
    "interval": Term(
        "Intervals", "",
        "The range beside a mean: how far it would move with other prompts.",
        "Prompts are the independent unit, never the sites of one prompt. Curves and maps: 95 % "
        "percentile bootstrap by prompt, or the span of the prompts where there are fewer than four. "
        "Findings and validation: 95 % by Student's t."),
    "rank_correlation": Term(
        "Rank correlation", "",
        "1: the same order; 0: chance; -1: the reverse order.",
        "Spearman's correlation over branch, step, layer and head."),
}


def terms() -> dict[str, dict]:
    return {key: asdict(term) for key, term in TERMS.items()}
