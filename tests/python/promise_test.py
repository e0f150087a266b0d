"""What a plan's settings promise by a profile's curves: by hand, and as the program itself derived it."""
from __future__ import annotations

import json

import numpy as np
import pytest
from made_profile import FRACTIONS, TAUS, make_profile

from sparsescope.errors import UsageError
from sparsescope.grid import TileGrid
from sparsescope.promise import interpolate, misfit, promised_recall

SIZES = {"prompt": 1, "branch": 1, "step": 2, "layer": 2, "head": 2}
SHAPE = tuple(SIZES.values())
GRID, TILE = (4, 4, 4), (2, 2, 2)  # 8 tiles: K(f) = 1 up to 1/8, 2 to 1/4, 3 at 3/8, 4, 6, 8
COVERAGE = np.array([.4, .4, .4, .4, .4, .4, .5, .5, .55, .6, .8, .95])
TEXT = 0.1


def plan_of(method: str, *rules: dict, grid=GRID, dense_steps=(), dense_layers=()) -> dict:
    everywhere = {"steps": [0, 1], "layers": [0, 1], "heads": [0, 1]}
    return {"method": method, "steps": 2, "model": {"layers": 2, "heads": 2}, "grid": list(grid),
            "tile": list(TILE), "rules": [everywhere | rule for rule in rules],
            "dense": {"steps": list(dense_steps), "layers": list(dense_layers)}}


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    def everywhere(curve):
        return np.broadcast_to(curve, (*SHAPE, *np.shape(curve))).copy()

    tau_curve = np.stack([TAUS * scale for scale in (0.8, 0.6, 0.4, 0.2)])  # [pool, tau]
    coverage = everywhere(COVERAGE)
    coverage[..., 1, 1, :] /= 2  # layer 1, head 1
    return make_profile(
        tmp_path_factory.mktemp("promise") / "run.h5", TileGrid(GRID, TILE), SIZES,
        {"coverage_pooled": (("f",), coverage), "coverage_row": (("f",), everywhere(COVERAGE ** 0.5)),
         "bsa_recall": (("kappa",), everywhere(FRACTIONS * 0.9)),
         "prefix_mass": ((), everywhere(np.array(TEXT)))},
        vmoba={"st:2,2,2": {"recall_topk": (("k",), everywhere(np.array([.3, .5, .7, .9]))),
                            "recall_tau": (("pool", "tau"), everywhere(tau_curve))}})


def test_vsa_is_linear_between_measured_counts_and_adds_text(curves):
    promised = promised_recall(curves, plan_of("vsa", {"top_k": 5}))
    # K = 4 holds .6, K = 6 holds .8
    assert promised[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.7)
    assert promised[0, 0, 0, 1, 1] == pytest.approx(TEXT + 0.35)
    everything = promised_recall(curves, plan_of("vsa", {"top_k": 8}))
    assert everything[0, 0, 0, 0, 0] == 1  # .95 and text: never above 1


def test_vsa_of_another_grid_keeps_the_same_share(curves):
    promised = promised_recall(curves, plan_of("vsa", {"top_k": 10}, grid=(8, 4, 4)))  # 10 of 16 tiles
    assert promised[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.7)
    half_a_tile = promised_recall(curves, plan_of("vsa", {"top_k": 1}, grid=(8, 4, 4)))
    assert half_a_tile[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.2)  # from no tile mass at K = 0


def test_other_choices_of_tiles(curves):
    oracle = promised_recall(curves, plan_of("vsa", {"top_k": 4, "choice": "row_oracle"}))
    chance = promised_recall(curves, plan_of("vsa", {"top_k": 4, "choice": "random"}))
    assert oracle[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.6 ** 0.5)
    assert chance[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.9 * 4 / 8)


def test_bsa_is_linear_in_kappa_and_holds_its_best_tiles(curves):
    def setting(kappa, blocks):
        return {"query_keep": 0.5, "window": [2, 2, 2], "kv_keep": kappa, "min_blocks": blocks}

    promised = promised_recall(curves, plan_of("bsa", setting(0.6, 1)))
    assert promised[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.54)
    raised = promised_recall(curves, plan_of("bsa", setting(0.3125, 4)))
    # Both neighbours, 1/4 and 3/8, are raised to what the 4 best tiles hold.
    assert raised[0, 0, 0, 0, 0] == pytest.approx(TEXT + 0.6)


def test_vmoba_reads_the_partition_pool_and_threshold(curves):
    top = {"partition": "st:2,2,2", "select": "topk", "pool": "query_head", "top_k": 3}
    tau = {"partition": "st:2,2,2", "select": "threshold", "pool": "block", "threshold": 0.275}
    assert promised_recall(curves, plan_of("vmoba", top))[0, 0, 1, 0, 0] == pytest.approx(TEXT + 0.7)
    assert promised_recall(curves, plan_of("vmoba", tau))[0, 0, 1, 0, 0] == pytest.approx(TEXT + 0.275 * 0.4)


def test_later_rules_override_and_dense_sites_recall_everything(curves):
    plan = plan_of("vsa", {"top_k": 4}, {"top_k": 6, "heads": [1, 1]}, {"top_k": 1, "layers": [1, 1]},
                   dense_steps=[1])
    promised = promised_recall(curves, plan)[0, 0]  # [step, layer, head]
    assert promised[0] == pytest.approx(np.array([[TEXT + 0.6, TEXT + 0.8], [TEXT + 0.4, TEXT + 0.2]]))
    assert (promised[1] == 1).all()
    none = promised_recall(curves, plan_of("vsa", dense_layers=[0]))
    assert (none == 1).all()


def test_plans_that_do_not_fit_are_refused(curves):
    plan = plan_of("vsa", {"top_k": 4}) | {"steps": 5}
    assert "5 steps" in misfit(curves, plan)
    with pytest.raises(UsageError, match="5 steps"):
        promised_recall(curves, plan)
    unknown = plan_of("vmoba", {"partition": "temporal:1", "select": "topk", "pool": "query_head",
                                "top_k": 1})
    assert "temporal:1" in misfit(curves, unknown)


def test_interpolation_ends_flat():
    knots, values = np.array([0.0, 1.0, 3.0]), np.array([[1.0, 2.0, 6.0]])
    found = [float(interpolate(knots, values, x)[0]) for x in (-1, 0, 0.5, 1, 2, 3, 9)]
    assert found == [1, 1, 1.5, 2, 4, 6, 6]


def test_promise_is_what_the_program_derived(data, profile):
    plans = [json.loads(path.read_text()) for path in sorted(data.glob("plan-*.json"))]
    assert {plan["method"] for plan in plans} >= {"vsa", "bsa", "vmoba"}
    for plan in plans:
        promised = promised_recall(profile, plan)
        of_prompt = promised.mean(axis=(1, 2, 3, 4))  # all sites of this profile are recorded
        assert of_prompt == pytest.approx(plan["evidence"]["derivation"]["recall_of_prompt"], abs=1e-12)
        assert of_prompt.mean() == pytest.approx(plan["expected"]["recall"]["mean"], abs=1e-12)
