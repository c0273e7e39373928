"""Augmentation of whole batches: against OpenCV where it has the same, in the mean against that of single frames."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeseg.data import augmentation, paste
from edgeseg.data.batch import geometry, light, recorder
from edgeseg.data.batch import paste as batch_paste
from edgeseg.data.batch.augment import augment
from edgeseg.data.batch.draw import Draw
from edgeseg.train.recipe import Augmentation

HEIGHT, WIDTH = 48, 64


def scenes(count: int = 6, height: int = HEIGHT, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """Smooth frames [N, h, w, 3], each with an ellipse of its own colour as target [N, h, w]."""
    frames, masks = [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        frame = cv2.GaussianBlur(rng.uniform(30, 220, (height, width, 3)).astype(np.float32), (0, 0), 4)
        mask = np.zeros((height, width), np.uint8)
        centre = int(rng.integers(20, width - 20)), int(rng.integers(15, height - 15))
        cv2.ellipse(mask, centre, (9, 6), float(rng.uniform(0, 180)), 0, 360, 1, -1)
        frame[mask > 0] = (40, 60, 230)
        frames.append(frame.astype(np.uint8))
        masks.append(mask)
    return torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(masks))


def run(settings: Augmentation, seed: int = 0, patch: int = 0, count: int = 12) -> tuple[Tensor, Tensor]:
    frames, masks = scenes()
    index = torch.arange(count) % len(frames)
    return augment(frames, masks, index, settings, patch, 20, Draw(torch.device("cpu"), seed))


EVERYTHING = Augmentation(
    flip=True, rotate=90, zoom_out=0.8, zoom_in=0.5, stretch=0.2, shift=0.1, gain=0.2, colour=0.2, gamma=0.4, shade=0.3,
    blur=0.5, noise=0.02, jpeg=0.5, highlights=0.5, border=0.5, cutout=0.5, negative=0.3, near=0.3, paste=0.5,
)  # fmt: skip


def test_nothing_asked_for_changes_nothing() -> None:
    frames, masks = scenes()
    index = torch.tensor([4, 1])
    for settings in (None, Augmentation()):
        image, target = augment(frames, masks, index, settings, 0, 20, Draw(torch.device("cpu"), 0))
        assert torch.equal(image, frames[index])
        assert torch.equal(target, masks[index])


@pytest.mark.parametrize("patch", [0, 32])
def test_a_seed_gives_the_same_and_another_another(patch: int) -> None:
    settings = EVERYTHING.model_copy(update={"paste": 0.0, "negative": 0.0, "near": 0.0}) if patch else EVERYTHING
    one, again, other = (run(settings, seed, patch) for seed in (3, 3, 4))
    size = (patch, patch) if patch else (HEIGHT, WIDTH)
    assert one[0].shape == (12, *size, 3)
    assert one[1].shape == (12, *size)
    assert one[0].dtype == one[1].dtype == torch.uint8
    assert set(one[1].unique().tolist()) == {0, 1}
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    assert not torch.equal(one[0], other[0])


def test_flips_are_exact_and_all_four_occur() -> None:
    frames, masks = scenes(1)
    index = torch.zeros(32, dtype=torch.int64)
    image, target = augment(frames, masks, index, Augmentation(flip=True), 0, 20, Draw(torch.device("cpu"), 0))
    ways = [(), (0,), (1,), (0, 1)]
    found = []
    for one, mask in zip(image, target, strict=True):
        same = [way for way in ways if torch.equal(one, frames[0].flip(way)) and torch.equal(mask, masks[0].flip(way))]
        assert len(same) == 1
        found += same
    assert set(found) == set(ways)


@pytest.mark.parametrize("patch", [0, 40])
def test_the_mask_goes_where_the_target_goes(patch: int) -> None:
    settings = Augmentation(flip=True, rotate=180, zoom_out=0.3, zoom_in=0.8, stretch=0.2, shift=0.2)
    image, target = run(settings, patch=patch, count=24)
    red = (image[..., 2] > 150) & (image[..., 0] < 100) & (image[..., 1] < 120)
    both = (red & (target > 0)).sum()
    assert 2 * both / (red.sum() + target.sum()) > 0.9


def test_zoom_in_and_out_change_the_targets_share_as_the_square() -> None:
    frames, masks = scenes(1, 96, 128)
    index = torch.zeros(200, dtype=torch.int64)
    share = []
    for settings in (Augmentation(zoom_out=1.0), Augmentation(zoom_in=0.5)):
        _, target = augment(frames, masks, index, settings, 0, 20, Draw(torch.device("cpu"), 1))
        share.append(target.float().mean((1, 2)) / masks.float().mean())
    assert 0.24 <= share[0].min() < 0.35
    assert share[0].max() < 1.1
    assert 2.0 < share[1].max() <= 2.4


def test_what_is_beside_the_target_fills_the_frame() -> None:
    frames, masks = scenes()
    image, target = augment(
        frames, masks, torch.arange(6), Augmentation(negative=1.0), 0, 20, Draw(torch.device("cpu"), 0)
    )
    assert int(target.sum()) == 0
    assert int(((image[..., 2] > 200) & (image[..., 0] < 60)).sum()) == 0
    assert int(image.amax(-1).min()) > 0  # no black edge: the part was enlarged
    # Nor does the target's rim come in at an edge, turned or not.
    turned = Augmentation(negative=1.0, flip=True, rotate=90, zoom_out=0.5, zoom_in=0.5, shift=0.1)
    many, _ = augment(frames, masks, torch.arange(48) % 6, turned, 0, 20, Draw(torch.device("cpu"), 0))
    assert int(((many[..., 2] > 150) & (many[..., 0] < 100) & (many[..., 1] < 100)).sum()) == 0
    # A corner of the frame is a corner of the part.
    for index in range(6):
        corners = [(y, x) for y in (1, -2) for x in (1, -2)]
        assert any(bool((image[index, y, x].int() - frames[index, y, x].int()).abs().max() <= 12) for y, x in corners)


def test_a_frame_without_target_stays_where_others_are_emptied() -> None:
    frames, masks = scenes(2)
    masks[0] = 0
    image, _ = augment(frames, masks, torch.arange(2), Augmentation(negative=1.0), 0, 20, Draw(torch.device("cpu"), 0))
    assert torch.equal(image[0], frames[0])


def seen_nearer(way: str, count: int) -> tuple[Tensor, Tensor]:
    """The first scene, nearer by `near` alone: whole batches or frame by frame."""
    frames, masks = scenes(1, 96, 128)
    settings = Augmentation(near=1.0)
    if way == "batch":
        index = torch.zeros(count, dtype=torch.int64)
        return augment(frames, masks, index, settings, 0, 20, Draw(torch.device("cpu"), 0))
    transform = augmentation.build(settings, 96, 128)
    transform.set_random_state(seed=0)
    sample = {"frame": frames[0].permute(2, 0, 1).numpy(), "mask": masks[:1].numpy()}
    out = [transform(dict(sample)) for _ in range(count)]
    image = torch.stack([torch.as_tensor(one["frame"]) for one in out]).permute(0, 2, 3, 1).round().byte()
    return image, torch.stack([torch.as_tensor(one["mask"])[0] for one in out]).byte()


@pytest.mark.parametrize("way", ["batch", "frame"])
def test_near_brings_the_target_up_to_four_times_as_near_and_keeps_it(way: str) -> None:
    _, masks = scenes(1, 96, 128)
    image, target = seen_nearer(way, 200)
    share = target.float().sum((1, 2)) / masks.float().sum()
    assert 0.95 < share.min() < 1.5
    assert 9 < share.max() < 17  # 16, less what lies beyond the part
    assert int(image.amax(-1).min()) > 0  # no black edge
    red = (image[..., 2] > 150) & (image[..., 0] < 100) & (image[..., 1] < 120)
    assert 2 * (red & (target > 0)).sum() / (red.sum() + target.sum()) > 0.95
    middle = torch.stack([one.nonzero().float().mean(0) / one.shape[0] for one in target])
    assert middle.std(0).min() > 0.05  # not always in the middle


def test_a_target_at_the_frames_corner_stays_whole() -> None:
    frames, masks = torch.full((1, 96, 128, 3), 200, dtype=torch.uint8), torch.zeros(1, 96, 128, dtype=torch.uint8)
    masks[0, :12, :16] = 1
    index = torch.zeros(50, dtype=torch.int64)
    image, target = augment(frames, masks, index, Augmentation(near=1.0), 0, 20, Draw(torch.device("cpu"), 0))
    assert int(image.min()) == 200
    assert int(target[:, 0, 0].min()) == 1


def test_a_large_target_comes_no_nearer_than_it_fits() -> None:
    frames, masks = scenes(1, 96, 128)
    masks[:] = 0
    masks[0, 2:94, 10:100] = 1
    every = torch.ones(20, dtype=torch.bool)
    matrix = geometry.nearer(masks[:, None].float().expand(20, -1, -1, -1), every, Draw(torch.device("cpu"), 0))
    assert matrix[:, 0, 0].min() == pytest.approx(0.8 * 92 / 96)
    index = torch.zeros(20, dtype=torch.int64)
    masks[:] = 0  # and nothing to come near to
    image, _ = augment(frames, masks, index, Augmentation(near=1.0), 0, 20, Draw(torch.device("cpu"), 0))
    assert torch.equal(image, frames.expand(20, -1, -1, -1))


def test_paste_adds_targets_and_decoys_of_the_donors_look() -> None:
    frames, masks = scenes()
    masks[1:] = 0
    frames[1:] = torch.tensor([120, 120, 120], dtype=torch.uint8)
    more = wall = 0
    for seed in range(12):
        image, target = augment(
            frames, masks, torch.full((8,), 2), Augmentation(paste=1.0), 0, 20, Draw(torch.device("cpu"), seed)
        )
        for one, mask in zip(image, target, strict=True):
            changed = (one.int() - frames[2].int()).abs().amax(-1) > 3
            if mask.any():
                more += 1
                assert 40 < int(mask.sum()) < 600
                red = one[mask > 0].float().mean(0)
                assert float(red[2]) > 1.5 * float(red[0])
                # Nothing far from the piece is touched.
                near = cv2.dilate(mask.numpy(), np.ones((25, 25), np.uint8)) > 0
                assert not changed.numpy()[~near].any()
            elif changed.any():
                wall += 1
    assert more > wall > 0


@pytest.mark.parametrize("axes", [(14, 10), (26, 18), (34, 24)])
def test_decoys_find_room_as_often_as_where_frames_are_pasted_one_by_one(axes: tuple[int, int]) -> None:
    """Targets of 4, 12 and 21 % of the frame: a larger one leaves its outline less room elsewhere."""
    mask = np.zeros((96, 128), np.uint8)
    cv2.ellipse(mask, (60, 45), axes, 30, 0, 360, 1, -1)
    rng = np.random.default_rng(0)
    donor = cv2.GaussianBlur(rng.uniform(30, 220, (96, 128, 3)).astype(np.float32), (0, 0), 4).astype(np.uint8)
    bare, nothing = np.full((96, 128, 3), 120, np.uint8), np.zeros((96, 128), np.uint8)
    number = 300

    def kinds(pairs: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> tuple[float, float]:
        changed = [(bool((frame != 120).any()), bool(target.any())) for frame, target in pairs]
        targets = sum(target for _, target in changed)
        return targets / number, sum(change and not target for change, target in changed) / number

    theirs = kinds(paste.paste(bare, nothing, (donor, mask), 20, rng) for _ in range(number))

    def four(one: NDArray[np.uint8], channels: int) -> Tensor:
        return torch.from_numpy(one.reshape(96, 128, channels)).permute(2, 0, 1).float().expand(number, -1, -1, -1)

    given = four(bare, 3), four(nothing, 1), four(donor, 3), four(mask, 1)
    frames, masks = batch_paste.paste(*given, torch.ones(number, dtype=torch.bool), 20, Draw(torch.device("cpu"), 0))
    images = frames.round().byte().permute(0, 2, 3, 1).numpy()
    ours = kinds(zip(images, masks[:, 0].byte().numpy(), strict=True))
    assert ours == pytest.approx(theirs, abs=0.09)


def test_boxes_are_open_cvs() -> None:
    _, masks = scenes()
    masks[3] = 0
    left, top, right, bottom = geometry.boxes(masks[:, None].float())
    for index, mask in enumerate(masks.numpy()):
        x, y, w, h = cv2.boundingRect(mask)
        found = [int(one[index]) for one in (left, top, right, bottom)]
        assert found == ([x, y, x + w, y + h] if mask.any() else [0] * 4)


def test_smooth_is_open_cvs_gaussian() -> None:
    frames, _ = scenes(3)
    planes = frames.permute(0, 3, 1, 2).float()
    out = light.smooth(planes, torch.tensor([0.0, 1.0, 2.0]), 2.0)
    assert torch.allclose(out[0], planes[0])
    for index, sigma in ((1, 1.0), (2, 2.0)):
        wanted = cv2.GaussianBlur(
            frames[index].numpy().astype(np.float32), (13, 13), sigma, borderType=cv2.BORDER_REPLICATE
        )
        assert np.abs(out[index].permute(1, 2, 0).numpy() - wanted).max() < 0.01


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_jpeg_is_open_cvs(quality: int) -> None:
    frames, _ = scenes(1, 50, 70)  # no multiple of a block
    noisy = frames[0].numpy().astype(np.int16) + np.random.default_rng(0).normal(0, 12, (50, 70, 3)).astype(np.int16)
    frame = np.clip(noisy, 0, 255).astype(np.uint8)
    _, file = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    wanted = cv2.imdecode(file, cv2.IMREAD_COLOR).astype(np.float32)
    given = torch.from_numpy(frame).permute(2, 0, 1)[None].float()
    got = recorder.through_jpeg(given, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy()
    lost = np.abs(wanted - frame).mean()
    assert np.abs(got - wanted).mean() < 0.35 * lost


def test_highlights_are_small_white_and_few() -> None:
    dark = torch.full((40, 3, HEIGHT, WIDTH), 50.0)
    out = light.highlights(dark, 0.5, Draw(torch.device("cpu"), 0))
    bright = (out[:, 0] > 200).float().mean((1, 2))
    assert 0.25 < (bright > 0).float().mean() < 0.75
    assert bright.max() < 0.25
    assert float(out.max()) <= 255


def test_holes_are_noise_and_do_not_move_the_target() -> None:
    grey = torch.full((40, 3, HEIGHT, WIDTH), 50.0)
    grey[:, :, 0] = 150.0
    out = recorder.cutout(grey, 0.5, Draw(torch.device("cpu"), 0))
    holes = (out != grey).any(1)
    assert 0.25 < holes.flatten(1).any(1).float().mean() < 0.75
    assert 90 < out.permute(0, 2, 3, 1)[holes].mean() < 110
    assert 50 <= float(out.min()) < float(out.max()) <= 150


def test_black_borders_take_the_target_with_them() -> None:
    frames, masks = torch.full((40, 3, HEIGHT, WIDTH), 90.0), torch.ones(40, 1, HEIGHT, WIDTH)
    image, target = recorder.border(frames, masks, 0.5, Draw(torch.device("cpu"), 0))
    assert torch.equal(image[:, :1] > 0, target > 0)
    seen = target.mean((1, 2, 3))
    assert 0.15 < (seen < 1).float().mean() < 0.6
    assert seen.min() > 0.5


def test_in_the_mean_it_is_the_frame_by_frame_augmentation() -> None:
    """Brightness, contrast and target share over many draws, one group of settings at a time."""
    frames, masks = scenes(1, 96, 128)
    count = 240
    groups = [
        {"rotate": 90, "stretch": 0.2, "shift": 0.1},
        {"zoom_out": 0.8, "zoom_in": 0.5},
        {"gain": 0.25, "colour": 0.2},
        {"gamma": 0.6},
        {"blur": 1.0},
        {"noise": 0.05},
        {"jpeg": 1.0},
        {"border": 1.0},
        {"highlights": 1.0},
        {"cutout": 1.0},
        {"near": 1.0},
        {"shade": 0.5},
    ]
    sample = {
        "frame": frames[0].permute(2, 0, 1).numpy().astype(np.float32),
        "mask": masks[:1].numpy().astype(np.float32),
    }
    for number, group in enumerate(groups):
        settings = Augmentation.model_validate(group)
        index = torch.zeros(count, dtype=torch.int64)
        image, target = augment(frames, masks, index, settings, 0, 20, Draw(torch.device("cpu"), number))
        ours = image.float().numpy(), target.float().numpy()
        transform = augmentation.build(settings, 96, 128)
        transform.set_random_state(seed=number)
        theirs: list[list[np.ndarray]] = [[], []]
        for _ in range(count):
            out = transform(dict(sample))
            theirs[0].append(np.clip(np.asarray(out["frame"]), 0, 255).transpose(1, 2, 0))
            theirs[1].append(np.asarray(out["mask"])[0])
        was = np.stack(theirs[0]), np.stack(theirs[1])
        if "blur" in group:  # MONAI's lets black in from outside
            ours, was = ((image[:, 12:-12, 12:-12], mask) for image, mask in (ours, was))
        for figure in (
            lambda both: both[0].mean((1, 2, 3)).mean(),
            lambda both: both[0].mean((1, 2, 3)).std() + 25,
            lambda both: both[0].std((1, 2)).mean(),
            lambda both: both[1].mean() * 1000,
        ):
            assert figure(ours) == pytest.approx(figure(was), rel=0.12), (group, figure(ours), figure(was))


def test_shade_slopes_along_both_axes_and_keeps_the_middle() -> None:
    frames = torch.full((64, 3, 41, 41), 100.0)
    image = light.shade(frames, 0.5, Draw(torch.device("cpu"), 0))
    assert torch.equal(image[:, :1].expand(-1, 3, -1, -1), image)  # light has no colour of its own
    across, down = (image[:, 0, 20, 40] / image[:, 0, 20, 0]).log(), (image[:, 0, 40, 20] / image[:, 0, 0, 20]).log()
    for slope in (across, down):
        assert slope.abs().max() <= 1.0
        assert slope.std() > 0.4
    assert abs(float(torch.corrcoef(torch.stack([across, down]))[0, 1])) < 0.4
    assert float((image.log().mean((1, 2, 3)) - np.log(100)).abs().max()) < 0.03
