"""A labelled CT angiography series → slices to train on.

    python examples/cta_slices.py --patient p01 --series p01/dicom --mask p01/vessels.nii.gz --out cta

Run it once for each patient with the same --out. The mask is a NIfTI file or a folder with a DICOM series.
The window is the recipe's, so that a slice in training is the slice that `edgeseg infer` makes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgeseg.train import recipe as recipes
from edgeseg.volume.masks import read_mask
from edgeseg.volume.segment import write_slices
from edgeseg.volume.series import read_series


def main() -> None:
    """Reads the series and its mask, writes the slices."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patient", required=True, help="a name; its slices stay in one split")
    parser.add_argument("--series", type=Path, required=True)
    parser.add_argument("--mask", type=Path, required=True)
    parser.add_argument("--recipe", default="dnlnet-cta")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    window = recipes.load(args.recipe)[0].input.window
    if window is None:
        parser.error(f"recipe {args.recipe} names no CT window")
    series = read_series(args.series)
    mask = read_mask(args.mask, series)
    number = write_slices(args.patient, series, mask, args.out, window.center_hu, window.width_hu)
    print(f"{number} slices, {int(mask.any(axis=(1, 2)).sum())} with vessel, in {args.out}")


if __name__ == "__main__":
    main()
