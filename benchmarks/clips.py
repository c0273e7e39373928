"""Clips to measure with: phantom scenes encoded as H.264, of any size and length."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2

from edgeseg.data.phantom import PHANTOMS

SCENE = 24


def make_clip(path: Path, width: int, height: int, frames: int, framerate: int = 25) -> Path:
    """Renders a short scene at half size, enlarges it, encodes it once and repeats its packets up to ``frames``."""
    if path.is_file():
        return path
    scene = PHANTOMS["colonoscopy"](SCENE, width // 2, height // 2, 5)
    once = path.with_name(f"{path.stem}.scene.mp4")
    with av.open(str(once), "w") as out:
        stream = out.add_stream("libx264", rate=framerate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast", "g": str(SCENE), "bf": "0"}
        stream.codec_context.colorspace = stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
        for frame in scene:
            image = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_CUBIC)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        out.mux(stream.encode(None))
    _repeat(once, path, frames, framerate)
    once.unlink()
    return path


def _repeat(once: Path, path: Path, frames: int, framerate: int) -> None:
    with av.open(str(path), "w") as out:
        target, count = None, 0
        while count < frames:
            with av.open(str(once)) as source:
                stream = source.streams.video[0]
                target = target or out.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.size == 0 or count >= frames:
                        continue
                    packet.stream = target
                    packet.time_base = Fraction(1, framerate)
                    packet.pts = packet.dts = count
                    packet.duration = 1
                    out.mux(packet)
                    count += 1
