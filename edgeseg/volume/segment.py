"""A CT volume through a network made for frames, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg.atomic import atomic_write, disk_errors
from edgeseg.errors import ModelError
from edgeseg.model import Model
from edgeseg.postprocess import mask_of
from edgeseg.volume.masks import Mask, drop_small, write_mask
from edgeseg.volume.places import MASK, SURFACES
from edgeseg.volume.series import Series, read_series, window
from edgeseg.volume.surface import surface, write_glb, write_png, write_stl

Predict = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def segment(series: Series, predict: Predict, center_hu: float, width_hu: float, min_volume: float = 0.0003) -> Mask:
    """Runs every slice and drops specks in 3-D.

    Args:
        series: the volume.
        predict: uint8 BGR frame [H, W, 3] → class index uint8 [H, W]; every class but 0 counts.
        center_hu: of the manifest's ``frame.window``.
        width_hu: likewise.
        min_volume: components under this share of all target voxels are dropped; the paper's 0.03 %.

    Returns:
        bool [Z, H, W].
    """
    mask = np.stack([predict(window(part, center_hu, width_hu)) > 0 for part in series.hu])
    return drop_small(mask, min_volume)


def infer_series(model: Model, folder: Path, out: Path) -> Mask:
    """A DICOM folder → ``out``/mask.nii.gz, surface.stl, surface.glb and surface.png.

    The window and the share under which components are dropped (in 3-D) are the manifest's. An empty
    mask is written as such, without a surface: that of an earlier run goes.

    Args:
        model: trained on CT; see :func:`edgeseg.open`.
        folder: of one series.
        out: folder to write to.

    Raises:
        ModelError: the model names no CT window.
        DataError: the folder holds no one complete series.
        OutputError: the disk refused.
    """
    spec = model.spec
    if spec.frame.window is None:
        raise ModelError(f"{model.source.path}: names no CT window, so it takes no DICOM series; use a model for CT")

    def predict(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        result = model(frame)
        # Specks are dropped from the volume, not slice by slice: a vessel that crosses a slice is a speck there.
        return mask_of(fit.back(result.probability, result.placement, spec.output.upsample), model.thresholds)

    series = read_series(folder)
    mask = segment(series, predict, spec.frame.window.center_hu, spec.frame.window.width_hu, spec.output.min_area)
    found = bool(mask.any())
    for name in SURFACES if not found else ():
        with disk_errors(out / name):
            (out / name).unlink(missing_ok=True)
    write_mask(out / MASK, mask, series)
    if found:
        mesh = surface(mask, series)
        write_stl(out / "surface.stl", mesh)
        write_glb(out / "surface.glb", mesh)
        write_png(out / "surface.png", mesh)
    return mask


def write_slices(patient: str, series: Series, mask: Mask, out: Path, center_hu: float, width_hu: float) -> int:
    """Adds a labelled volume to a ``folder`` data set to train on: ``images/``, ``masks/`` and ``groups.csv``.

    The window is the one that the recipe's input names: a frame in training is the frame on the device.

    Args:
        patient: a name without "/" or ","; its slices are PATIENT-NNNN and stay in one split.
        series: the volume.
        mask: bool [Z, H, W].
        out: the data set's folder, new or with other patients.
        center_hu: of the window.
        width_hu: of the window.

    Returns:
        Slices written: all of them, those without vessel too.

    Raises:
        OutputError: the disk refused.
    """
    rows = (out / "groups.csv").read_text(encoding="utf-8") if (out / "groups.csv").is_file() else "stem,group\n"
    for index, (hu, truth) in enumerate(zip(series.hu, mask, strict=True)):
        stem = f"{patient}-{index:04d}"
        for part, image in (("images", window(hu, center_hu, width_hu)), ("masks", truth.astype(np.uint8) * 255)):
            atomic_write(out / part / f"{stem}.png", cv2.imencode(".png", image)[1].tobytes())
        rows += f"{stem},{patient}\n"
    atomic_write(out / "groups.csv", rows)
    return len(mask)
