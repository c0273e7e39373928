"""What the field does to frames, drawn at random while training: MONAI's transforms where it has them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from monai.transforms import (
    Compose,
    MapTransform,
    RandAffined,
    RandCoarseDropoutd,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    Randomizable,
    RandZoomd,
)
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeseg.train.recipe import Augmentation

Sample = dict[Hashable, Any]
Plane = NDArray[np.float32]

# How much nearer a target may come, and the least share of its width and height that the part around it measures.
NEAREST = 4.0
KEPT = 0.8


def build(settings: Augmentation, height: int, width: int) -> Compose:
    """Transforms of a sample ``{"frame": float32 [3, h, w] 0–255, "mask": float32 [1, h, w] {0, 1}}``.

    Args:
        settings: the recipe's ``[augmentation]``.
        height: of the network's input.
        width: of the network's input.
    """
    both = ("frame", "mask")
    modes: dict[str, Any] = {"mode": ("bilinear", "nearest"), "padding_mode": "zeros"}
    steps: list[Any] = []
    if settings.negative:
        steps.append(RandNegative(settings.negative))
    if settings.near:
        steps.append(RandNear(settings.near))
    if settings.flip:
        steps += [RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in (0, 1)]
    if settings.rotate or settings.shift or settings.stretch:
        steps.append(
            RandAffined(
                both,
                prob=0.8,
                rotate_range=np.deg2rad(settings.rotate),
                translate_range=(settings.shift * height, settings.shift * width),
                scale_range=(settings.stretch, settings.stretch),
                **modes,
            )
        )
    if settings.zoom_in or settings.zoom_out:
        # One factor for both axes, beside the affine's separate ones: small and far polyps, large and near ones.
        steps.append(
            RandZoomd(
                both,
                prob=0.5,
                min_zoom=1 / (1 + settings.zoom_out),
                max_zoom=1 + settings.zoom_in,
                mode=("bilinear", "nearest"),
                padding_mode="constant",
            )
        )
    if settings.colour or settings.gain:
        steps.append(RandColour(settings.gain, settings.colour))
    if settings.gamma:
        steps.append(RandGamma(settings.gamma))
    if settings.shade:
        steps.append(RandShade(settings.shade))
    if settings.highlights:
        steps.append(RandHighlights(settings.highlights))
    if settings.blur:
        steps.append(RandGaussianSmoothd("frame", prob=settings.blur, sigma_x=(0.3, 2.0), sigma_y=(0.3, 2.0)))
    if settings.noise:
        steps.append(RandGaussianNoised("frame", prob=0.3, std=settings.noise * 255))
    if settings.jpeg:
        steps.append(RandJpeg(settings.jpeg))
    if settings.cutout:
        steps.append(
            RandCoarseDropoutd(
                "frame", prob=settings.cutout, holes=1, max_holes=4, spatial_size=16, max_spatial_size=64
            )
        )
    if settings.border:
        steps.append(RandBorder(settings.border))
    return Compose(steps)


def _with_box(sample: Sample) -> tuple[Plane, Plane, tuple[int, int, int, int]]:
    """Frame, mask, and left, top, width and height of the target; all 0 where there is none."""
    frame, mask = np.asarray(sample["frame"], np.float32), np.asarray(sample["mask"], np.float32)
    left, top, across, down = cv2.boundingRect((mask[0] > 0).astype(np.uint8))
    return frame, mask, (left, top, across, down)


class RandNegative(Randomizable, MapTransform):
    """The largest part beside the target, enlarged to the whole frame: mucosa without anything to find.

    Training frames nearly all show a target, live video mostly none.
    """

    def __init__(self, prob: float) -> None:
        super().__init__(("frame", "mask"))
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        if self.R.uniform() >= self.prob:
            return out
        frame, mask, (left, top, across, down) = _with_box(out)
        height, width = mask.shape[1:]
        parts = [(0, 0, left, height), (left + across, 0, width, height)]
        parts += [(0, 0, width, top), (0, top + down, width, height)]
        x0, y0, x1, y1 = max(parts, key=lambda part: (part[2] - part[0]) * (part[3] - part[1]))
        # Under a third of a side there is too little left to look like a frame.
        if across == 0 or (x1 - x0) * 3 < width or (y1 - y0) * 3 < height:
            return out
        part = np.ascontiguousarray(frame[:, y0:y1, x0:x1].transpose(1, 2, 0))
        out["frame"] = cv2.resize(part, (width, height)).transpose(2, 0, 1)
        out["mask"] = np.zeros_like(mask)
        return out


class RandNear(Randomizable, MapTransform):
    """A part of the frame around the target, enlarged to the whole: the target as seen from nearer.

    The part's sides are the frame's divided by 1 to :data:`NEAREST`, evenly in the logarithm, but never under
    :data:`KEPT` of the target's; its middle is off the target's by up to a quarter of the part. A zoom about the
    frame's own middle loses a target that stands elsewhere, and few training targets are near.
    """

    def __init__(self, prob: float) -> None:
        super().__init__(("frame", "mask"))
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        if self.R.uniform() >= self.prob:
            return out
        frame, mask, (left, top, across, down) = _with_box(out)
        height, width = mask.shape[1:]
        if across == 0:
            return out
        factor = np.exp(self.R.uniform() * np.log(NEAREST))
        factor = max(1.0, min(factor, width / (KEPT * across), height / (KEPT * down)))
        wide, high = width / factor, height / factor
        x0 = np.clip(left + across / 2 + wide * (self.R.uniform(-0.25, 0.25) - 0.5), 0, width - wide)
        y0 = np.clip(top + down / 2 + high * (self.R.uniform(-0.25, 0.25) - 0.5), 0, height - high)
        # The middle of the output's first pixel lies half an output pixel, 0.5 / factor, inside the part.
        where = np.array([[1 / factor, 0, x0 + 0.5 / factor - 0.5], [0, 1 / factor, y0 + 0.5 / factor - 0.5]])
        flags = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}
        picture = np.ascontiguousarray(frame.transpose(1, 2, 0))
        out["frame"] = cv2.warpAffine(picture, where, (width, height), **flags).transpose(2, 0, 1)
        # The mask's edge is interpolated and cut at one half, as where frames are fitted.
        out["mask"] = (cv2.warpAffine(mask[0], where, (width, height), **flags) > 0.5).astype(np.float32)[None]
        return out


class RandColour(Randomizable, MapTransform):
    """Gain of the whole frame, gains of single channels, and a pull towards grey, as lamps and cameras differ.

    Args:
        gain: up to this share brighter or darker.
        colour: up to this share per channel, and of saturation.
    """

    def __init__(self, gain: float, colour: float) -> None:
        super().__init__(("frame",))
        self.gain, self.colour = gain, colour

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        frame = np.asarray(out["frame"], np.float32)
        gains = 1 + self.R.uniform(-self.gain, self.gain) + self.R.uniform(-self.colour, self.colour, (3, 1, 1))
        saturation = 1 + self.R.uniform(-self.colour, self.colour)
        grey = frame.mean(0, keepdims=True)
        out["frame"] = ((grey + (frame - grey) * saturation) * gains).astype(np.float32)
        return out


class RandGamma(Randomizable, MapTransform):
    """255·(v/255)^γ half of the time, γ evenly in the logarithm from 1/(1 + ``gamma``) to 1 + ``gamma``.

    MONAI's takes the sample's own minimum and maximum for black and white; on a patch that is
    another curve than a camera's.
    """

    def __init__(self, gamma: float) -> None:
        super().__init__(("frame",))
        self.gamma = gamma

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        if self.R.uniform() < 0.5:
            power = np.exp(self.R.uniform(-1, 1) * np.log1p(self.gamma))
            frame = np.clip(np.asarray(out["frame"], np.float32) / 255, 0, 1)
            out["frame"] = (255 * frame**power).astype(np.float32)
        return out


class RandShade(Randomizable, MapTransform):
    """Light that falls unevenly: the frame times exp(a·x + b·y + c·(x² + y² - 2/3)), x and y from -1 to 1.

    a, b and c are drawn evenly from -``shade`` to ``shade``. MONAI's RandBiasField has no slope along the second axis.
    """

    def __init__(self, shade: float) -> None:
        super().__init__(("frame",))
        self.shade = shade

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        frame = np.asarray(out["frame"], np.float32)
        y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in frame.shape[1:])
        a, b, c = self.R.uniform(-self.shade, self.shade, 3).astype(np.float32)
        out["frame"] = frame * np.exp(a * x + c * (x * x - 1 / 3)) * np.exp(b * y + c * (y * y - 1 / 3))[:, None]
        return out


class RandHighlights(Randomizable, MapTransform):
    """Small blown-out blobs, as wet mucosa reflects the lamp."""

    def __init__(self, prob: float) -> None:
        super().__init__(("frame",))
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        if self.R.uniform() >= self.prob:
            return out
        frame = np.asarray(out["frame"], np.float32)
        _, height, width = frame.shape
        glare = np.zeros((height, width), np.float32)
        for _ in range(self.R.randint(2, 16)):
            centre = (int(self.R.randint(width)), int(self.R.randint(height)))
            axes = (int(self.R.randint(1, 6)), int(self.R.randint(1, 6)))
            cv2.ellipse(glare, centre, axes, float(self.R.uniform(0, 180)), 0, 360, 1.0, -1)
        glare = cv2.GaussianBlur(glare, (0, 0), 1.0)
        out["frame"] = frame + glare * (255 - frame)
        return out


class RandJpeg(Randomizable, MapTransform):
    """Blocks and smeared colours of a JPEG of quality 30 to 95, as recorders and archives leave them."""

    def __init__(self, prob: float) -> None:
        super().__init__(("frame",))
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        if self.R.uniform() >= self.prob:
            return out
        frame = np.clip(np.asarray(out["frame"], np.float32) + 0.5, 0, 255).astype(np.uint8)
        quality = int(self.R.randint(30, 96))
        _, file = cv2.imencode(".jpg", frame.transpose(1, 2, 0), [cv2.IMWRITE_JPEG_QUALITY, quality])
        out["frame"] = cv2.imdecode(file, cv2.IMREAD_COLOR).transpose(2, 0, 1).astype(np.float32)
        return out


class RandBorder(Randomizable, MapTransform):
    """Black outside a rounded field of view or beside the picture, as endoscopes and recorders leave it.

    What is blacked out is no longer target.
    """

    def __init__(self, prob: float) -> None:
        super().__init__(("frame", "mask"))
        self.prob = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> Sample:
        out = dict(data)
        if self.R.uniform() >= self.prob:
            return out
        height, width = out["frame"].shape[1:]
        inside = np.zeros((height, width), np.float32)
        if self.R.uniform() < 0.5:
            radius = self.R.uniform(0.5, 0.62) * np.hypot(height, width)
            centre = (int(width * self.R.uniform(0.45, 0.55)), int(height * self.R.uniform(0.45, 0.55)))
            cv2.circle(inside, centre, int(radius), 1.0, -1)
        else:
            left, right = (int(width * self.R.uniform(0, 0.15)) for _ in range(2))
            top, bottom = (int(height * self.R.uniform(0, 0.12)) for _ in range(2))
            inside[top : height - bottom, left : width - right] = 1
        out["frame"] = np.asarray(out["frame"], np.float32) * inside
        out["mask"] = np.asarray(out["mask"], np.float32) * inside
        return out
