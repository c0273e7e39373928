"""Every layout, as downloaded and as copied, and each way in which a data set is wrong."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.data.dataset import read_frame, read_list, read_mask, read_pair
from edgeseg.data.layouts import cvc_sequence, open_dataset, read_groups
from edgeseg.errors import DataError


def image(file: Path, seed: int = 0, size: tuple[int, int] = (24, 32)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(file), np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def mask(file: Path, size: tuple[int, int] = (24, 32), values: tuple[int, ...] = (0, 255)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = np.full(size, values[0], np.uint8)
    for number, value in enumerate(values[1:]):
        picture[4 + number :, 6:] = value
    assert cv2.imwrite(str(file), picture)


def plain(root: Path, stems: list[str], suffix: str = ".png") -> Path:
    for number, stem in enumerate(stems):
        image(root / "images" / f"{stem}{suffix}", number)
        mask(root / "masks" / f"{stem}.png")
    return root


def sentence(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 3
    return text


def test_cvc_as_downloaded(tmp_path: Path) -> None:
    for number in (1, 25, 26, 612):
        image(tmp_path / "Original" / f"{number}.tif", number)
        mask(tmp_path / "Ground Truth" / f"{number}.tif", values=(0, 255, 130, 90))
    found = open_dataset(tmp_path)
    assert (found.name, found.modality) == ("cvc_clinicdb", "colonoscopy")
    assert {pair.stem: pair.group for pair in found.pairs} == {"1": "01", "25": "01", "26": "02", "612": "29"}
    frame, truth = read_pair(found.pairs[0])
    assert frame.shape == (24, 32, 3)
    assert set(np.unique(truth)) == {0, 1}  # grey edges cut at 127
    assert truth[5, 6] == 1
    assert truth[23, 6] == 0


def test_cvc_as_copied(tmp_path: Path) -> None:
    plain(tmp_path, ["1", "30"])
    (tmp_path / "sequences.csv").write_text("sequence,first,last\n")
    (tmp_path / "train.txt").write_text("1\n")
    (tmp_path / "test.txt").write_text("30.png\n\n")
    found = open_dataset(tmp_path)
    assert found.name == "cvc_clinicdb"
    assert found.lists == {"train": ("1",), "test": ("30",)}
    image(tmp_path / "images" / "x1.png")
    mask(tmp_path / "masks" / "x1.png")
    assert "x1.png is not numbered" in sentence(lambda: open_dataset(tmp_path))


def test_cvc_sequences_are_the_official_ones(data_dir: Callable[[str], Path]) -> None:
    with (data_dir("cvc_clinicdb") / "sequences.csv").open(newline="") as handle:
        rows = [[int(value) for value in row[:3]] for row in csv.reader(handle) if row and row[0].isdigit()]
    assert len(rows) == 29
    for sequence, first, last in rows:
        for number in (first, last):
            assert int(cvc_sequence(number)) == sequence
    assert rows[-1][2] == 612


def test_kvasir_as_downloaded(tmp_path: Path) -> None:
    (tmp_path / "kavsir_bboxes.json").write_text("{}")
    for stem in ("cju0qkwl35piu0993l0dewei2", "cju0qoxqj9q6s0835b43399p4"):
        image(tmp_path / "images" / f"{stem}.jpg")
        mask(tmp_path / "masks" / f"{stem}.jpg")
    found = open_dataset(tmp_path)
    assert (found.name, len(found.pairs)) == ("kvasir_seg", 2)
    _, truth = read_pair(found.pairs[0])
    assert truth[10, 20] == 1
    assert truth[0, 0] == 0
    assert set(np.unique(truth)) == {0, 1}  # JPEG noise is cut


def test_kvasir_as_copied(tmp_path: Path) -> None:
    found = open_dataset(plain(tmp_path, ["tr0001", "va0002", "te0003"], ".jpg"))
    assert found.name == "kvasir_seg"
    assert not any(pair.grey_mask for pair in found.pairs)


@pytest.mark.parametrize(
    ("inputs", "truths"),
    [
        ("ISIC2018_Task1-2_Training_Input", "ISIC2018_Task1_Training_GroundTruth"),
        ("ISIC-2017_Training_Data", "ISIC-2017_Training_Part1_GroundTruth"),
    ],
)
def test_isic_as_downloaded(tmp_path: Path, inputs: str, truths: str) -> None:
    for number in (3, 4):
        image(tmp_path / inputs / f"ISIC_000000{number}.jpg")
        mask(tmp_path / truths / f"ISIC_000000{number}_segmentation.png")
    image(tmp_path / inputs / "ISIC_0000003_superpixels.png")
    (tmp_path / inputs / "LICENSE.txt").write_text("CC-0")
    found = open_dataset(tmp_path)
    assert (found.name, found.modality) == ("isic", "dermoscopy")
    assert [pair.stem for pair in found.pairs] == ["ISIC_0000003", "ISIC_0000004"]
    assert read_pair(found.pairs[0])[1].any()


def test_isic_as_copied(tmp_path: Path) -> None:
    assert open_dataset(plain(tmp_path, ["ISIC_0000003", "ISIC_0000004"], ".jpg")).name == "isic"


def test_lung_as_downloaded(tmp_path: Path) -> None:
    for name in ("ID_0000_Z_0142", "ID_0001_Z_0146"):
        image(tmp_path / "2d_images" / f"{name}.tif")
        mask(tmp_path / "2d_masks" / f"{name}.tif")
    found = open_dataset(tmp_path)
    assert (found.name, found.modality) == ("lung_ct", "ct")
    assert [pair.group for pair in found.pairs] == ["0000", "0001"]


def test_lung_as_copied(tmp_path: Path) -> None:
    found = open_dataset(plain(tmp_path, ["id001_z05", "id001_z06", "id_2_z7"]))
    assert found.name == "lung_ct"
    assert [pair.group for pair in found.pairs] == ["id001", "id001", "id_2"]


def test_own_folder(tmp_path: Path) -> None:
    root = plain(tmp_path / "My Frames", ["a", "b", "c"])
    (root / "images" / ".hidden.png").write_bytes(b"x")
    (root / "images" / "Thumbs.db").write_bytes(b"x")
    (root / "groups.csv").write_text("stem,group\na,p1\nb,p1\nc,p2\n")
    (root / "val.txt").write_text("c\n")
    found = open_dataset(root)
    assert (found.name, found.modality) == ("my_frames", "other")
    assert [pair.group for pair in found.pairs] == ["p1", "p1", "p2"]
    assert found.lists == {"val": ("c",)}


def test_lists_and_groups_as_excel_saves_them(tmp_path: Path) -> None:
    """UTF-8 with a byte order mark and CRLF."""
    root = plain(tmp_path, ["a", "b"])
    (root / "groups.csv").write_bytes(b"\xef\xbb\xbfstem,group\r\na,p1\r\nb,p2\r\n")
    (root / "train.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    found = open_dataset(root)
    assert [pair.group for pair in found.pairs] == ["p1", "p2"]
    assert found.lists["train"] == ("a", "b")


@pytest.mark.parametrize("name", ["cvc_clinicdb", "kvasir_seg", "isic2017", "lung_ct_uiip", "drive"])
def test_research_sets_are_recognised(data_dir: Callable[[str], Path], name: str) -> None:
    root = data_dir(name)
    found = open_dataset(root)
    counts = {"cvc_clinicdb": 612, "kvasir_seg": 899, "isic2017": 2149, "lung_ct_uiip": 222, "drive": 40}
    assert len(found.pairs) == counts[name]
    assert found.name.startswith(name.split("_", maxsplit=1)[0].removesuffix("2017"))
    frame, truth = read_pair(found.pairs[0])
    assert frame.shape[:2] == truth.shape


# What is wrong, and what the sentence must name.


def test_mask_without_image_and_image_without_mask(tmp_path: Path) -> None:
    root = plain(tmp_path, ["a", "b"])
    (root / "masks" / "b.png").unlink()
    assert "no mask for b.png; add it" in sentence(lambda: open_dataset(root))
    mask(root / "masks" / "b.png")
    for extra in "cdefg":
        mask(root / "masks" / f"{extra}.png")
    assert "no image for mask c.png, d.png, e.png and 2 more" in sentence(lambda: open_dataset(root))


def test_sizes_differ(tmp_path: Path) -> None:
    root = plain(tmp_path, ["a"])
    mask(root / "masks" / "a.png", (24, 30))
    text = sentence(lambda: read_pair(open_dataset(root).pairs[0]))
    assert "images/a.png is 32x24 but its mask 30x24 (a.png); they must have one size" in text


def test_grey_values_in_a_mask(tmp_path: Path) -> None:
    mask(tmp_path / "a.png", values=(0, 255, 17))
    text = sentence(lambda: read_mask(tmp_path / "a.png"))
    assert "a.png: a mask may hold only 0 and 255" in text
    assert "such as 17" in text
    assert f"{19 * 26} pixels" in text
    assert read_mask(tmp_path / "a.png", threshold=True).sum() == 26


@pytest.mark.parametrize(
    ("values", "share"), [((0, 255), True), ((0, 1), True), ((0,), False), ((255,), True), ((1,), True)]
)
def test_masks_of_two_values(tmp_path: Path, values: tuple[int, ...], share: bool) -> None:
    mask(tmp_path / "a.png", values=values)
    got = read_mask(tmp_path / "a.png")
    assert set(np.unique(got)) <= {0, 1}
    assert bool(got.any()) == share


def test_values_0_1_and_255_together(tmp_path: Path) -> None:
    mask(tmp_path / "a.png", values=(0, 255, 1))
    assert "other values (such as 1)" in sentence(lambda: read_mask(tmp_path / "a.png"))


def test_masks_with_colour_or_alpha(tmp_path: Path) -> None:
    """RGB masks of equal channels are masks."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4] = 255
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    assert read_mask(tmp_path / "a.png").sum() == 32


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_unreadable_files(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    image(whole, size=(200, 300))
    data = whole.read_bytes()
    for name, content in (("text", b"no image"), ("empty", b""), ("head", data[:20])):
        file = tmp_path / f"{name}{suffix}"
        file.write_bytes(content)
        assert f"{file}: is no readable image" in sentence(lambda file=file: read_frame(file))
    assert "cannot be read (No such file" in sentence(lambda: read_frame(tmp_path / f"none{suffix}"))
    (tmp_path / f"folder{suffix}").mkdir()
    assert "cannot be read" in sentence(lambda: read_frame(tmp_path / f"folder{suffix}"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp"])
def test_truncated_files(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str) -> None:
    """Half a frame is no frame: a decoder fills the rest with grey and says nothing."""
    file = tmp_path / f"a{suffix}"
    image(file, size=(200, 300))
    data = file.read_bytes()
    for share in (0.3, 0.6, 0.95):
        file.write_bytes(data[: int(share * len(data))])
        assert f"{file}: is no readable image" in sentence(lambda: read_frame(file))
    assert capfd.readouterr().err == ""


def test_picture_bomb(tmp_path: Path) -> None:
    """A few kilobytes that claim to be 900 million pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    assert "is no readable image" in sentence(lambda: read_frame(tmp_path / "a.png"))


def test_two_files_of_one_stem(tmp_path: Path) -> None:
    root = plain(tmp_path, ["a"])
    image(root / "images" / "a.jpg")
    assert "a.jpg and a.png have the same stem" in sentence(lambda: open_dataset(root))


def test_lists_that_are_wrong(tmp_path: Path) -> None:
    root = plain(tmp_path, ["a", "b"])
    file = root / "train.txt"
    for content, said in (
        (b"", "the split is empty"),
        (b"\n \n", "the split is empty"),
        (b"a\na\n", "lists a twice"),
        (b"a\na.png\n", "lists a twice"),
        (b"\xff\xfe\x00", "cannot be read as a split list"),
    ):
        file.write_bytes(content)
        assert f"{file}: {said}" in sentence(lambda: open_dataset(root))
    file.write_text("a\nz\ny\nx\nw\n")
    found = open_dataset(root)
    assert "lists z, y, x and 1 more, but there is no such image" in sentence(
        lambda: found.subset(found.lists["train"])
    )
    assert "cannot be read" in sentence(lambda: read_list(tmp_path / "none.txt"))


def test_stems_with_dots_are_whole(tmp_path: Path) -> None:
    root = plain(tmp_path, ["case.1", "case.2"])
    (root / "train.txt").write_text("case.1\ncase.2.png\n")
    found = open_dataset(root)
    assert found.lists["train"] == ("case.1", "case.2")
    assert len(found.subset(found.lists["train"])) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,patient\na,1\n", "wants a first line stem,group"),
        ("", "wants a first line stem,group"),
        ("stem,group\na,p1\n", "has no group for b"),
        ("stem,group\na,p1\nb\n", "has no group for b"),
        ("stem,group\na,p1\nb,\n", "has no group for b"),
    ],
)
def test_groups_that_are_wrong(tmp_path: Path, content: str, said: str) -> None:
    root = plain(tmp_path, ["a", "b"])
    (root / "groups.csv").write_text(content)
    assert said in sentence(lambda: open_dataset(root))
    assert "groups.csv" in sentence(lambda: open_dataset(root))


def test_groups_file_that_is_binary(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"\xff\xfe\x00\x01")
    assert "groups.csv" in sentence(lambda: read_groups(tmp_path / "groups.csv"))


def test_no_data_set_at_all(tmp_path: Path) -> None:
    assert "is no folder; --data wants" in sentence(lambda: open_dataset(tmp_path / "none"))
    (tmp_path / "file").write_text("x")
    assert "is no folder" in sentence(lambda: open_dataset(tmp_path / "file"))
    (tmp_path / "empty").mkdir()
    assert "no known data set layout; put frames into images/" in sentence(lambda: open_dataset(tmp_path / "empty"))
    (tmp_path / "half" / "images").mkdir(parents=True)
    assert "has images/ and no masks/" in sentence(lambda: open_dataset(tmp_path / "half"))
    for name in ("images", "masks"):
        (tmp_path / "bare" / name).mkdir(parents=True)
    assert "no images found" in sentence(lambda: open_dataset(tmp_path / "bare"))


def test_listing_hash_is_the_one_sha256sum_gives(tmp_path: Path) -> None:
    import hashlib
    import subprocess

    root = plain(tmp_path, ["b", "a"])
    (root / "train.txt").write_text("a\nb\n")
    files = [f"{folder}/{stem}.png" for folder in ("images", "masks") for stem in "ab"]
    listing = subprocess.run(["sha256sum", *files], cwd=root, capture_output=True, check=True).stdout
    assert open_dataset(root).listing_sha256 == hashlib.sha256(listing).hexdigest()
    image(root / "images" / "a.png", seed=99)
    assert open_dataset(root).listing_sha256 != hashlib.sha256(listing).hexdigest()


@pytest.mark.parametrize("unpacked", [True, False])
def test_neopolyp_as_downloaded(tmp_path: Path, unpacked: bool) -> None:
    images, masks = tmp_path / "train", tmp_path / "train_gt"
    if not unpacked:  # as Kaggle packs them
        images, masks = images / "train", masks / "train_gt"
    masks.mkdir(parents=True)
    for stem, colour in (("00ab", (0, 0, 255)), ("01ab", (0, 255, 0)), ("02ab", (0, 0, 0))):  # BGR
        image(images / f"{stem}.jpeg")
        coloured = np.zeros((24, 32, 3), np.uint8)
        coloured[8:16, 8:24] = colour
        assert cv2.imwrite(str(masks / f"{stem}.jpeg"), coloured)
    image(tmp_path / "test" / "03ab.jpeg")
    found = open_dataset(tmp_path)
    assert (found.name, found.modality, len(found.pairs)) == ("neopolyp", "colonoscopy", 3)
    truths = [read_pair(pair)[1] for pair in found.pairs]
    assert [int(truth[12, 16]) for truth in truths] == [1, 1, 0]
    assert [int(truth[2, 2]) for truth in truths] == [0, 0, 0]
    assert not found.lists
    for file in sorted(masks.iterdir()):
        file.rename(file.with_suffix(".png"))  # someone's own, which may hold 0 and 1
    assert "no known data set layout" in sentence(lambda: open_dataset(tmp_path))


def test_negatives_need_no_masks(tmp_path: Path) -> None:
    root = plain(tmp_path / "my frames", ["b", "d"])
    for stem in ("a", "c"):
        image(root / "negatives" / f"{stem}.jpg")
    found = open_dataset(root)
    assert [(pair.stem, pair.mask is None) for pair in found.pairs] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", False),
    ]
    frame, truth = read_pair(found.pairs[0])
    assert frame.shape[:2] == truth.shape == (24, 32)
    assert not truth.any()
    before = found.listing_sha256
    image(root / "negatives" / "c.jpg", seed=5)
    assert open_dataset(root).listing_sha256 != before  # they are part of the set's name


def test_negatives_alone_are_a_set(tmp_path: Path) -> None:
    for stem in ("a", "b", "c"):
        image(tmp_path / "negatives" / f"{stem}.png")
    (tmp_path / "groups.csv").write_text("stem,group\na,1\nb,1\n")
    assert "no group for c" in sentence(lambda: open_dataset(tmp_path))
    (tmp_path / "groups.csv").write_text("stem,group\na,1\nb,1\nc,2\n")
    assert [pair.group for pair in open_dataset(tmp_path).pairs] == ["1", "1", "2"]


def test_a_frame_is_labelled_or_negative(tmp_path: Path) -> None:
    root = plain(tmp_path, ["a", "b"])
    image(root / "negatives" / "b.jpg")
    assert "b.png is in images/ and in negatives/" in sentence(lambda: open_dataset(root))


def test_images_without_masks_are_not_dropped_for_their_negatives(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        image(tmp_path / "images" / f"{stem}.png")
    image(tmp_path / "negatives" / "c.png")
    assert "has images/ and no masks/" in sentence(lambda: open_dataset(tmp_path))


def test_a_known_set_has_no_negatives(tmp_path: Path) -> None:
    root = plain(tmp_path, ["tr0001", "va0002", "te0003"], ".jpg")
    image(root / "negatives" / "n.png")
    assert "is kvasir_seg, which has no negatives/" in sentence(lambda: open_dataset(root))


def test_neopolyp_has_the_lists_that_lie_beside_it(tmp_path: Path) -> None:
    for part in ("train", "train_gt"):
        for number in range(3):
            image(tmp_path / part / f"{number}.jpeg")
    (tmp_path / "test.txt").write_text("1\n")
    assert open_dataset(tmp_path).lists == {"test": ("1",)}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("full", [1, 255, 65535])
def test_masks_of_16_bits(tmp_path: Path, suffix: str, full: int) -> None:
    """OpenCV would shift 0 and 255 down to nothing."""
    file = tmp_path / f"mask{suffix}"
    picture = np.zeros((8, 9), np.uint16)
    picture[2:4, 3:7] = full
    assert cv2.imwrite(str(file), picture)
    assert np.array_equal(read_mask(file), picture > 0)
    picture[0, 0] = 700
    assert cv2.imwrite(str(file), picture)
    assert "(such as" in sentence(lambda: read_mask(file))


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp", ".png"])
def test_a_file_of_several_pictures_is_refused(tmp_path: Path, suffix: str) -> None:
    pages = [np.full((24, 32, 3), grey, np.uint8) for grey in (40, 120, 200)]
    one, file = tmp_path / f"one{suffix}", tmp_path / f"several{suffix}"
    cv2.imwrite(str(one), pages[0])
    assert read_frame(one).shape == (24, 32, 3)
    if suffix == ".tif":
        cv2.imwritemulti(str(file), pages)
    else:
        animation = cv2.Animation()
        animation.frames, animation.durations = pages, [100] * 3
        cv2.imwriteanimation(str(file), animation)
    odd = file.rename(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff") + suffix)  # which OpenCV does not survive as text
    for read in (read_frame, read_mask):
        with pytest.raises(DataError, match="holds 3 pictures"):
            read(odd)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_frames_of_16_bits(tmp_path: Path, suffix: str) -> None:
    """The upper 8 of 16 bits are read; of 12 bits in 16 hardly anything would be left."""
    frame = np.random.default_rng(0).integers(0, 4096, (24, 32, 3), np.uint16)
    frame[0, 0] = 4095
    file = tmp_path / f"f{suffix}"
    cv2.imwrite(str(file), frame)
    assert f"{file}: has 16 bits a pixel and no value above 4095" in sentence(lambda: read_frame(file))
    assert "no value above 4095" in sentence(lambda: read_mask(file, threshold=True))
    cv2.imwrite(str(file), frame * 16)
    np.testing.assert_array_equal(read_frame(file), cv2.imread(str(file)))
    for dark in (0, 2047):  # a frame under a lens cap
        cv2.imwrite(str(file), np.minimum(frame, dark))
        assert read_frame(file).max() <= 8


def test_a_mask_in_the_transparency_alone_is_refused(tmp_path: Path) -> None:
    picture = np.zeros((8, 9, 4), np.uint8)
    picture[..., 3] = 255
    assert cv2.imwrite(str(tmp_path / "empty.png"), picture)
    assert not read_mask(tmp_path / "empty.png").any()
    picture[2:4, :, 3] = 0
    assert cv2.imwrite(str(tmp_path / "alpha.png"), picture)
    for colour in (0, 255):
        picture[..., :3] = colour
        assert cv2.imwrite(str(tmp_path / "alpha.png"), picture)
        assert "in the transparency alone" in sentence(lambda: read_mask(tmp_path / "alpha.png"))


def test_a_frame_that_is_not_there_is_said(tmp_path: Path) -> None:
    root = plain(tmp_path, ["a", "b"])
    (root / "images" / "b.png").unlink()
    (root / "images" / "b.png").symlink_to(tmp_path / "annex" / "gone.png")
    assert "b.png: cannot be read" in sentence(lambda: open_dataset(root).listing_sha256)


def test_a_group_is_named_once(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("stem,group\na, p0\nb,p0 \n")
    assert read_groups(file) == {"a": "p0", "b": "p0"}
    file.write_text("stem,group\na,p0\na,p1\n")
    assert "lists a twice" in sentence(lambda: read_groups(file))
