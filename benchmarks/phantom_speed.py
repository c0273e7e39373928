"""Frames per second of the phantoms on one core (processor time): ``python benchmarks/phantom_speed.py``."""

from __future__ import annotations

import time

import cv2

from edgeseg.data.phantom import PHANTOMS

SEEDS = (2, 6, 11)


def main() -> None:
    """Prints one line for each phantom and size."""
    cv2.setNumThreads(1)
    for kind, phantom in PHANTOMS.items():
        for width, height in ((384, 288), (640, 480), (1920, 1080)):
            start = time.process_time()
            clips = [phantom(96, width, height, seed) for seed in SEEDS]
            built = time.process_time()
            frames = [clip[i].index for clip in clips for i in range(0, 96, 12)]
            rate = len(frames) / (time.process_time() - built)
            print(f"{kind} {width}x{height}: {rate:.1f} frames/s, set-up {(built - start) / len(SEEDS):.2f} s")


if __name__ == "__main__":
    main()
