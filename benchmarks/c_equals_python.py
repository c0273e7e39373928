"""Does the C library give what Python gives? One bundle, many frames, both through OpenVINO.

    python -m benchmarks.c_equals_python BUNDLE FOLDER [COUNT [LIBRARY]]

Prints the worst difference of probability (grey levels) and how many masks differ at all.
"""

from __future__ import annotations

import argparse
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path, help="of frames, PNG or JPEG")
    parser.add_argument("count", type=int, nargs="?", default=200, help="of frames")
    parser.add_argument("library", type=Path, nargs="?", help="another libedgeseg than the one built here")
    words = parser.parse_args()
    path, folder = words.bundle, words.folder
    c = bindings()
    library = c.Library(words.library or c.BUILT)
    files = sorted(one for one in folder.iterdir() if one.suffix in {".png", ".jpg"})[: words.count]
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
