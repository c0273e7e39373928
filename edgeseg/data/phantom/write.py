"""A phantom as a ``folder`` data set with its video: clip.mp4, images/, masks/, phantom.json."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from edgeseg import console
from edgeseg.atomic import atomic_folder
from edgeseg.data.phantom import PHANTOMS
from edgeseg.data.phantom.clip import Bytes, PhantomClip
from edgeseg.errors import OutputError, UsageError

# ITU-T H.273 code points of BT.709, for primaries, transfer curve and matrix alike.
_BT709 = 1
# Rows Y, Cb, Cr; columns B, G, R and the offset (BT.709, item 3 and 4, for 8 bits).
_MATRIX = np.array(
    [
        [219 * 0.0722, 219 * 0.7152, 219 * 0.2126, 16 * 255],
        [224 * 0.5, -224 * 0.7152 / 1.8556, -224 * 0.2126 / 1.8556, 128 * 255],
        [-224 * 0.0722 / 1.5748, -224 * 0.7152 / 1.5748, 224 * 0.5, 128 * 255],
    ],
    np.float32,
) / np.float32(255)
_LEFT = np.array([[1, 2, 1], [1, 2, 1]], np.float32) / 8


def write_clip(
    kind: str,
    out: Path,
    size: tuple[int, int],
    frames: int,
    framerate: float,
    seed: int,
    *,
    quiet: bool = False,
) -> None:
    """Renders a phantom into the folder ``out``; what was there is replaced when all is done, not before.

    Args:
        kind: a key of ``PHANTOMS``.
        out: folder to be.
        size: width and height, pixels, both even (H.264 with 4:2:0 chroma knows no odd ones).
        frames: at least 1.
        framerate: frames per second.
        seed: 0 or more.
        quiet: no progress bar; there is none either where standard error is no terminal.

    Raises:
        UsageError: unknown kind, odd size, or what the phantom refuses.
        OutputError: the disk refused, or ``out`` holds something that is not a phantom.
    """
    if kind not in PHANTOMS:
        raise UsageError(f"there is no phantom {kind!r}; choose one of {', '.join(PHANTOMS)}")
    width, height = size
    if width % 2 or height % 2:
        raise UsageError(
            f"a video of {width}x{height} is not possible, H.264 needs even sides; "
            f"take {width + width % 2}x{height + height % 2}"
        )
    if not 0.1 <= framerate <= 1000:
        raise UsageError(f"a frame rate of {framerate:g} per second makes no video; take 0.1 to 1000")
    clip = PHANTOMS[kind](frames, width, height, seed)
    _check_place(out)
    with atomic_folder(out) as folder:
        targets = _render(clip, folder, framerate, quiet=quiet)
        about = {
            "phantom": kind,
            "seed": seed,
            "width": width,
            "height": height,
            "frames": frames,
            "framerate": framerate,
            "target": "polyp" if kind == "colonoscopy" else "vessel",
            "frames_with_target": targets,
        }
        (folder / "phantom.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _check_place(out: Path) -> None:
    """A folder of something else is never replaced."""
    if out.is_dir() and (not any(out.iterdir()) or (out / "phantom.json").is_file()):
        return
    if out.exists():
        raise OutputError(f"{out} exists and is not a phantom; choose another --out or remove it first")


def _render(clip: PhantomClip, folder: Path, framerate: float, *, quiet: bool) -> list[int]:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    digits = max(4, len(str(len(clip) - 1)))
    targets = []
    with (
        console.progress(quiet=quiet) as bar,
        av.open(str(folder / "clip.mp4"), "w") as video,
    ):
        stream = video.add_stream("libx264", rate=Fraction(framerate).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
        stream.options = {"crf": "15", "preset": "veryfast"}
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        task = bar.add_task("phantom", total=len(clip), note="")
        for frame in clip:
            name = f"{frame.index:0{digits}}.png"
            _png(folder / "images" / name, frame.image)
            _png(folder / "masks" / name, frame.mask)
            video.mux(stream.encode(_to_yuv(frame.image)))
            if frame.mask.any():
                targets.append(frame.index)
            bar.advance(task)
        video.mux(stream.encode(None))
    return targets


def _to_yuv(image: Bytes) -> av.VideoFrame:
    """BGR uint8 [H, W, 3] to 4:2:0, limited range, by the matrix of ITU-R BT.709.

    Own arithmetic, since swscale's loses up to two grey levels on average; chroma is sited left, H.264's default.
    """
    height, width = image.shape[:2]
    yuv = cv2.transform(image.astype(np.float32), _MATRIX)
    chroma = cv2.filter2D(yuv[..., 1:], -1, _LEFT, anchor=(1, 0), borderType=cv2.BORDER_REPLICATE)[::2, ::2]
    planes = [yuv[..., 0].ravel(), chroma[..., 0].ravel(), chroma[..., 1].ravel()]
    packed = np.rint(np.concatenate(planes)).astype(np.uint8).reshape(height * 3 // 2, width)
    frame = av.VideoFrame.from_ndarray(packed, format="yuv420p")
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame


def _png(path: Path, image: Bytes) -> None:
    # Level 1: frames with noise hardly get smaller above it, only slower.
    done, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OutputError(f"the frame for {path} could not be encoded as PNG")
    path.write_bytes(data.tobytes())
