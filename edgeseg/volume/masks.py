"""Masks of a volume: from NIfTI or a DICOM mask series, to NIfTI, and without their specks."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform
from numpy.typing import NDArray
from skimage.measure import label

from edgeseg.atomic import atomic_path
from edgeseg.errors import DataError
from edgeseg.volume.series import Series, read_series

Mask = NDArray[np.bool_]


def read_mask(path: Path, series: Series) -> Mask:
    """The mask of a series: a ``.nii``/``.nii.gz`` file in any orientation, or a folder with a DICOM series.

    Returns:
        bool [Z, H, W], on the series' own grid; every value over 0 is target.

    Raises:
        DataError: unreadable, or on another grid (size, spacing or place).
    """
    if path.is_dir():
        other = read_series(path)
        _same_place(path, other.hu.shape, other.affine, series)
        return other.hu > 0
    try:
        image = nibabel.load(path)
        data, affine = np.asanyarray(image.dataobj), np.asarray(image.affine, np.float64)
    except (OSError, ImageFileError, ValueError, EOFError) as error:
        raise DataError(f"{path}: is no readable NIfTI file ({error})") from error
    if data.ndim != 3:
        raise DataError(f"{path}: has {data.ndim} axes, a mask has 3")
    turn = ornt_transform(io_orientation(affine), io_orientation(series.affine))
    turned = apply_orientation(data, turn)
    affine = affine @ nibabel.orientations.inv_ornt_aff(turn, data.shape)
    _same_place(path, turned.shape[::-1], affine, series)
    return np.ascontiguousarray(turned.transpose(2, 1, 0) > 0)


def _same_place(path: Path, shape: tuple[int, ...], affine: NDArray[np.float64], series: Series) -> None:
    if shape != series.hu.shape:
        raise DataError(f"{path}: has {shape} voxels (slices, rows, columns) but the series {series.hu.shape}")
    corners = np.array([[0, 0, 0, 1], [shape[2] - 1, shape[1] - 1, shape[0] - 1, 1]], np.float64).T
    off = float(np.abs(affine @ corners - series.affine @ corners).max())
    if off > 0.5 * min(series.spacing):
        raise DataError(f"{path}: lies {off:.1f} mm away from the series; it belongs to another one")


def write_mask(path: Path, mask: Mask, series: Series) -> None:
    """Writes ``mask`` [Z, H, W] as NIfTI (uint8, 0 and 1) in the place of its series; ``path`` ends in .nii or .nii.gz.

    Raises:
        OutputError: the disk refused.
    """
    image = nibabel.Nifti1Image(mask.transpose(2, 1, 0).astype(np.uint8), series.affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        temporary.write_bytes(_packed(image.to_bytes()) if path.suffix == ".gz" else image.to_bytes())


def _packed(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)  # no time inside: equal masks are equal files


def drop_small(mask: Mask, share: float = 0.0003) -> Mask:
    """Removes 26-connected components under ``share`` of the whole mask's volume (the paper's 0.03 %)."""
    parts, number = label(mask, connectivity=3, return_num=True)
    if not number:
        return mask.copy()
    volumes = np.bincount(parts.ravel())
    keep = volumes >= share * int(volumes[1:].sum())
    keep[0] = False
    return np.asarray(keep[parts], np.bool_)
