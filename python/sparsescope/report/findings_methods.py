"""What `summary` found about the premises of BSA, VSA and VMoBA."""
from __future__ import annotations

import math

from sparsescope.report.tables import measured, place, section, table, words


def premise_section(premise: dict, top: int) -> dict:
    cut = min(premise["cuts"], key=lambda line: abs(line["kappa"] - premise["kappa"]))
    moments = {moment["name"]: moment["mean"] for moment in premise["moments"]}
    sentences = [
        "BSA's cut-off takes a row's pooled scores to be normal. Here their skewness is "
        f"{words(moments['skewness'])} and "
        f"their excess kurtosis {words(moments['excess_kurtosis'])}; normal scores have 0 and 0.",
        f"Asked for kappa {cut['kappa']:g} it keeps {words(cut['density'])} of the pairs (normal rows of "
        "the same length: "
        f"{cut['gaussian_density']:.3f}); z would have to move by {words(cut['shift'])}."
    ]
    cuts = table(
        "The cut-off", [("kappa", 4), "pairs kept", "5 % of heads", "95 % of heads", "normal rows",
                        "shift of z", "foretold", "|shift|", "rest"],
        [[
            line["kappa"],
            measured(line["density"]), line["heads_5"], line["heads_95"], line["gaussian_density"],
            measured(line["shift"]), line["predicted_shift"], line["mean_size"], line["mean_rest"]
        ] for line in premise["cuts"]],
        "Shift: what z needs for the pairs kept to be kappa. Foretold: by skewness and kurtosis "
        "(Cornish-Fisher). "
        "Rest: mean |shift - foretold| over heads.")
    layers = table(f"By layer, kappa {premise['kappa']:g}",
                   [("layer", 0), "skewness", "excess kurtosis", "pairs kept", "shift of z"], [[
                       line["layer"], *(measured(line[key])
                                        for key in ("skewness", "excess_kurtosis", "density", "shift"))
                   ] for line in premise["layers"]])
    heads = premise["heads"]
    furthest = table("The heads furthest from normal",
                     ["head", "skewness", "excess kurtosis", "pairs kept", "shift of z", "foretold"], [[
                         place(head["layer"], head["head"]), head["skewness"], head["excess_kurtosis"],
                         head["density"], head["shift"], head["predicted_shift"]
                     ] for head in heads[:top]],
                     more=f"{top} of {len(heads)} heads" if len(heads) > top else "")
    return section("score_premise", "BSA's premise: normal scores", sentences, [cuts, layers, furthest])


def queries_section(premise: dict) -> dict:
    windows = premise["windows"]
    tile, small = windows[-1], windows[0]
    sentences = [
        f"The cosine of a row's query and its window's centre is {words(small['mean'])} in windows of "
        f"{small['window']} tokens "
        f"and {words(tile['mean'])} in a tile; random directions give 0.",
        f"Row overlap is {words(premise['row_overlap'])} (1: all rows of a tile attend alike); least, "
        f"{premise['least_overlap']:.3f}, in layer {premise['least_layer']}, head {premise['least_head']}."
    ]
    return section("query_premise", "Queries that resemble each other", sentences, [
        table("Windows",
              ["window t, h, w", "mean cosine", "chance", "least head", "its mean", "heads above 0.9"], [[
                  line["window"] + (" (tile)" if line["of_tile"] else ""),
                  measured(line["mean"]), 0.0,
                  place(line["least_layer"], line["least_head"]), line["least"], line["heads_alike"]
              ] for line in windows])
    ])


def errors_section(errors: dict, top: int) -> dict:
    first = errors["lines"][0]
    noise = 1.96 / math.sqrt(max(1, first["places"] - 1))
    sentences = [
        f"Over {first['places']} sites of {first['method']} ({first['setting']}), heads that miss more "
        "mass have the larger "
        f"error with a rank correlation of {words(first['missed_with_error'])}; 1 would be the same "
        "order, 0 is chance, and "
        f"independent values would stay within {noise:.3f} of it in 95 % of cases."
    ]
    lines = [line for line in errors["lines"] if not line["threshold"]]
    columns = [
        "method", "setting", "missed mass", "error", ("missed ~ error", 3, "rank_correlation"),
        "within layers", "error ~ effect", "missed ~ effect", "chance"
    ]
    keys = ("missed_mass", "error", "missed_with_error", "missed_with_error_within_layers",
            "error_with_effect", "missed_with_effect")
    heads = first["heads"]
    misled = table(
        f"The heads that recall misleads about most, {first['method']} at {first['setting']}",
        ["head", "missed mass", "its rank", "error", "its rank ", "recall makes it look"], [[
            place(head["layer"], head["head"]), head["missed_mass"], head["missed_rank"], head["error"],
            head["error_rank"], "worse" if head["missed_rank"] > head["error_rank"] else "better"
        ] for head in heads[:top]], "Ranks: 0 least, 1 most.",
        f"{top} of {len(heads)} heads" if len(heads) > top else "")
    return section("recall_errors", "Where recall misleads", sentences, [
        table("Rank correlations", columns,
              [[line["method"], line["setting"], *(measured(line[key]) for key in keys), 0.0]
               for line in lines]), misled
    ])


def partitions_section(rankings: list[dict], budget: float) -> dict:
    at_budget = [one for one in rankings if one["density"] == budget]
    if not at_budget:
        return section("partitions", "VMoBA's partitions",
                       [f"In some layer no measured partition goes as low as density {budget:g}."], [])
    sentences = [_ranking_words(one) for one in at_budget if one["rule"] == "top-k"]
    rows = []
    for ranking in at_budget:
        for name, cost in (("plain cycle", ranking["cycle"]), ("best cycle", ranking["schedule"])):
            if cost:
                rows.append([
                    ranking["rule"], ranking["judge"],
                    measured(ranking["best"]), name,
                    schedule_text(cost),
                    measured(cost["value"]),
                    measured(cost["lost"]),
                    measured(cost["extra_density"])
                ])
    cycles = table(
        f"Cycles at density {budget:g}", [
            "rule", "judged by", "best of each layer", "cycle", "1D/2D/3D", "value", "lost",
            "density to make up"
        ], rows,
        "Partitions are chosen on all prompts but one and judged on that one, in turn. A cycle reads "
        "1D/2D/3D layers "
        "of each turn and the shift of its start.")
    tables = [cycles]
    for ranking in at_budget:
        if ranking["rule"] == "top-k":
            tables.append(table(
                f"{ranking['judge'].capitalize()} of each partition, top-k at density {budget:g}",
                [("layer", 0), *ranking["partitions"], "best", "prompts agreeing", "agreeing by chance"],
                [[layer["layer"], *map(measured, layer["values"]), layer["best"], layer["prompts_agreeing"],
                  ranking["agreeing_chance"]] for layer in ranking["layers"]]))
    return section("partitions", "VMoBA's partitions", sentences, tables)


def _ranking_words(ranking: dict) -> str:
    kinds = {layer["best"] for layer in ranking["layers"] if layer["best"]}
    text = (f"Judged by {ranking['judge']}, " +
            (f"{kinds.pop()} is best in every layer" if len(kinds) == 1 else
             f"{len(kinds)} different partitions are best somewhere") + f" ({words(ranking['best'])})")
    if ranking["cycle"]:
        text += f"; the plain 1D-2D-3D cycle loses {words(ranking['cycle']['lost'])}"
    return text + "."


def schedule_text(cost: dict) -> str:
    names = " ".join(name for name in cost["partitions"] if name)
    return (
        f"{cost['temporal_layer']}/{cost['spatial_layer']}/{cost['st_layer']} from "
        f"{cost['first_full_layer']}: {names}"
    )
