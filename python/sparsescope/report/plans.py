"""What a plan keeps at every step, layer and head, for the page."""
from __future__ import annotations

import numpy as np
import xarray as xr

from sparsescope.plans import DENSE, kept_density, rule_indices
from sparsescope.report.encode import pack
from sparsescope.report.tables import measured


def page_plan(name: str, plan: dict, profile: xr.Dataset) -> dict:
    """density [step, layer, head] (NaN where the profile cannot tell it), the setting in force at each place
    as an index into settings (0: dense), and the plan's own words."""
    rules = rule_indices(plan)
    settings = ["dense"]
    setting = np.zeros(rules.shape, dtype=np.uint16)
    for number in np.unique(rules[rules != DENSE]):
        text = setting_text(plan["method"], plan["rules"][number])
        if text not in settings:
            settings.append(text)
        setting[rules == number] = settings.index(text)
    same_grid = list(plan["grid"]) == [int(n) for n in profile.attrs["grid"]]
    return {"name": name, "method": plan["method"], "steps": plan["steps"], "layers": plan["model"]["layers"],
            "heads": plan["model"]["heads"], "settings": settings, "setting": pack(setting, "u2"),
            "density": pack(kept_density(plan, profile if same_grid else None)),
            "expected": {key: measured(value) for key, value in plan.get("expected", {}).items()},
            "facts": _facts(plan)}


def setting_text(method: str, rule: dict) -> str:
    if method == "vsa":
        choice = rule.get("choice", "pooled")
        return f"{rule['top_k']} tiles" + ("" if choice == "pooled" else f", {choice.replace('_', ' ')}")
    if method == "bsa":
        window = rule["window"] if rule["window"] == "none" else ",".join(map(str, rule["window"]))
        return (f"kappa {rule['kv_keep']:g}, queries {rule['query_keep']:g} of windows {window}, "
                f"at least {rule['min_blocks']} tiles")
    if rule["select"] == "topk":
        return f"{rule['partition']}, {rule['top_k']} blocks, pool {rule['pool']}"
    return f"{rule['partition']}, tau {rule['threshold']:g}, pool {rule['pool']}"


def _facts(plan: dict) -> list[list[str]]:
    """What was asked for, and where it comes from."""
    evidence = plan.get("evidence", {})
    derivation, basis = evidence.get("derivation", {}), evidence.get("measured_on", {})
    facts = [[
        "target", f"{derivation.get('target', 'not stated')}, per {derivation.get('per', 'not stated')}"
    ]]
    if basis:
        counts = (f"{basis[key]} {key}" for key in ("prompts", "branches", "steps") if key in basis)
        facts.append(["measured on", ", ".join(counts)])
    facts.append(["dense steps", ", ".join(map(str, plan["dense"]["steps"])) or "none"])
    facts.append(["dense layers", ", ".join(map(str, plan["dense"]["layers"])) or "none"])
    if "command_line" in evidence:
        facts.append(["command", evidence["command_line"]])
    return facts + [["remark", remark] for remark in derivation.get("remarks", [])]
