"""Plans, reports, summaries and costs as the program writes them, against data/schema/*.schema.json.

check_schemas.py PROGRAM DATA: profiles a small checkpoint, derives and validates a plan of every
method, and judges each file by the published schema with jsonschema, which shares no code with the
program's own reader. Each schema must also refuse a damaged file, so that it cannot pass by saying
nothing. Without jsonschema: exit 77, skipped.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("skipped: the Python module jsonschema is not installed for " + sys.executable)
    sys.exit(77)

SIZE = ["--grid", "2,4,4", "--tile", "2,2,2", "--steps", "1"]
# Two prompts, so that the report has intervals.
HELDOUT = "a blue ring moving still on plain\na blue disc moving left on plain\n"
METHODS = ("vsa", "bsa", "vmoba")
# Whose rules name a choice of tiles.
BASELINES = ("random", "oracle")


def run(*arguments):
    subprocess.run([str(argument) for argument in arguments], check=True, stdout=subprocess.DEVNULL)


def validator(path):
    schema = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check(schema, path, damage):
    document = json.loads(path.read_text())
    errors = [f"{error.json_path}: {error.message}" for error in schema.iter_errors(document)]
    assert not errors, f"{path.name}: {errors}"
    for change in damage:
        broken = json.loads(path.read_text())
        change(broken)
        assert not schema.is_valid(broken), f"{path.name}: the schema accepts a damaged file"


PLAN_DAMAGE = [
    lambda plan: plan["evidence"]["sampling"].update(guidance="5"),
    lambda plan: plan["evidence"]["prompts"].append(1),
    lambda plan: plan["rules"].append({"steps": [0, 0]}),
    lambda plan: plan.update(extra=1),
]
COSTS_DAMAGE = [
    lambda costs: costs["series"][0]["points"].clear(),
    lambda costs: costs["series"][0].update(partition="st:1,2,2"),
    lambda costs: costs["machine"].pop("cpu"),
    lambda costs: costs.update(dense_ms=0),
    lambda costs: costs["shape"].pop("tile"),
]
REPORT_DAMAGE = [
    lambda report: report["sampling"].pop("shift"),
    lambda report: report["summary"].update(density_high=1.1),
    lambda report: report["summary"].update(rel_l2_low=-0.1),
    lambda report: report["summary"].update(cosine_low=-1.1),
    lambda report: report["sites"][0].update(branch=2),
    lambda report: report["clips"][0].pop("speedup"),
    lambda report: report["clips"][0].pop("ssim_pixel"),
    lambda report: report["clips"][0].update(latent_rel_l2=-0.1),
    lambda report: report["removal"].clear(),
    lambda report: report["removal"]["layers"][0].pop("latent_rel_l2_low"),
    lambda report: report["removal"]["layers"][0]["of_prompt"].append("0.1"),
    lambda report: report["removal"]["steps"].clear(),
]
SUMMARY_DAMAGE = [
    lambda summary: summary["findings"].update(extra=1),
    lambda summary: summary["findings"]["key_facts"].pop("sinks"),
    lambda summary: summary["findings"]["set_stability"]["overlaps"][0].update(chance=1.1),
    lambda summary: summary["findings"]["partitions"][0]["best"].update(mean="0.5"),
    lambda summary: summary["missing"].append("maps"),
]


def main(program, data):
    schemas = pathlib.Path(data) / "schema"
    plan_schema = validator(schemas / "plan.schema.json")
    report_schema = validator(schemas / "report.schema.json")
    summary_schema = validator(schemas / "summary.schema.json")
    checkpoint = pathlib.Path(data) / "tiny-wan"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "prompts.txt").write_text("a yellow diamond moving right on plain\n")
        (folder / "heldout.txt").write_text(HELDOUT)
        run(program, "profile", checkpoint, "--prompts", folder / "prompts.txt", *SIZE,
            "--out", folder / "run.h5")
        with open(folder / "summary.json", "w", encoding="utf-8") as summary:
            subprocess.run([program, "summary", folder / "run.h5", "--json"], check=True,
                           stdout=summary)
        check(summary_schema, folder / "summary.json", SUMMARY_DAMAGE)
        for method in METHODS:
            plan, report = folder / f"{method}.json", folder / f"{method}_report.json"
            run(program, "derive", folder / "run.h5", "--method", method, "--target", "recall=0.8",
                "--out", plan)
            check(plan_schema, plan, PLAN_DAMAGE)
            run(program, "validate", checkpoint, "--plan", plan, "--prompts",
                folder / "heldout.txt", "--require", "density<=1", "--removal", "layers,steps",
                "--out", report)
            check(report_schema, report, REPORT_DAMAGE)
        costs, plan = folder / "costs.json", folder / "timed.json"
        run(program, "bench", "costs", "--profile", folder / "run.h5", "--repeats", "1", "--out",
            costs)
        check(validator(schemas / "costs.schema.json"), costs, COSTS_DAMAGE)
        # Nothing costs anything, so that everything pays.
        free = json.loads(costs.read_text())
        for series in free["series"]:
            for point in series["points"]:
                point.update(selection_ms=0, kernel_ms=0, spread_ms=0)
        costs.write_text(json.dumps(free))
        run(program, "derive", folder / "run.h5", "--method", "vsa", "--target", "speedup=2",
            "--costs", costs, "--out", plan)
        check(plan_schema, plan,
              PLAN_DAMAGE + [lambda plan: plan["expected"]["speedup"].update(low=-1)])
        for baseline in BASELINES:
            plan = folder / f"{baseline}.json"
            run(program, "derive", folder / "run.h5", "--method", "vsa", "--target", "density=0.5",
                "--baseline", baseline, "--out", plan)
            check(plan_schema, plan, PLAN_DAMAGE + [lambda plan: plan["rules"][0].update(choice=1)])


if __name__ == "__main__":
    main(*sys.argv[1:])
