"""The shipped polyp model on real clips: does it find the boxes, and how often does it see what is not there?

    python -m benchmarks.clips_with_truth [--model npnet-polyp] [--data ../shared/data]

* ``colonoscopy_polyp_53f.mp4``: share of frames in which an object's box overlaps a given polyp box with IoU ≥ 0.5,
  and share of all given boxes that are met so; what share of the boxes' pixels the masks cover, and what share of the
  masks' pixels lies in boxes (all frames together).
* ``laparoscopy_720p_250f.mp4`` (no colon, no polyp): frames with a false mask per minute of video, and episodes
  (runs of such frames) per minute.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.bundle import open_model
from edgeseg.fit import Box
from edgeseg.stream.pipeline import run

if TYPE_CHECKING:
    from edgeseg.model import Model, Result

IOU = 0.5


@dataclass(frozen=True)
class Found:
    """Shares of frames and of boxes met with IoU ≥ 0.5; of the boxes' pixels in masks, of the masks' in boxes."""

    frames: float
    boxes: float
    covered: float
    inside: float


@dataclass(frozen=True)
class FalseMasks:
    """Per minute of video."""

    frames: float
    episodes: float


def box_iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a.width * a.height + b.width * b.height - width * height)


def found(model: Model, folder: Path) -> Found:
    """The colonoscopy clip against its boxes."""
    truth = json.loads((folder / "colonoscopy_polyp_53f_boxes.json").read_text())["frames"]
    boxes = [[Box(x, y, right - x, bottom - y) for x, y, right, bottom in (o["bbox"] for o in f)] for f in truth]
    met: list[list[bool]] = []
    pixels: list[tuple[int, int, int]] = []

    def look(result: Result) -> None:
        seen = [one.box for one in result.objects]
        met.append([any(box_iou(one, box) >= IOU for box in seen) for one in boxes[result.sequence]])
        mask, truth = result.mask > 0, np.zeros(result.mask.shape, bool)
        for x, y, width, height in boxes[result.sequence]:
            truth[y : y + height, x : x + width] = True
        pixels.append((int((mask & truth).sum()), int(truth.sum()), int(mask.sum())))

    run(model, str(folder / "colonoscopy_polyp_53f.mp4"), on_result=look)
    labelled = [frame for frame in met if frame]
    flat = [one for frame in labelled for one in frame]
    frames, hits = sum(any(frame) for frame in labelled) / len(labelled), sum(flat) / len(flat)
    both, given, masked = (int(one) for one in np.sum(pixels, axis=0))
    return Found(frames, hits, both / given, both / masked if masked else 0.0)


def false_masks(model: Model, folder: Path) -> FalseMasks:
    """The laparoscopy clip, which holds nothing to find."""
    masks: list[bool] = []
    clip = folder / "laparoscopy_720p_250f.mp4"
    run(model, str(clip), on_result=lambda result: masks.append(bool(result.mask.any())))
    minutes = len(masks) / 25 / 60
    episodes = sum(now and not before for before, now in zip([False, *masks[:-1]], masks, strict=True))
    return FalseMasks(sum(masks) / minutes, episodes / minutes)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="npnet-polyp")
    parser.add_argument("--data", default=os.environ.get("EDGESEG_DATA", "../shared/data"), type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threshold", type=float)
    arguments = parser.parse_args()
    with open_model(arguments.model).load(precision=arguments.precision, threshold=arguments.threshold) as model:
        print(model.engine)
        hits = found(model, arguments.data / "video")
        print(f"box IoU ≥ {IOU} in {hits.frames:.1%} of the frames, {hits.boxes:.1%} of the boxes (53 frames)")
        print(f"masks cover {hits.covered:.1%} of the boxes; {hits.inside:.1%} of the masks lies in boxes")
        false = false_masks(model, arguments.data / "video")
        print(f"false masks on the laparoscopy clip: {false.frames:.0f} frames, {false.episodes:.0f} episodes a minute")


if __name__ == "__main__":
    main()
