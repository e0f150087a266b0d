#!/usr/bin/env python3
"""Fails where two headers give one name to two types of one namespace: each program would keep one of their
implicit functions, and the other type would be destroyed by it.

    check_names.py ROOT          checks the tree
    check_names.py --self-test   checks that a planted pair is caught
"""

import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

NAMESPACE = re.compile(r"^namespace (sparsescope[\w:]*) \{", re.MULTILINE)
TYPE = re.compile(r"^(?:struct|class|enum class) (\w+)\b[^;{]*\{", re.MULTILINE)
FOLDERS = ("src", "kernels", "apps")


def types_of(path):
    """(namespace, name) of every type that the header defines at the top of its namespace."""
    text = path.read_text(encoding="utf-8")
    found = NAMESPACE.search(text)
    return {(found.group(1), name) for name in TYPE.findall(text)} if found else set()


def check_tree(root):
    headers = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".h", ".cuh"}:
                for key in types_of(path):
                    headers[key].append(str(path.relative_to(root)))
    return [
        f"{namespace}::{name} is defined in {' and '.join(paths)}"
        for (namespace, name), paths in sorted(headers.items())
        if len(paths) > 1
    ]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, body in {
            "src/a/one.h": "namespace sparsescope {\nstruct Layout {\n  int x;\n};\nclass Other;\n}\n",
            "src/b/two.h": "namespace sparsescope {\nclass Layout : public Base {\n};\nclass Other {\n};\n}\n",
            "kernels/cuda/three.h": "namespace sparsescope::cuda {\nstruct Layout {\n};\n}\n",
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(body, encoding="utf-8")
        messages = check_tree(root)
    return messages == ["sparsescope::Layout is defined in src/a/one.h and src/b/two.h"]


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 0 if self_test() else 1
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    messages = check_tree(Path(sys.argv[1]).resolve())
    print("\n".join(messages) or "every type has a name of its own")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
