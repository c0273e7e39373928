"""Writes the ``groups.csv`` of a folder of frames: frames that look alike are of one group, so of one split.

    python -m benchmarks.near_duplicates DIR [--correlation 0.97]

For sets that do not say which frames are of one video. Frames are compared as grey thumbnails of 24×24 pixels, every
two of ``DIR/images`` and ``DIR/negatives``; whoever looks like one of a group belongs to it.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from edgeseg.atomic import atomic_write
from edgeseg.data.dataset import find_images, read_frame

SIDE = 24


def thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey values of 24×24 pixels less their mean, of length one (zeros for a frame of one colour): [576]."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    return small / length if length else small


def groups_of(thumbnails: NDArray[np.float64], correlation: float) -> list[int]:
    """The group of each thumbnail ([N, 576]), numbered from 0: the first of a group is the lowest of it."""
    alike = thumbnails @ thumbnails.T >= correlation
    out = [-1] * len(thumbnails)
    group = 0
    for first in range(len(out)):
        if out[first] >= 0:
            continue
        out[first] = group
        reached = [first]
        while reached:
            for other in np.flatnonzero(alike[reached.pop()]):
                if out[other] < 0:
                    out[other] = group
                    reached.append(int(other))
        group += 1
    return out


def main() -> None:
    """Reads the folder, writes its ``groups.csv``, prints how many groups there are."""
    parser = argparse.ArgumentParser(description="frames that look alike, as groups.csv")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--correlation", type=float, default=0.97)
    args = parser.parse_args()
    if (args.folder / "groups.csv").exists():
        parser.error(f"{args.folder / 'groups.csv'} is there; it would be lost")
    files = {
        stem: file
        for part in ("images", "negatives")
        if (args.folder / part).is_dir()
        for stem, file in find_images(args.folder / part).items()
    }
    if not files:
        parser.error(f"{args.folder}: no images/ and no negatives/ with frames")
    frames = track(files.values(), "reading", transient=True)
    groups = groups_of(np.stack([thumbnail(read_frame(file)) for file in frames]), args.correlation)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["stem", "group"])
    rows.writerows(zip(files, groups, strict=True))
    atomic_write(args.folder / "groups.csv", text.getvalue().encode())
    print(f"{len(files)} frames, {max(groups) + 1} groups → {args.folder / 'groups.csv'}")


if __name__ == "__main__":
    main()
