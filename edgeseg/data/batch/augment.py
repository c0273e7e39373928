"""A batch of cached frames → the same, augmented: the order of the parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor

from edgeseg.data.batch import geometry, light, recorder
from edgeseg.data.batch.draw import Draw
from edgeseg.data.batch.paste import paste

if TYPE_CHECKING:
    from edgeseg.train.recipe import Augmentation


def augment(
    frames: Tensor, masks: Tensor, index: Tensor, settings: Augmentation | None, patch: int, level: int, draw: Draw
) -> tuple[Tensor, Tensor]:
    """What the recipe's ``[augmentation]`` says, on all frames of a batch at once.

    Args:
        frames: of the whole set, uint8 [N, h, w, 3].
        masks: class indexes of the whole set, uint8 [N, h, w].
        index: int64 [B], which of them.
        settings: None for the frames as they are.
        patch: side of the squares that are drawn; 0 for whole frames.
        level: a pixel counts as lit where max(B, G, R) is over this grey level.
        draw: of every number.

    Returns:
        uint8 [B, h, w, 3] and uint8 [B, h, w]; with ``patch`` its side instead of h and w.
    """
    if settings is None or not (patch or any(vars(settings).values())):
        return frames[index], masks[index]
    image, target = _floats(frames, index), masks[index][:, None].float()
    count, _, height, width = image.shape
    if settings.paste:
        donors = draw.integers(0, len(frames), count)
        outlines = masks[donors][:, None].float()
        where = draw.chance(settings.paste, count)
        image, target = paste(image, target, _floats(frames, donors), outlines, where, level, draw)
    if patch:
        matrix = geometry.patches(settings, image, patch, level, draw)
        image, target = (geometry.sample(one, matrix, patch, patch) for one in (image, target))
    else:
        matrix = geometry.whole(settings, count, height, width, draw)
        seen = None
        if settings.negative or settings.near:
            # What lies around a part must not come back by a turn.
            seen = geometry.inside(matrix, height, width)
            part, emptied = geometry.beside(target, draw.chance(settings.negative, count))
            if settings.near:
                part = part @ geometry.nearer(target, draw.chance(settings.near, count) & ~emptied, draw)
            target = target * ~emptied[:, None, None, None]
            matrix = part @ matrix
        # Where a part reaches the frame's edge, half a pixel beyond it is no black.
        outside: Literal["zeros", "border"] = "zeros" if seen is None else "border"
        image, target = (geometry.sample(one, matrix, height, width, outside) for one in (image, target))
        if seen is not None:
            image, target = image * seen, target * seen
    image = _seen(image, settings, draw)
    if settings.border:
        image, target = recorder.border(image, target, settings.border, draw)
    # The mask's edge is interpolated and cut at one half, as where frames are fitted.
    return image.clamp(0, 255).round().byte().permute(0, 2, 3, 1).contiguous(), (target[:, 0] > 0.5).byte()


def _seen(image: Tensor, settings: Augmentation, draw: Draw) -> Tensor:
    """What lamp, camera and recorder make of it."""
    if settings.colour or settings.gain:
        image = light.colour(image, settings.gain, settings.colour, draw)
    if settings.gamma:
        image = light.gamma(image, settings.gamma, draw)
    if settings.shade:
        image = light.shade(image, settings.shade, draw)
    if settings.highlights:
        image = light.highlights(image, settings.highlights, draw)
    if settings.blur:
        image = light.blur(image, settings.blur, draw)
    if settings.noise:
        image = light.noise(image, settings.noise, draw)
    if settings.jpeg:
        image = recorder.jpeg(image, settings.jpeg, draw)
    return recorder.cutout(image, settings.cutout, draw) if settings.cutout else image


def _floats(frames: Tensor, index: Tensor) -> Tensor:
    return frames[index].permute(0, 3, 1, 2).float()
