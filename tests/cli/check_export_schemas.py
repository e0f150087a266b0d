"""Exported JSON files as the program writes them, against data/schema/export_*.schema.json.

check_export_schemas.py PROGRAM DATA: exports hand-written plans to every JSON format, and judges
each file with jsonschema, which shares no code with the program's own readers. Each schema must
also refuse a damaged file. Python files that go with an export must define the same value. Without
jsonschema: exit 77, skipped.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import referencing
except ImportError:
    print("skipped: the Python module jsonschema is not installed for " + sys.executable)
    sys.exit(77)

PLAN = {
    "format": "sparsescope-plan", "version": 1,
    "model": {"family": "wan", "layers": 2, "heads": 2, "head_dim": 16, "checkpoint_hash": "c0ffee"},
    "steps": 4, "grid": [4, 8, 20], "tile": [4, 4, 4], "method": "vsa",
    "dense": {"steps": [], "layers": []},
    "rules": [{"steps": [0, 3], "layers": [0, 1], "heads": [0, 1], "top_k": 3}],
    "expected": {},
    "evidence": {"sampling": {"steps": 4, "guidance": 5, "scheduler": "unipc", "shift": 3, "seed": 0,
                              "grid": [4, 8, 20]}},
}
VMOBA_RULES = [
    {"steps": [0, 3], "layers": [0, 0], "heads": [0, 1], "partition": "temporal:2",
     "select": "topk", "top_k": 2, "pool": "query_head"},
    {"steps": [0, 3], "layers": [1, 1], "heads": [0, 1], "partition": "st:2,4,4",
     "select": "topk", "top_k": 5, "pool": "query_head"},
]
DAMAGE = {
    "fastvideo_vmoba": [lambda d: d.update(st_topk=0), lambda d: d.pop("moba_config"),
                        lambda d: d["moba_config"].update(extra=1),
                        lambda d: d.update(moba_threshold_type="block"),
                        lambda d: d["sparsescope"].pop("plan")],
    "modelopt_vsa": [lambda d: d["sparse_cfg"].pop("default"),
                     lambda d: d["sparse_cfg"]["*blocks.0.attn1*"].update(top_k_ratio=0)],
    "sglang_vsa": [lambda d: d.update(sparsity=1.1), lambda d: d.update(extra=1)],
    "sglang_cube": [lambda d: d["topk_ratio_list"].append(0), lambda d: d.pop("local_cube_size")],
    "lightx2v": [lambda d: d.pop("target_width"), lambda d: d.update(extra=1)],
    "provenance": [lambda d: d["plan"].update(sha256="x"), lambda d: d.update(version=2)],
    "sta": [lambda d: d.update({"0_0": [1, 1, 1]}), lambda d: d.update({"0_0_0": [1, 1, 1, 1]})],
}


class Schemas:
    def __init__(self, folder):
        self.schemas = {path.name: json.loads(path.read_text())
                        for path in folder.glob("export_*.schema.json")}
        self.registry = referencing.Registry().with_resources(
            (name, referencing.Resource.from_contents(schema))
            for name, schema in self.schemas.items())

    def check(self, name, document):
        schema = self.schemas[f"export_{name}.schema.json"]
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema, registry=self.registry)
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
        assert not errors, f"{name}: {errors}"
        for damage in DAMAGE[name]:
            broken = json.loads(json.dumps(document))
            damage(broken)
            assert not validator.is_valid(broken), f"{name}: the schema accepts a damaged file"


def export(program, folder, plan, name, *options):
    source, out = folder / f"{name}_plan.json", folder / f"{name}.json"
    source.write_text(json.dumps(plan))
    subprocess.run([str(program), "export", str(source), "--to", name, "--out", str(out), *options],
                   check=True, stdout=subprocess.DEVNULL)
    return json.loads(out.read_text())


def main(program, data):
    schemas = Schemas(pathlib.Path(data) / "schema")
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        vmoba = {**PLAN, "method": "vmoba", "rules": VMOBA_RULES}
        schemas.check("fastvideo_vmoba", export(program, folder, vmoba, "fastvideo-vmoba"))
        for name in ("sglang-vsa", "sglang-cube"):
            schemas.check(name.replace("-", "_"), export(program, folder, PLAN, name))
        schemas.check("lightx2v", export(program, folder, PLAN, "lightx2v", "--video", "13,128,320"))
        modelopt = export(program, folder, PLAN, "modelopt-vsa")
        schemas.check("modelopt_vsa", modelopt)
        schemas.check("provenance",
                      json.loads((folder / "modelopt-vsa.json.provenance.json").read_text()))
        defined = {}
        exec((folder / "modelopt-vsa.py").read_text(), defined)
        assert defined["SPARSE_CONFIG"] == modelopt

        export_h3 = folder / "h3.txt"
        subprocess.run([str(program), "export", str(folder / "sglang-vsa_plan.json"), "--to",
                        "fastvideo-vsa-h3", "--out", str(export_h3)], check=True,
                       stdout=subprocess.DEVNULL)
        exec((folder / "h3.py").read_text(), defined)
        assert defined["VSA_ARGUMENTS"]["vsa_dense_layers"] == []
    # A mask strategy needs a profile of one of three large grids: the documented example.
    schemas.check("sta", {"0_0_0": [5, 6, 10], "0_0_1": [5, 6, 10], "15_3_7": [3, 3, 5]})


if __name__ == "__main__":
    main(*sys.argv[1:])
