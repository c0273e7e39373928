"""Figures against torchmetrics, and the conventions that no library shares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_f1_score,
    binary_jaccard_index,
    binary_recall,
    binary_specificity,
)

from edgeseg import metrics

THEIRS = {
    "dice": binary_f1_score,
    "iou": binary_jaccard_index,
    "sensitivity": binary_recall,
    "specificity": binary_specificity,
    "accuracy": binary_accuracy,
}
YES, NO = np.ones((4, 5), bool), np.zeros((4, 5), bool)


def draw(seed: int, shape: tuple[int, int] = (40, 50)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(shape) < rng.uniform(0.05, 0.9)
    probability = np.clip(truth * 0.3 + rng.random(shape) * 0.8, 0, 1).astype(np.float32)
    return probability, probability > 0.55, truth


@pytest.mark.parametrize("seed", range(8))
def test_against_torchmetrics(seed: int) -> None:
    probability, predicted, truth = draw(seed)
    figures = metrics.count(predicted, truth).figures()
    for name, theirs in THEIRS.items():
        wanted = float(theirs(torch.from_numpy(predicted.astype(int)), torch.from_numpy(truth.astype(int))))
        assert figures[name] == pytest.approx(wanted, abs=1e-6), name
    for values in (probability, np.rint(probability * 255).astype(np.uint8)):
        exact = torch.from_numpy(values.astype(np.float64) / (255 if values.dtype == np.uint8 else 1))
        wanted = float(binary_auroc(exact, torch.from_numpy(truth.astype(int))))
        assert metrics.auc(*metrics.histograms(values, truth)) == pytest.approx(wanted, abs=2e-5)


def test_ties_count_half() -> None:
    truth = np.array([True, False, True, False])
    assert metrics.auc(*metrics.histograms(np.full(4, 7, np.uint8), truth)) == 0.5
    assert metrics.auc(*metrics.histograms(np.array([9, 1, 9, 1], np.uint8), truth)) == 1.0
    assert metrics.auc(*metrics.histograms(np.array([1, 9, 1, 9], np.uint8), truth)) == 0.0
    assert metrics.auc(*metrics.histograms(np.array([5, 5, 9, 1], np.uint8), truth)) == 0.875


def test_ends_of_float_probability_fall_into_bins() -> None:
    target, other = metrics.histograms(np.array([0.0, 1.0], np.float32), np.array([True, False]))
    assert (target[0], other[-1]) == (1, 1)
    assert target.size == other.size == metrics.POOL_BINS


@pytest.mark.parametrize(
    ("predicted", "truth", "wanted"),
    [
        (NO, NO, {"dice": 1.0, "iou": 1.0, "sensitivity": None, "specificity": 1.0, "accuracy": 1.0}),
        (YES, NO, {"dice": 0.0, "iou": 0.0, "sensitivity": None, "specificity": 0.0, "accuracy": 0.0}),
        (NO, YES, {"dice": 0.0, "iou": 0.0, "sensitivity": 0.0, "specificity": None, "accuracy": 0.0}),
        (YES, YES, {"dice": 1.0, "iou": 1.0, "sensitivity": 1.0, "specificity": None, "accuracy": 1.0}),
    ],
)
def test_empty_masks(predicted: np.ndarray, truth: np.ndarray, wanted: dict[str, float | None]) -> None:
    assert metrics.count(predicted, truth).figures() == wanted
    image = metrics.Tally().add("a", predicted.astype(np.uint8) * 255, predicted, truth)
    assert image.figures["auc"] is None


def test_means_leave_out_what_has_no_denominator() -> None:
    tally = metrics.Tally()
    tally.add("empty", np.zeros((4, 5), np.uint8), NO, NO)
    truth = NO.copy()
    truth[:2] = True
    tally.add("half", truth.astype(np.uint8) * 200, truth & (np.arange(5) < 4), truth)
    per_image = tally.per_image()
    assert per_image["sensitivity"] == pytest.approx(0.8)
    assert per_image["dice"] == pytest.approx((1 + 16 / 18) / 2)
    assert per_image["auc"] == 1.0
    assert list(per_image) == list(metrics.FIGURES)
    only = metrics.Tally()
    only.add("empty", np.zeros((4, 5), np.uint8), NO, NO)
    assert "sensitivity" not in only.per_image()
    assert "auc" not in only.pooled()
    assert metrics.Tally().per_image() == metrics.Tally().pooled() == {}


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_pooled_is_one_big_image(dtype: type) -> None:
    drawn = [draw(seed, (20 + seed, 30)) for seed in range(4)]
    if dtype is np.uint8:
        drawn = [(np.rint(p * 255).astype(np.uint8), m, t) for p, m, t in drawn]
    tally = metrics.Tally()
    for number, (probability, predicted, truth) in enumerate(drawn):
        tally.add(str(number), probability, predicted, truth)
    whole = metrics.Tally()
    joined = [np.concatenate([one[part].ravel() for one in drawn])[None] for part in range(3)]
    whole.add("all", *joined)
    assert tally.pooled() == pytest.approx(whole.pooled())
    assert whole.pooled() == pytest.approx(whole.per_image())


def test_pixels_outside_of_the_area_do_not_count() -> None:
    probability, predicted, truth = draw(3)
    area = np.zeros(truth.shape, bool)
    area[5:30, 10:40] = True
    tally, part = metrics.Tally(), metrics.Tally()
    tally.add("a", probability, predicted, truth, area)
    part.add("a", probability[5:30, 10:40], predicted[5:30, 10:40], truth[5:30, 10:40])
    assert tally.pooled() == part.pooled()


def test_worst_first() -> None:
    tally = metrics.Tally()
    for name, columns in (("b", 3), ("a", 3), ("c", 1), ("d", 5)):
        predicted = YES & (np.arange(5) < columns)
        tally.add(name, predicted.astype(np.uint8), predicted, YES)
    assert [image.name for image in tally.worst(3)] == ["c", "a", "b"]
    assert len(tally.worst(99)) == 4


def test_bootstrap() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 200).tolist()
    low, high = metrics.bootstrap_ci95(values) or (0, 0)
    half = 1.96 * float(np.std(values)) / 200**0.5
    assert low == pytest.approx(np.mean(values) - half, abs=0.004)
    assert high == pytest.approx(np.mean(values) + half, abs=0.004)
    assert metrics.bootstrap_ci95(values) == (low, high)
    assert metrics.bootstrap_ci95([0.25]) is None


def test_bootstrap_draws_groups_first() -> None:
    """Ten frames of one polyp are one polyp: an interval by frames would be too narrow by the root of ten."""
    rng = np.random.default_rng(0)
    polyps = rng.normal(0.5, 0.1, 40)
    values, groups = np.repeat(polyps, 10).tolist(), np.repeat(np.arange(40), 10).tolist()
    one_by_one, by_polyp, once = (
        metrics.bootstrap_ci95(*words) for words in ((values,), (values, groups), (polyps.tolist(),))
    )
    assert one_by_one is not None
    assert by_polyp == pytest.approx(once)
    assert by_polyp[1] - by_polyp[0] == pytest.approx((one_by_one[1] - one_by_one[0]) * 10**0.5, rel=0.1)
    # Frames of no known group stand by themselves, and are no group together.
    assert metrics.bootstrap_ci95(values, [None] * 400) == one_by_one
    assert metrics.bootstrap_ci95(values[:10], groups[:10]) is None
    assert metrics.bootstrap_ci95([0.0, 0.0, 1.0], ["a", "a", None]) == (0.0, 1.0)
    with pytest.raises(ValueError, match="zip"):
        metrics.bootstrap_ci95(values, groups[:10])


def test_bootstrap_where_groups_say_nothing() -> None:
    """Frames that are no more alike in a group than others: at most 1.4 times as wide as by frames."""
    values = np.random.default_rng(0).normal(0.5, 0.1, 1000).tolist()
    by_frame = metrics.bootstrap_ci95(values) or (0, 0)
    by_group = metrics.bootstrap_ci95(values, np.repeat(np.arange(200), 5).tolist()) or (0, 0)
    assert 1.1 < (by_group[1] - by_group[0]) / (by_frame[1] - by_frame[0]) < 1.5


def test_bootstrap_of_few_groups_covers_too_little() -> None:
    """Sequences of alike frames, as docs/data.md says: three hold in three quarters of cases, five in five sixths."""
    rng = np.random.default_rng(0)
    held = {}
    for number, least, most in ((3, 0.7, 0.81), (5, 0.78, 0.89), (30, 0.9, 0.98)):
        hits = 0
        for _ in range(400):
            values = (rng.normal(0.0, 1.0, (number, 1)) + rng.normal(0.0, 0.3, (number, 10))).ravel()
            groups = np.repeat(np.arange(number), 10).tolist()
            low, high = metrics.bootstrap_ci95(values.tolist(), groups, draws=400) or (0, 0)
            hits += low <= 0 <= high
        held[number] = hits / 400
        assert least < held[number] < most, held


def test_bootstrap_of_two_groups_that_agree() -> None:
    """By whole groups the interval would be a point; the frames in them differ."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 0.1, 60)
    values -= np.repeat(values.reshape(2, 30).mean(1), 30)
    low, high = metrics.bootstrap_ci95(values.tolist(), ["a"] * 30 + ["b"] * 30) or (0, 0)
    by_frame = metrics.bootstrap_ci95(values.tolist()) or (0, 0)
    assert high - low == pytest.approx(by_frame[1] - by_frame[0], rel=0.1)
