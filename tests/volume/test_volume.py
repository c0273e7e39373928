"""The CTA path on a synthetic vessel tree: series, window, masks, specks, surface."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

# `make test` installs the extra; who installs by hand may leave it out (VTK alone is 565 MB).
for name in ("nibabel", "pydicom", "trimesh", "pyvista"):
    pytest.importorskip(name, reason="pip install 'edgeseg[cta]'")

import nibabel
import pydicom
import trimesh
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

import edgeseg
from edgeseg.atomic import writer_lock
from edgeseg.backends.base import EngineInfo
from edgeseg.bundle import Source, Spec
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError, ModelError
from edgeseg.manifest import Output, Task
from edgeseg.model import Model
from edgeseg.train import recipe as recipes
from edgeseg.train.run import frame_of
from edgeseg.volume import is_series
from edgeseg.volume.masks import drop_small, read_mask, write_mask
from edgeseg.volume.segment import infer_series, segment, write_slices
from edgeseg.volume.series import read_series, window
from edgeseg.volume.surface import surface

SPACING = (1.25, 0.5, 0.5)
ORIGIN = (-20.0, -16.0, 100.0)


@dataclass(frozen=True)
class Tree:
    """The folder and what is in it: ``truth`` bool [Z, H, W]."""

    folder: Path
    truth: NDArray[np.bool_]


def vessel_tree(shape: tuple[int, int, int] = (24, 64, 80)) -> NDArray[np.bool_]:
    """A trunk that forks twice, radius 3.2 falling to 1.2 voxels."""
    truth = np.zeros(shape, bool)
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]

    def tube(start: tuple[float, ...], end: tuple[float, ...], radius: float) -> None:
        for t in np.linspace(0.0, 1.0, 60):
            c = [a + (b - a) * t for a, b in zip(start, end, strict=True)]
            truth[(z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2 <= radius**2] = True

    tube((2, 32, 40), (9, 32, 40), 3.2)
    for side in (-1, 1):
        tube((9, 32, 40), (15, 32 + 8 * side, 40 + 12 * side), 2.2)
        for fork in (-1, 1):
            tube((15, 32 + 8 * side, 40 + 12 * side), (21, 32 + 8 * side + 9 * fork, 40 + 20 * side), 1.3)
    return truth


def write_dicom(folder: Path, hu: NDArray[np.int16], series_uid: str, skip: tuple[int, ...] = ()) -> None:
    """Slices in a shuffled file order, intercept −1024, head first."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(len(hu))
    for name, index in enumerate(order):
        if index in skip:
            continue
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = folder / f"IM{name:04d}"
        part = FileDataset(str(file), {}, file_meta=meta, preamble=b"\0" * 128)
        part.SOPClassUID, part.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        part.SeriesInstanceUID, part.Modality = series_uid, "CT"
        part.Rows, part.Columns = hu.shape[1:]
        part.PixelSpacing = [SPACING[1], SPACING[2]]
        part.SliceThickness = SPACING[0]
        part.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        part.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + SPACING[0] * int(index)]
        part.SamplesPerPixel, part.PhotometricInterpretation = 1, "MONOCHROME2"
        part.BitsAllocated, part.BitsStored, part.HighBit, part.PixelRepresentation = 16, 16, 15, 0
        part.RescaleIntercept, part.RescaleSlope = -1024, 1
        part.PixelData = (hu[index].astype(np.int32) + 1024).astype(np.uint16).tobytes()
        pydicom.dcmwrite(file, part, enforce_file_format=True)


def angiogram(truth: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Contrast at 350 HU in brain at 40 HU, noise of 10, air outside."""
    noise = np.random.default_rng(1).normal(0.0, 10.0, truth.shape)
    hu = np.where(truth, 350.0, 40.0) + noise
    hu[:, :3] = -1000.0
    return np.rint(hu).astype(np.int16)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    truth = vessel_tree()
    write_dicom(tmp_path / "cta", angiogram(truth), generate_uid())
    return Tree(tmp_path / "cta", truth)


class Threshold:
    """An engine that says 255 where grey is over 150."""

    shape = (1, 64, 80, 3)

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.where(frames[..., 0] > 150, 255, 0).astype(np.uint8)[:, None]

    def close(self) -> None:
        pass


def model_of(recipe: str) -> Model:
    """A model of the recipe's frame, at the size of the test's slices, around that engine."""
    loaded, _ = recipes.load(recipe)
    frame = frame_of(loaded).model_copy(update={"height": 64, "width": 80})
    output = Output(channels=1, height=64, width=80, min_area=loaded.min_area)
    task = Task(kind="segmentation", modality=loaded.modality, network="dnlnet")
    spec = Spec(task=task, classes=loaded.classes, frame=frame, output=output)
    info = EngineInfo("threshold", "1", "fp32", "test", "test")
    return Model(Source("graph", "test", Path("test"), spec), (Threshold(), info))


def threshold(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stands in for a network: with window 250/500, contrast is over grey 150."""
    return (frame[..., 0] > 150).astype(np.uint8)


def test_a_series_is_read_in_order_with_its_place(tree: Tree) -> None:
    assert is_series(tree.folder)
    series = read_series(tree.folder)
    np.testing.assert_array_equal(series.hu, angiogram(tree.truth))
    assert series.spacing == pytest.approx(SPACING)
    # Column 10, row 4, slice 2 in DICOM's LPS, turned to RAS.
    left, posterior, superior = ORIGIN[0] + 5.0, ORIGIN[1] + 2.0, ORIGIN[2] + 2.5
    np.testing.assert_allclose(series.affine @ [10, 4, 2, 1], [-left, -posterior, superior, 1])


def test_a_missing_slice_is_refused(tmp_path: Path) -> None:
    write_dicom(tmp_path / "s", angiogram(vessel_tree()), generate_uid(), skip=(7,))
    with pytest.raises(DataError, match="missing or doubled"):
        read_series(tmp_path / "s")


def test_two_series_in_one_folder_are_refused(tree: Tree) -> None:
    write_dicom(tree.folder / "more", angiogram(tree.truth), generate_uid())
    for file in (tree.folder / "more").iterdir():
        file.rename(tree.folder / f"b{file.name}")
    (tree.folder / "more").rmdir()
    with pytest.raises(DataError, match="2 series"):
        read_series(tree.folder)


def test_no_dicom_is_refused(tmp_path: Path) -> None:
    assert not is_series(tmp_path)
    with pytest.raises(DataError, match="no DICOM file"):
        read_series(tmp_path)


def test_damaged_dicom_is_refused(tree: Tree) -> None:
    file = next(tree.folder.iterdir())
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=file.name):
        read_series(tree.folder)


def test_a_slice_that_names_no_transfer_syntax_is_refused(tree: Tree) -> None:
    file = min(tree.folder.iterdir())
    part = pydicom.dcmread(file)
    del part.file_meta.TransferSyntaxUID
    pydicom.dcmwrite(file, part, enforce_file_format=False, implicit_vr=False, little_endian=True)
    with pytest.raises(DataError, match="of no stated syntax.*cannot be decoded; the file is"):
        read_series(tree.folder)


def change(folder: Path, edit: Callable[[FileDataset], None]) -> None:
    """Edits the header of every slice."""
    for file in sorted(folder.iterdir()):
        part = pydicom.dcmread(file)
        edit(part)
        pydicom.dcmwrite(file, part, enforce_file_format=True)


def colour(part: FileDataset) -> None:
    part.SamplesPerPixel, part.PhotometricInterpretation, part.PlanarConfiguration = 3, "RGB", 0
    part.BitsAllocated, part.BitsStored, part.HighBit = 8, 8, 7
    part.PixelData = bytes(part.Rows * part.Columns * 3)


def tilt(part: FileDataset) -> None:
    x, y, z = (float(value) for value in part.ImagePositionPatient)
    part.ImagePositionPatient = [x, y + 0.3 * (z - ORIGIN[2]), z]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_damaged_bytes_are_read_or_told(tree: Tree) -> None:
    """Bytes of a slice's header and pixels overwritten, or its end missing: never another error than ours."""
    file = min(tree.folder.iterdir())
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    told = 0
    for turn in range(150):
        data = bytearray(whole)
        for at in rng.integers(132, 900 if turn % 2 else len(data), 4):
            data[at] = rng.integers(256)
        file.write_bytes(data[: int(rng.integers(132, len(data)))] if turn % 5 == 0 else data)
        try:
            read_series(tree.folder)
        except DataError:
            told += 1
    assert told > 20


def damage(part: FileDataset) -> None:
    part.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
    part.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    part["PixelData"].is_undefined_length = True


HOSTILE: dict[str, tuple[Callable[[FileDataset], None], str]] = {
    "colour": (colour, "several frames or a colour picture"),
    "several frames": (lambda part: setattr(part, "NumberOfFrames", 2), "several frames"),
    "another modality": (lambda part: setattr(part, "Modality", "MR"), "its modality is MR"),
    "no size": (lambda part: setattr(part, "Rows", 0), "not above 0"),
    "no spacing": (lambda part: setattr(part, "PixelSpacing", [0, 0]), "not above 0"),
    "one spacing": (lambda part: setattr(part, "PixelSpacing", [1]), "PixelSpacing is not 2 numbers"),
    "empty position": (lambda part: setattr(part, "ImagePositionPatient", None), "no ImagePositionPatient"),
    "flat position": (lambda part: setattr(part, "ImagePositionPatient", [0, 0]), "not 3 numbers"),
    "no direction": (lambda part: setattr(part, "ImageOrientationPatient", [0] * 6), "two unit vectors"),
    "tilted gantry": (tilt, "the gantry was tilted"),
    "one place": (lambda part: setattr(part, "ImagePositionPatient", [0, 0, 0]), "missing or doubled"),
    "short pixels": (lambda part: setattr(part, "PixelData", part.PixelData[:100]), "decoded; the file is cut short"),
    "damaged compressed pixels": (damage, "JPEG 2000.*cannot be decoded; store the series uncompressed"),
    "65535 x 65535": (lambda part: (setattr(part, "Rows", 65535), setattr(part, "Columns", 65535)), "over 2 GB"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says when a value is odd, too
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_ct_series_is_refused_in_one_sentence(tree: Tree, name: str) -> None:
    edit, message = HOSTILE[name]
    change(tree.folder, edit)
    with pytest.raises(DataError, match=message) as error:
        read_series(tree.folder)
    assert str(tree.folder) in str(error.value)


def test_run_length_encoding_and_an_empty_slope_are_read(tree: Tree) -> None:
    def edit(part: FileDataset) -> None:
        part.RescaleSlope = None
        part.compress(pydicom.uid.RLELossless)

    change(tree.folder, edit)
    np.testing.assert_array_equal(read_series(tree.folder).hu, angiogram(tree.truth))


def test_a_doubled_slice_is_refused(tree: Tree) -> None:
    file = min(tree.folder.iterdir())
    (tree.folder / "again").write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="missing or doubled"):
        read_series(tree.folder)


def test_window_is_linear_and_clipped() -> None:
    hu = np.array([[-2000, 0, 250, 500, 3000]], np.int16)
    np.testing.assert_array_equal(window(hu, 250, 500)[0, :, 1], [0, 0, 128, 255, 255])


def test_masks_round_trip_through_nifti(tree: Tree, tmp_path: Path) -> None:
    series = read_series(tree.folder)
    write_mask(tmp_path / "m.nii.gz", tree.truth, series)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.nii.gz", series), tree.truth)
    assert nibabel.load(tmp_path / "m.nii.gz").header.get_zooms() == pytest.approx(SPACING[::-1])


def test_a_mask_in_another_orientation_is_turned(tree: Tree, tmp_path: Path) -> None:
    series = read_series(tree.folder)
    write_mask(tmp_path / "m.nii", tree.truth, series)
    nibabel.save(nibabel.as_closest_canonical(nibabel.load(tmp_path / "m.nii")), tmp_path / "ras.nii")
    stored = nibabel.load(tmp_path / "ras.nii")
    assert not np.allclose(stored.affine, series.affine)
    np.testing.assert_array_equal(read_mask(tmp_path / "ras.nii", series), tree.truth)


def test_a_mask_of_another_place_is_refused(tree: Tree, tmp_path: Path) -> None:
    series = read_series(tree.folder)
    affine = series.affine.copy()
    affine[2, 3] += 30.0
    nibabel.save(nibabel.Nifti1Image(tree.truth.transpose(2, 1, 0).astype(np.uint8), affine), tmp_path / "off.nii")
    with pytest.raises(DataError, match=r"30\.0 mm away"):
        read_mask(tmp_path / "off.nii", series)
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), series.affine), tmp_path / "small.nii")
    with pytest.raises(DataError, match="voxels"):
        read_mask(tmp_path / "small.nii", series)


def test_a_mask_series_in_dicom_is_read(tree: Tree, tmp_path: Path) -> None:
    write_dicom(tmp_path / "mask", tree.truth.astype(np.int16) * 255, generate_uid())
    np.testing.assert_array_equal(read_mask(tmp_path / "mask", read_series(tree.folder)), tree.truth)


def test_specks_under_the_share_go_and_the_tree_stays(tree: Tree) -> None:
    noisy = tree.truth.copy()
    noisy[0, 0, 0] = noisy[1, 1, 1] = True  # 2 voxels that touch by a corner
    noisy[20:23, 60:63, 2:5] = True  # 27 voxels
    total = np.count_nonzero(noisy)
    kept = drop_small(noisy, 3 / total)
    assert not kept[0, 0, 0]
    assert kept[21, 61, 3]
    assert drop_small(noisy, 2 / total)[0, 0, 0]
    np.testing.assert_array_equal(drop_small(noisy, 28 / total), tree.truth)
    assert not drop_small(np.zeros((3, 3, 3), bool)).any()


def test_slice_by_slice_finds_the_tree(tree: Tree) -> None:
    mask = segment(read_series(tree.folder), threshold, 250, 500)
    np.testing.assert_array_equal(mask, tree.truth)


def test_the_surface_is_closed_and_in_place(tree: Tree) -> None:
    series = read_series(tree.folder)
    mesh = surface(tree.truth, series)
    assert mesh.is_watertight
    volume = np.count_nonzero(tree.truth) * np.prod(SPACING)
    assert mesh.volume == pytest.approx(volume, rel=0.15)
    centre = np.mean(np.nonzero(tree.truth), axis=1)[::-1] * SPACING[::-1] + ORIGIN
    np.testing.assert_allclose(mesh.center_mass, centre, atol=0.7)
    with pytest.raises(DataError, match="empty"):
        surface(np.zeros_like(tree.truth), series)


def test_a_folder_becomes_mask_and_surface_files(tree: Tree, tmp_path: Path) -> None:
    out = tmp_path / "out"
    infer_series(model_of("dnlnet-cta"), tree.folder, out)
    series = read_series(tree.folder)
    np.testing.assert_array_equal(read_mask(out / "mask.nii.gz", series), tree.truth)
    stl = trimesh.load(out / "surface.stl")
    glb = trimesh.load(out / "surface.glb", force="mesh")
    assert glb.extents[1] == pytest.approx(stl.extents[2] / 1000, rel=1e-3)
    picture = cv2.imread(str(out / "surface.png"))
    red = (picture[..., 2] > 100) & (picture[..., 1] < 80)
    assert picture.shape[:2] == (1000, 2000)
    assert red[:, :1000].mean() > 0.02
    assert red[:, 1000:].mean() > 0.02


def test_a_model_without_a_window_takes_no_series(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no CT window"):
        infer_series(model_of("dnlnet-drive"), tree.folder, tmp_path / "out")


def test_a_series_needs_a_model_for_ct_and_a_place(tree: Tree, edgeseg_cli: Callable[..., Any], tmp_path: Path) -> None:
    ran = edgeseg_cli("infer", "--stream", tree.folder, "--model", "dnlnet-vessel", "--out", tmp_path / "out")
    assert "names no CT window" in ran.sentence(3)
    ran = edgeseg_cli("infer", "--stream", tree.folder, "--model", "dnlnet-vessel")
    assert "say with --out" in ran.sentence(2)


def test_an_empty_mask_leaves_no_surface_of_an_earlier_run(tree: Tree, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("surface.stl", "surface.glb", "surface.png", "notes.txt"):
        (out / name).write_text("of an earlier run")
    write_dicom(tmp_path / "air", np.full((3, 64, 80), -1000, np.int16), generate_uid())
    assert not infer_series(model_of("dnlnet-cta"), tmp_path / "air", out).any()
    assert sorted(file.name for file in out.iterdir()) == ["mask.nii.gz", "notes.txt"]


def test_what_a_series_wrote_is_said(edgeseg_cli: Callable[..., Any], tmp_path: Path) -> None:
    bundle, out = tmp_path / "ct.edgeseg", tmp_path / "out"
    shutil.copytree(Path(edgeseg.__file__).parent / "zoo" / "npnet-polyp.edgeseg", bundle)
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    manifest["frame"]["window"] = {"center_hu": 40, "width_hu": 400}
    text = json.dumps(manifest)
    (bundle / "manifest.json").write_text(text, encoding="utf-8")
    (bundle / "manifest.sha256").write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  manifest.json\n")
    write_dicom(tmp_path / "air", np.full((3, 64, 80), -1000, np.int16), generate_uid())
    out.mkdir()
    (out / "surface.stl").write_text("of an earlier run")
    words = ["infer", "--stream", tmp_path / "air", "--model", bundle, "--out", out, "--threshold", 1, "--json", "-"]
    ran = edgeseg_cli(*words)
    assert (ran.code, ran.json) == (0, {"slices": 3, "voxels": 0, "files": [str(out / "mask.nii.gz")]}), ran.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["air", "ct.edgeseg", "out"]


def test_outputs_of_a_series_are_checked_first(
    tree: Tree, edgeseg_cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "afile").write_text("years of work")
    monkeypatch.setattr("edgeseg.volume.segment.infer_series", lambda *_: pytest.fail("segmented"))
    words = ["infer", "--stream", tree.folder, "--model", "dnlnet-vessel"]
    out = tmp_path / "out"
    before = sorted(tmp_path.rglob("*"))
    for more, code, said in (
        (["--out", tmp_path / "afile"], 5, "is a file, not a folder"),
        (["--out", tmp_path / "res.mp4"], 2, "give a folder"),
        (["--out", out, "--json", out / "mask.nii.gz"], 2, "two outputs"),
        (["--out", out, "--json", tree.folder / "IM0003"], 2, "is what --stream reads"),
        (["--out", out, "--masks", tmp_path / "m", "--crop", "auto"], 2, "--masks, --crop: not for a DICOM series"),
        (["--out", out, "--tile", "--frames", 3, "--smoothing", 0.5], 2, "--tile, --smoothing, --frames: not for"),
    ):
        assert said in edgeseg_cli(*words, *more).sentence(code)
        if out.is_dir():  # the place of --json was looked at
            out.rmdir()
        assert sorted(tmp_path.rglob("*")) == before
    with writer_lock(out):
        assert "another edgeseg is writing" in edgeseg_cli(*words, "--out", out).sentence(5)


@pytest.mark.slow
def test_from_labelled_series_to_surface(tree: Tree, edgeseg_cli: Callable[..., Any], tmp_path: Path) -> None:
    """Series and masks → slices → a trained run → a bundle → the mask of a series, by the commands of the manual."""
    write_mask(tmp_path / "mask.nii.gz", tree.truth, read_series(tree.folder))
    for patient in ("p01", "p02", "p03"):
        words = ["--patient", patient, "--series", tree.folder, "--mask", tmp_path / "mask.nii.gz"]
        script = Path(__file__).parents[2] / "examples" / "cta_slices.py"
        subprocess.run([sys.executable, script, *map(str, words), "--out", str(tmp_path / "cta")], check=True)
    text = (recipes.FOLDER / "dnlnet-cta.toml").read_text(encoding="utf-8")
    smaller = {
        'name = "dnlnet"': 'name = "dnlnet"\noptions = { width = 4 }',
        "height = 512": "height = 64",
        "width = 512": "width = 80",
        "patch = 192": "patch = 48",
        "val_fraction = 0.1": "val_fraction = 0.34",
        "ema = 0.998": "ema = 0.9",
        "lr = 1e-3": "lr = 5e-3",
    }
    for old, new in smaller.items():
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "tiny.toml").write_text(text, encoding="utf-8")
    run, bundle, out = tmp_path / "run", tmp_path / "tiny-cta.edgeseg", tmp_path / "out"
    train = ["train", tmp_path / "tiny.toml", "--data", tmp_path / "cta", "--out", run, "--epochs", 8, "--quiet"]
    assert edgeseg_cli(*train).code == 0
    ran = edgeseg_cli("export", run, "--data", tmp_path / "cta", "--out", bundle, "--quiet")
    assert ran.code == 0, ran.err
    said = edgeseg_cli("infer", "--stream", tree.folder, "--model", bundle, "--out", out, "--json", "-").json
    assert said["slices"] == 24
    found = read_mask(out / "mask.nii.gz", read_series(tree.folder))
    overlap = 2 * np.count_nonzero(found & tree.truth) / (np.count_nonzero(found) + np.count_nonzero(tree.truth))
    assert overlap > 0.6
    assert {Path(file).name for file in said["files"]} == {"mask.nii.gz", "surface.stl", "surface.glb", "surface.png"}


def test_a_labelled_volume_becomes_a_data_set(tree: Tree, tmp_path: Path) -> None:
    series = read_series(tree.folder)
    for patient in ("a", "b"):
        assert write_slices(patient, series, tree.truth, tmp_path / "set", 250, 500) == 24
    dataset = open_dataset(tmp_path / "set")
    assert len(dataset.pairs) == 48
    assert {pair.group for pair in dataset.pairs} == {"a", "b"}
