"""Decoded YUV → BGR by the stream's own matrix and range, never an assumed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

if TYPE_CHECKING:
    from numpy.typing import NDArray

# H.273 code points that name the matrix of BT.601.
_BT601 = {4, 5, 6}
_UNSPECIFIED = 2
# An untagged stream of at least this height is BT.709, as players and encoders have it.
_HD = 720


def to_bgr(frame: av.VideoFrame, reformatter: av.video.reformatter.VideoReformatter) -> NDArray[np.uint8]:
    """uint8 BGR [H, W, 3].

    swscale assumes BT.601 where it is not told; on HD video that is off by up to 10 grey levels.
    """
    if frame.format.is_rgb or frame.format.name.startswith("gray"):
        return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    converted = reformatter.reformat(
        frame,
        format="bgr24",
        src_colorspace=matrix_of(frame),
        src_color_range=ColorRange.JPEG if full_range(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BILINEAR,
    )
    return np.asarray(converted.to_ndarray(), np.uint8)


def matrix_of(frame: av.VideoFrame) -> Colorspace:
    """BT.709 or BT.601, from the stream's tags, else from its height."""
    code = int(frame.colorspace)
    if code == 1:
        return Colorspace.ITU709
    if code in _BT601:
        return Colorspace.ITU601
    return Colorspace.ITU709 if frame.height >= _HD else Colorspace.ITU601


def full_range(frame: av.VideoFrame) -> bool:
    """Whether luma runs from 0 to 255 (JPEG range) rather than 16 to 235."""
    return int(frame.color_range) == int(ColorRange.JPEG) or frame.format.name.startswith("yuvj")
