"""A DICOM series of CT slices as one volume in Hounsfield units with its place in the patient."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Slice
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, UncompressedTransferSyntaxes

from edgeseg.errors import DataError
from edgeseg.volume import is_dicom

# Of the distance between neighbours: more is a missing slice or a tilted gantry, not rounding.
SPACING_TOLERANCE = 0.02
MAX_BYTES = 2 << 30
# pydicom parses a value when it is first looked at, and raises whatever its converters and codecs raise.
_UNREADABLE = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    AttributeError,
    RuntimeError,  # and NotImplementedError
    struct.error,
)
_MODALITIES = ("CT", "OT", "SEG")  # the last two as mask series are exported


@dataclass(frozen=True)
class Series:
    """A volume.

    ``hu`` int16 [Z, H, W]; ``affine`` float64 [4, 4] takes (column, row, slice) to millimetres right,
    anterior, superior, as NIfTI does.
    """

    hu: NDArray[np.int16]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between slices, rows, columns."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[2]), float(lengths[1]), float(lengths[0])


def read_series(folder: Path) -> Series:
    """Reads the one series in a folder, slices sorted by their position along the axis.

    Raises:
        DataError: no DICOM file, several series, slices of several sizes, a missing or doubled slice, a tilted
            gantry, no CT slice, compressed pixels that no installed codec reads, or more than 2 GB.
    """
    files = sorted(file for file in folder.iterdir() if is_dicom(file)) if folder.is_dir() else []
    if not files:
        raise DataError(f"{folder}: no DICOM file in it; give the folder of one CT series")
    slices = [_read(file) for file in files]
    series = sorted({str(s.get("SeriesInstanceUID", "")) for s in slices})
    if len(series) > 1:
        raise DataError(f"{folder}: {len(series)} series in one folder ({series[0]}, …); give a folder with one")
    first = slices[0]
    if len(files) * first.Rows * first.Columns * 2 > MAX_BYTES:
        raise DataError(
            f"{folder}: {len(files)} slices of {first.Columns}x{first.Rows} are over 2 GB; split the series"
        )
    for file, part in zip(files, slices, strict=True):
        _same_grid(file, part, first)
    along = np.cross(*_directions(first))
    heights = [float(np.dot(along, np.asarray(part.ImagePositionPatient, np.float64))) for part in slices]
    order = np.argsort(heights, kind="stable")
    step = _step(folder, np.asarray(heights)[order], [files[i].name for i in order], first)
    _not_tilted(files, slices, along)
    hu = np.stack([_hounsfield(files[i], slices[i]) for i in order])
    return Series(hu, _affine(slices[order[0]], along * step))


def _read(file: Path) -> Slice:
    try:
        part = pydicom.dcmread(file)
        wrong = _wrong(part)
    except _UNREADABLE as error:
        raise DataError(f"{file}: is no readable DICOM file ({error})") from error
    if wrong:
        raise DataError(f"{file}: is no CT slice, {wrong}")
    return part


def _wrong(part: Slice) -> str:
    """Why a file cannot be a slice of a CT (or mask) series; nothing if it can."""
    needed = ("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "PixelData")
    missing = [name for name in needed if name not in part or part[name].value in (None, "", b"")]
    if missing:
        return f"it has no {missing[0]}"
    modality = str(part.get("Modality") or "CT")
    if modality not in _MODALITIES:
        return f"its modality is {modality}"
    if int(part.get("NumberOfFrames") or 1) != 1 or int(part.get("SamplesPerPixel") or 1) != 1:
        return "it holds several frames or a colour picture"
    values = {name: np.atleast_1d(np.asarray(part[name].value, np.float64)) for name in needed[:5]}
    for name, count in zip(needed, (1, 1, 3, 6, 2), strict=False):
        if values[name].shape != (count,) or not np.isfinite(values[name]).all():
            return f"its {name} is not {count} number{'s' * (count > 1)}"
    for name in ("RescaleSlope", "RescaleIntercept"):
        if part.get(name) is not None and not np.isfinite(float(part[name].value)):
            return f"its {name} is no number"
    for name in ("SeriesInstanceUID", "SliceThickness"):  # parsed here, where what cannot be parsed is told
        part.get(name)
    if values["Rows"] < 1 or values["Columns"] < 1 or values["PixelSpacing"].min() <= 0:
        return "its size or its spacing is not above 0"
    axes = values["ImageOrientationPatient"].reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-3):
        return "its ImageOrientationPatient is not two unit vectors at a right angle"
    return ""


def _not_tilted(files: list[Path], slices: list[Slice], along: NDArray[np.float64]) -> None:
    """Slices must stand straight above each other: a sheared volume has no place in an affine of three right angles."""
    places = np.asarray([part.ImagePositionPatient for part in slices], np.float64)
    aside = (places - places[0]) - np.outer((places - places[0]) @ along, along)
    off = np.linalg.norm(aside, axis=1)
    if off.max() > 0.5 * min(float(value) for value in slices[0].PixelSpacing):
        raise DataError(
            f"{files[int(off.argmax())]}: stands {off.max():.1f} mm aside of {files[0].name}; the gantry was tilted: "
            "resample the series to upright slices first"
        )


def _directions(part: Slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along a row (columns grow) and along a column (rows grow), in the patient's LPS."""
    cosines = np.asarray(part.ImageOrientationPatient, np.float64)
    return cosines[:3], cosines[3:]


def _same_grid(file: Path, part: Slice, first: Slice) -> None:
    same = (part.Rows, part.Columns) == (first.Rows, first.Columns)
    for name in ("ImageOrientationPatient", "PixelSpacing"):
        same = same and np.allclose(
            np.asarray(part[name].value, float), np.asarray(first[name].value, float), atol=1e-4
        )
    if not same:
        raise DataError(f"{file}: size, spacing or orientation differ from the other slices; give one series alone")


def _step(folder: Path, heights: NDArray[np.float64], names: list[str], first: Slice) -> float:
    if len(heights) == 1:
        return float(first.get("SliceThickness", 1.0) or 1.0)
    steps = np.diff(heights)
    step = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - step) > SPACING_TOLERANCE * step + 1e-6)
    if step <= 0 or odd.size:
        at = int(odd[0]) if odd.size else 0
        raise DataError(
            f"{folder}: {names[at]} and {names[at + 1]} are {steps[at]:.3f} mm apart, the others {step:.3f}; "
            "a slice is missing or doubled"
        )
    return step


def _syntax(part: Slice) -> UID | None:
    """Of the pixels; None where the header does not say, or not readably."""
    try:
        return part.file_meta.TransferSyntaxUID
    except _UNREADABLE:
        return None


def _hounsfield(file: Path, part: Slice) -> NDArray[np.int16]:
    try:
        pixels = part.pixel_array
    except _UNREADABLE as error:
        # A header without its syntax is one reason to be here.
        known = _syntax(part)
        syntax = known.name if known is not None else "of no stated syntax"
        plain = known is None or known in UncompressedTransferSyntaxes
        remedy = "the file is cut short or damaged, export it again" if plain else "store the series uncompressed"
        raise DataError(f"{file}: pixels ({syntax}) cannot be decoded; {remedy}") from error
    if pixels.shape != (part.Rows, part.Columns):
        raise DataError(
            f"{file}: its pixels have the shape {pixels.shape}, not rows and columns; export the slice again"
        )
    slope, intercept = part.get("RescaleSlope"), part.get("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)
    hu: NDArray[np.float32] = np.rint(np.asarray(pixels, np.float32) * slope + intercept)
    return hu.clip(-32768, 32767).astype(np.int16)


def _affine(lowest: Slice, step: NDArray[np.float64]) -> NDArray[np.float64]:
    across, down = _directions(lowest)
    row_spacing, column_spacing = (float(value) for value in lowest.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = across * column_spacing, down * row_spacing, step
    affine[:3, 3] = np.asarray(lowest.ImagePositionPatient, np.float64)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # DICOM's left, posterior → NIfTI's right, anterior


def window(hu: NDArray[np.int16], center: float, width: float) -> NDArray[np.uint8]:
    """Hounsfield units → grey 0–255: linear from ``center`` − ``width``/2 to ``center`` + ``width``/2, rounded.

    Returns:
        uint8 [..., 3], the grey in B, G and R: a frame for the network.
    """
    grey = np.clip((hu.astype(np.float32) - (center - width / 2)) / width, 0.0, 1.0) * 255.0
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=-1)
