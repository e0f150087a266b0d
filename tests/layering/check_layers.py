#!/usr/bin/env python3
"""Fails on includes that point up the page: a folder of src/ may include only itself and what stands
above it, kernels/ only src/core and itself, apps/ everything; LibTorch and HDF5 headers stay in their
places; headers of ours stay free of LibTorch.

    check_layers.py ROOT          checks the tree
    check_layers.py --self-test   checks that planted violations are caught
"""

import re
import sys
import tempfile
from pathlib import Path

# Data flows down this list. The kernels stand between model and capture.
LAYERS = ["core", "checkpoint", "model", "kernels", "plan", "capture", "sparse", "effects", "stats", "derive", "summary", "validate", "tune",
          "export", "report", "bench"]
SOURCES = {".h", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)

# Third-party headers and the folders whose sources may include them.
PLACES = {
    "LibTorch": (re.compile(r"^(torch|ATen|c10|caffe2)/"), {"model", "bench"}),
    "HDF5": (re.compile(r"^(hdf5|H5\w+)\.h$"), {"core", "stats"}),
    "Eigen": (re.compile(r"^(Eigen|unsupported/Eigen)/"), {"stats", "derive"}),
    "CUDA": (re.compile(r"^(cuda|cutlass|cute|cublas|cudnn)"), {"kernels"}),
    "CLI11": (re.compile(r"^CLI/"), {"apps"}),
}
NOT_IN_HEADERS = {"LibTorch"}


def layer_of(path):
    """The layer of a path relative to the root: "core" of src/core/x.h, "kernels", "apps"; or None."""
    parts = Path(path).parts
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else None
    return parts[0]


def allowed_layers(layer):
    if layer == "kernels":
        return {"core", "kernels"}
    if layer == "apps":
        return set(LAYERS) | {"apps"}
    return set(LAYERS[: LAYERS.index(layer) + 1])


def check_file(root, path):
    """Yields one message per forbidden include of the file."""
    relative = path.relative_to(root)
    layer = layer_of(relative)
    if layer not in LAYERS and layer != "apps":
        yield f"{relative}: no place in the list of layers ({', '.join(LAYERS)})"
        return
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        quote, target = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        where = f"{relative}:{line}"
        for library, (pattern, places) in PLACES.items():
            if not pattern.match(target):
                continue
            if layer not in places:
                yield f"{where}: {library} header {target} outside {', '.join(sorted(places))}"
            elif library in NOT_IN_HEADERS and path.suffix == ".h" and not is_private(root, path):
                yield f"{where}: {library} header {target} in a header that other folders include"
        head = target.split("/")[0]
        if quote == '"' and "/" in target and (head in LAYERS or head == "apps"):
            if head not in allowed_layers(layer):
                yield f"{where}: {layer} includes {target}, which stands below it"


def is_private(root, path):
    """A header that only sources of its own folder include."""
    relative = path.relative_to(root)
    target = relative.relative_to("src") if relative.parts[0] == "src" else relative
    return not any(
        layer_of(other.relative_to(root)) != layer_of(relative)
        and f'#include "{target}"' in other.read_text(encoding="utf-8")
        for other in sources(root)
    )


def sources(root):
    for folder in ("src", "kernels", "apps"):
        yield from (path for path in sorted((root / folder).rglob("*")) if path.suffix in SOURCES)


def check_tree(root):
    return [message for path in sources(root) for message in check_file(root, path)]


PLANTED = {
    "src/core/up.h": '#include "stats/profile.h"\n',
    "src/model/up.cpp": '  #  include "kernels/attention.h"\n',
    "kernels/cpu/model.cpp": '#include "model/attention_hook.h"\n',
    "kernels/torch.cpp": "#include <torch/torch.h>\n",
    "src/derive/hdf5.cpp": "#include <hdf5.h>\n",
    "src/capture/cuda.cpp": "#include <cuda_runtime.h>\n",
    "src/sparse/apps.cpp": '#include "apps/command.h"\n',
    "src/model/torch_in_header.h": "#include <ATen/ATen.h>\n",
    "src/unknown/file.cpp": "\n",
}
LEGAL = {
    "src/core/error.h": "#include <string>\n",
    "src/model/wan.cpp": '#include <torch/torch.h>\n#include "core/error.h"\n#include "wan_private.h"\n',
    "src/capture/hook.cpp": '#include "kernels/attention.h"\n#include "model/torch_in_header.h"\n',
    "kernels/attention.h": '#include "core/error.h"\n',
    "apps/main.cpp": '#include "validate/report.h"\n#include <CLI/CLI.hpp>\n',
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in {**PLANTED, **LEGAL}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        messages = check_tree(root)
    missed = [name for name in PLANTED if not any(m.startswith(name) for m in messages)]
    wrong = [m for m in messages if any(m.startswith(name + ":") for name in LEGAL)]
    for name in missed:
        print(f"self-test: the violation planted in {name} was not found")
    for message in wrong:
        print(f"self-test: a legal include was refused: {message}")
    return not missed and not wrong


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 0 if self_test() else 1
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    root = Path(sys.argv[1]).resolve()
    messages = check_tree(root)
    if not any(True for _ in sources(root)):
        messages.append(f"{root}: no sources found")
    print("\n".join(messages) or "every include points up the list of layers or stays at home")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
