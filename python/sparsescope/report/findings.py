"""What `summary` found, in sentences and tables; chance stands beside every overlap and every share."""
from __future__ import annotations

from sparsescope.report.findings_methods import (errors_section, partitions_section, premise_section,
                                                 queries_section)
from sparsescope.report.tables import measured, place, section, table, words

TOP = 12  # heads in a table of the most pronounced ones: the page's own tables list all


def findings(summary: dict) -> list[dict]:
    """Sections in the order of `summary`'s own text; what the profile does not tell is not among them."""
    found, budget = summary["findings"], summary["budget"]
    sections = []
    if "key_facts" in found:
        sections.append(facts_section(found["key_facts"]))
    if "head_classes" in found:
        sections.append(classes_section(found["head_classes"]))
    for key in ("set_stability", "map_stability"):
        if key in found:
            sections.append(stability_section(key, found[key], budget))
    if "score_premise" in found:
        sections.append(premise_section(found["score_premise"], TOP))
    if "query_premise" in found:
        sections.append(queries_section(found["query_premise"]))
    if "recall_errors" in found:
        sections.append(errors_section(found["recall_errors"], TOP))
    if found.get("partitions"):
        sections.append(partitions_section(found["partitions"], budget))
    return sections


def facts_section(facts: dict) -> dict:
    lines, last = [], 0
    for line in facts["coverage"]:
        if line["kept"] != last:  # small grids: several fractions keep as many tiles
            lines.append(line)
        last = line["kept"]
    at = min(facts["coverage"], key=lambda line: abs(line["fraction"] - facts["budget"]))
    sinks = facts["sinks"]
    sentences = [
        f"{at['kept']} tiles of each query tile (a share of {at['chance']:.3f}, what random choice would "
        "hold) hold "
        f"{words(at['tile'])} of the attention if they are the best ones, and {words(at['pooled'])} if "
        "pooled scores choose. "
        f"Sharing one list in a tile costs {words(at['sharing'])}, ranking by pooled scores "
        f"{words(at['ranking'])}.",
        f"{_heaviest(sinks['kept'])} {words(sinks['share'])} of all attention "
        "(even attention: "
        f"{sinks['chance']:.3f}); tile {sinks['tile']} at {', '.join(map(str, sinks['place']))} (t, h, w) "
        "is the heaviest one "
        f"of {100 * sinks['heads']:.0f} % of the heads (chance {100 * sinks['heads_chance']:.1f} %)."
    ]
    tables = [
        table("Facts", ["fact", "mean", "5 % of heads", "95 % of heads", "unit"],
              [[fact["name"],
                measured(fact["mean"]), fact["heads_5"], fact["heads_95"], fact["unit"]]
               for fact in facts["facts"]], "Means over heads and sites."),
        table("Mass of the kept tiles",
              [("share f", 4), ("tiles", 0), "chance", "best per row", "best per tile", "pooled scores",
               "lost by sharing", "lost by ranking"], [[
                   line["fraction"], line["kept"], line["chance"],
                   *(measured(line[key]) for key in ("row", "tile", "pooled", "sharing", "ranking"))
               ] for line in lines]),
        table(f"By layer, coverages at f = {facts['budget']:g}", [
            ("layer", 0), "entropy / ln S", "best per row", "best per tile", "pooled scores", "row overlap"
        ], [[
            layer["layer"], *(measured(layer[key])
                              for key in ("entropy_over_ln_s", "coverage_row", "coverage_tile",
                                          "coverage_pooled", "row_overlap"))
        ] for layer in facts["layers"]]),
    ]
    axes = ("prompts", "branches", "steps", "heads", "layers")
    tables.append(
        table("What the numbers vary with", ["number", *axes],
              [[line["name"], *(line["deviation_along"][axis] for axis in axes)]
               for line in facts["spreads"]],
              "Standard deviation of one head's value along one axis, all else fixed."))
    return section("key_facts", "Key facts", sentences, tables)


CLASS_NAMES = {
    "spatial": "frame-local (spatial)",
    "temporal": "place-local (temporal)",
    "local_3d": "local in 3D",
    "global": "global",
    "sink": "sink",
    "none": "none of these"
}


def _heaviest(count: int) -> str:
    return "A head's heaviest key tile gets" if count == 1 else f"The {count} heaviest of a head's key tiles get"


def classes_section(classes: dict) -> dict:
    names = [name for name in CLASS_NAMES if name in classes["counts"]]
    heads = sorted(classes["heads"],
                   key=lambda head: -max(head[key] for key in ("spatial", "temporal", "local_3d", "sink")))
    first, last = classes["shares_by_step"][0], classes["shares_by_step"][-1]
    total = sum(classes["counts"].values())
    most = max(names, key=lambda name: classes["counts"][name])
    sentences = [
        f"{classes['counts'][most]} of {total} heads are {CLASS_NAMES[most]}; {classes['counts']['none']} "
        "fit no class. "
        f"{100 * classes['heads_changing']:.0f} % of the heads change class over the recorded steps.",
        f"A class is the neighbourhood that holds the most mass at {classes['budget']:g} of the pairs; by "
        "chance any holds "
        f"{classes['budget']:g}. Sparse-VideoGen's names stand in brackets; VMoBA's temporal partition "
        "serves frame-local "
        "heads, its spatial partition place-local ones."
    ]
    return section("head_classes", "Head classes", sentences, [
        table("Classes", ["class", ("heads", 0), "share of heads", "first step", "last step"], [[
            CLASS_NAMES[name], classes["counts"][name],
            measured(classes["shares"][name]),
            measured(first[name]),
            measured(last[name])
        ] for name in names]),
        table("The most pronounced heads", [
            "head", "class", "frame-local", "place-local", "local 3D", "sink", "chance", "prompts agreeing"
        ], [[
            place(head["layer"], head["head"]), CLASS_NAMES[head["class"]], head["spatial"],
            head["temporal"], head["local_3d"], head["sink"], classes["budget"], head["prompts_agreeing"]
        ] for head in heads[:TOP]],
              more=_more(len(heads)))
    ])


def stability_section(key: str, found: dict, budget: float) -> dict:
    maps = key == "map_stability"
    title = "Stability of each query tile's key tiles" if maps else "Stability of a head's key tiles"
    overlaps = found["overlaps"]
    if not overlaps:
        return section(key, title, ["One step, one prompt, one branch: no two sets to compare."], [])
    nearest = min((abs(line["fraction"] - budget) for line in overlaps))
    sentences = [
        f"Between {line['between']} the {line['kept']} heaviest key tiles overlap by "
        f"{words(line['jaccard'])} "
        f"(Jaccard index; chance {line['chance']:.3f}; {words(line['excess'])} above chance)."
        for line in overlaps if abs(line["fraction"] - budget) == nearest
    ]
    rows = [[line["between"], line["fraction"], line["kept"], line["chance"], measured(line["jaccard"]),
             measured(line["excess"]), *_ends(line["by_layer"])] for line in overlaps]
    what = "of each query tile's row of the tile map" if maps else "with the most key_mass"
    return section(key, title, sentences, [
        table("Overlaps", [
            "between", ("share f", 4), ("tiles", 0), "chance",
            ("Jaccard index", 3, "jaccard"), "above chance", "least layer", "most layer"
        ], rows, f"Jaccard index of the K heaviest key tiles {what}.")
    ])


def _ends(layers: list[dict]) -> list[float | None]:
    known = [layer["mean"] for layer in layers if layer["mean"] is not None]
    return [min(known), max(known)] if known else [None, None]


def _more(count: int) -> str:
    return f"{TOP} of {count} heads" if count > TOP else ""
