"""The population stability index of real frames against the training frames of a bundle.

    python -m benchmarks.drift DATA [--model npnet-polyp]

DATA holds cvc_clinicdb, kvasir_seg, isic2017, drive and video. Prints a Markdown table: the PSI of each set as a
whole, and of windows that hold some of its sequences, as a stream would.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from edgeseg import fit, steps
from edgeseg.bundle import open_model, require_manifest
from edgeseg.manifest import Frame
from edgeseg.stream.drift import histogram, psi
from edgeseg.stream.sources import open_source

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def histograms(images: Iterable[Image], spec: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """One row per frame, of the fitted frame."""
    rows = []
    for image in images:
        box = fit.content_box(image, spec.fit.content_level) if spec.fit.region == "content" else None
        placement = fit.place(*image.shape[:2], spec, box)
        rows.append(histogram(steps.network_input(image, placement, spec)))
    return np.array(rows)


def split(folder: Path, name: str) -> list[Path]:
    """The images that a split file lists."""
    stems = (folder / f"{name}.txt").read_text().split()
    return [next((folder / "images").glob(f"{stem}.*")) for stem in stems]


def read(paths: Iterable[Path]) -> Iterable[Image]:
    """Images, one after the other."""
    return (cv2.imread(str(path)) for path in paths)


def clip(path: Path) -> Iterable[Image]:
    """Every fifth frame, as the live pipeline looks at them."""
    source = open_source(str(path))
    yield from (frame.image for frame in source if frame.sequence % 5 == 0)
    source.close()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="npnet-polyp")
    words = parser.parse_args()
    data: Path = words.data
    manifest = require_manifest(open_model(words.model))
    spec, said = manifest.frame, manifest.input_statistics
    if said is None:
        raise SystemExit(f"{words.model} has no input_statistics")
    expected = np.asarray(said.histogram)
    print(f"psi_warn {said.psi_warn}, {said.frames} frames of {said.split}\n\n| frames | PSI |\n|---|---|")
    sets = {
        "CVC-ClinicDB train (train_seq)": read(split(data / "cvc_clinicdb", "train_seq")),
        "CVC-ClinicDB test (test_seq)": read(split(data / "cvc_clinicdb", "test_seq")),
        "Kvasir-SEG train": read(split(data / "kvasir_seg", "train")),
        "Kvasir-SEG val": read(split(data / "kvasir_seg", "val")),
        "Kvasir-SEG test": read(split(data / "kvasir_seg", "test")),
        "colonoscopy clip, 53 frames": clip(data / "video" / "colonoscopy_polyp_53f.mp4"),
        "laparoscopy clip, 250 frames": clip(data / "video" / "laparoscopy_720p_250f.mp4"),
        "ISIC 2017 test (skin)": read(split(data / "isic2017", "test")),
        "DRIVE test (fundus)": read(split(data / "drive", "test")),
    }
    for name, images in sets.items():
        print(f"| {name} | {psi(histograms(images, spec).mean(0), expected):.3f} |", flush=True)
    each = sequences(data / "cvc_clinicdb", spec)
    rng = np.random.default_rng(0)
    print(f"\n| CVC sequences in the window, of {len(each)} | PSI median | largest | at or above {said.psi_warn} |")
    print("|---|---|---|---|")
    for number in (1, 3, 5, 10, 20):
        draws = (
            [each] if number == 1 else [each[rng.permutation(len(each))[:number]].mean(0)[None] for _ in range(1000)]
        )
        values = [psi(row, expected) for row in np.concatenate(draws)]
        share = np.mean([value >= said.psi_warn for value in values])
        print(f"| {number} | {np.median(values):.3f} | {max(values):.3f} | {100 * share:.1f} % |")


def sequences(folder: Path, spec: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The mean histogram of each sequence of CVC-ClinicDB."""
    with (folder / "sequences.csv").open(newline="") as file:
        ranges = [(int(row["first"]), int(row["last"])) for row in csv.DictReader(file)]
    out = []
    for first, last in ranges:
        paths = [folder / "images" / f"{number:03d}.png" for number in range(first, last + 1)]
        out.append(histograms(read(path for path in paths if path.exists()), spec).mean(0))
    return np.array(out)


if __name__ == "__main__":
    main()
