"""Does the C library give what Python gives? One bundle, many frames, both through OpenVINO.

Usage: PYTHONPATH=. python benchmarks/c_equals_python.py BUNDLE FOLDER [FRAMES [LIBRARY]]
Prints the worst difference of probability (grey levels) and how many masks differ at all.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from edgeseg import bundle

ROOT = Path(__file__).parents[1]


def bindings() -> ModuleType:
    """The ctypes module of the tests."""
    spec = importlib.util.spec_from_file_location("edgeseg_c", ROOT / "tests" / "runtime" / "conftest.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/runtime/conftest.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules["edgeseg_c"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Compares and prints one line a graph."""
    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    c = bindings()
    library = c.Library(Path(sys.argv[4]) if len(sys.argv) > 4 else c.BUILT)
    files = sorted(one for one in folder.iterdir() if one.suffix in {".png", ".jpg"})[:count]
    source = bundle.open_bundle(path)
    for precision, number in (("fp32", 1), ("int8", 4)):
        if not any(graph.precision == precision for graph in source.manifest.graphs):
            continue
        worst = differing = dark = 0
        states: dict[int, int] = {}
        session = library.open(path, backend=2, precision=number, threads=2)
        with source.load("openvino", precision, threads=2) as model:
            for file in files:
                frame = cv2.imread(str(file))
                result = model(frame)
                roi = session.content(frame) if source.spec.frame.fit.region == "content" else None
                out = session.run(frame, roi=roi)
                states[out.signal] = states.get(out.signal, 0) + 1
                difference = np.abs(out.probability.astype(int) - result.probability).max()
                worst = max(worst, int(difference))
                differing += int(not np.array_equal(out.mask, result.mask))
                dark += int(not result.mask.any())
        name = session.info.engine.decode()
        print(f"{name}: {len(files)} frames of {folder}, worst probability difference {worst} grey levels,")
        print(f"  {differing} masks differ ({dark} are empty), signal states {states}")
        session.close()


if __name__ == "__main__":
    main()
