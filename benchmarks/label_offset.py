"""How far labels lie beside what a network sees: AUC of its probability, moved by parts of a pixel.

    python -m benchmarks.label_offset RUN --data /path/to/drive --split train

A network trained on images turned and mirrored any way round can follow no constant offset of the labels; where moving
its probability up or down gains, there is one. Inside the field of view, all pixels together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.drive import field_of_view, probability_of
from edgeseg import metrics
from edgeseg.bundle import open_model
from edgeseg.data.dataset import read_pair
from edgeseg.data.select import select
from edgeseg.predictor import open_predictor

STEPS = (-0.5, -0.25, 0.25, 0.5)
MOVES = [(0.0, 0.0), *((0.0, step) for step in STEPS), *((step, 0.0) for step in STEPS)]


def moved(probability: NDArray[np.float32], right: float, down: float) -> NDArray[np.float32]:
    """The map moved by parts of a pixel (bicubic)."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = probability.shape[::-1]
    out = cv2.warpAffine(probability, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(out, 0, 1)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="train")
    args = parser.parse_args()
    source = open_model(args.run)
    counts = {move: np.zeros((2, metrics.POOL_BINS), np.int64) for move in MOVES}
    with open_predictor(source, "auto", "auto", device=0, threads=0) as predictor:
        for pair in select([args.data], args.split, args.split, source.manifest)[0].pairs:
            frame, truth = read_pair(pair)
            inside = field_of_view(pair, truth)
            probability = probability_of(frame, predictor.predict, source.spec, tile=False).max(0).astype(np.float32)
            if predictor.auc_from != "float":
                probability /= np.float32(255)
            for move in MOVES:
                counts[move] += np.stack(metrics.histograms(moved(probability, *move)[inside], truth[inside] > 0))
    print("right  down  AUC")
    for (right, down), (target, other) in counts.items():
        print(f"{right:5.2f} {down:5.2f}  {metrics.auc(target, other):.5f}")


if __name__ == "__main__":
    main()
