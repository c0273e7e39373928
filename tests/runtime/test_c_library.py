"""libedgeseg against the Python package: the same bundle and frames, the same masks."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from edgeseg import backends, bundle, fit, golden, postprocess
from edgeseg.model import Model
from tests.runtime.conftest import CError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Library = Any

ZOO = Path(bundle.__file__).parent / "zoo"
BGR, RGB, GREY, NV12 = range(4)
NETWORK, FRAME = range(2)
LIVE, FROZEN, NO_SIGNAL, INVALID = range(4)
SIZES = [
    (1080, 1920),
    (480, 640),
    (288, 384),
    (97, 131),
    (50, 700),
    (700, 50),
    (48, 64),
    (16, 16),
    (20, 33),
    (101, 200),
]


def picture(height: int, width: int, seed: int) -> Image:
    """Blurred noise, fine noise on it, a dark border: a picture, and its content box is not the frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 256, (5, 6, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(int) + rng.integers(
        -12, 13, (height, width, 3)
    )
    image = np.clip(image, 30, 255).astype(np.uint8)
    image[: height // 9] = 3
    image[:, : width // 7] = 5
    return image


def python_model(path: Path, backend: str = "openvino") -> Model:
    return bundle.open_bundle(path).load(backend, "fp32", threads=1)


def test_reports_its_version(library: Library) -> None:
    import edgeseg

    assert library.c.edgeseg_version().decode() == edgeseg.__version__


@pytest.mark.parametrize("name", ["polyp", "organs", "smooth"])
@pytest.mark.parametrize("size", SIZES)
def test_python_and_c_agree_to_the_bit(library: Library, bundles: Path, name: str, size: tuple[int, int]) -> None:
    """Same probability from the camera frame on, so the fit is the same to the bit; same masks, objects and areas."""
    path = bundles / f"{name}.edgeseg"
    frame = picture(*size, seed=sum(size))
    session = library.open(path, backend=2, precision=1, threads=1)
    with python_model(path) as model:
        result = model(frame)
        assert session.content(frame) == fit.content_box(frame, 24)
        out = session.run(frame)
        np.testing.assert_array_equal(out.probability, result.probability)
        np.testing.assert_array_equal(out.mask, result.mask)
        assert out.region == tuple(result.placement.source)
        names = model.class_names
        assert [(names[index - 1], area, box) for index, area, box in out.objects] == [
            (o.class_name, o.area, tuple(o.box)) for o in result.objects
        ]
        assert out.areas == [int((result.mask == index).sum()) for index in range(len(names) + 1)]


@pytest.mark.parametrize("mode", ["resize", "pad", "crop"])
@pytest.mark.parametrize("enlarge", [True, False])
def test_every_fit_agrees(library: Library, bundles: Path, tmp_path: Path, mode: str, enlarge: bool) -> None:
    path = shutil.copytree(bundles / "polyp.edgeseg", tmp_path / "changed.edgeseg")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["frame"]["fit"] |= {"mode": mode, "enlarge": enlarge, "pad_value": 40}
    rewrite(path, json.dumps(manifest).encode())
    session = library.open(path, backend=2, precision=1, threads=1)
    with python_model(path) as model:
        for size in SIZES:
            frame = picture(*size, seed=3)
            expected = model(frame)
            out = session.run(frame)
            np.testing.assert_array_equal(out.probability, expected.probability, err_msg=str(size))
            np.testing.assert_array_equal(out.mask, expected.mask, err_msg=str(size))


@pytest.mark.parametrize("seed", range(4))
def test_random_regions_agree(library: Library, bundles: Path, seed: int) -> None:
    """Any roi, down to one pixel."""
    path = bundles / "polyp.edgeseg"
    rng = np.random.default_rng(seed)
    session = library.open(path, backend=2, precision=1, threads=1)
    frame = picture(121, 167, seed)
    compared = 0
    with python_model(path) as model:
        for _ in range(25):
            left, top = int(rng.integers(0, 167)), int(rng.integers(0, 121))
            width, height = int(rng.integers(1, 168 - left)), int(rng.integers(1, 122 - top))
            placement = model.place(frame, fit.Box(left, top, width, height))
            expected = model(frame, placement)
            out = session.run(frame, roi=(left, top, width, height))
            np.testing.assert_array_equal(out.probability, expected.probability, err_msg=str(placement))
            if out.signal == LIVE:
                compared += 1
                np.testing.assert_array_equal(out.mask, expected.mask, err_msg=str(placement))
            else:  # a few pixels may be of one colour, or all positive: then there is no mask
                assert not out.mask.any()
        assert compared > 10


def test_network_mask_is_the_thresholded_probability(library: Library, bundles: Path) -> None:
    session = library.open(bundles / "organs.edgeseg", backend=2, precision=1)
    frame = picture(300, 400, 1)
    out = session.run(frame, mask_at=NETWORK)
    np.testing.assert_array_equal(out.mask, postprocess.mask_of(out.probability, [128] * 3, 0.02))
    assert session.set_threshold(2, 200) == 0
    out = session.run(frame, mask_at=NETWORK)
    np.testing.assert_array_equal(out.mask, postprocess.mask_of(out.probability, [128, 200, 128], 0.02))


def test_rgb_and_grey_give_what_bgr_gives(library: Library, bundles: Path) -> None:
    session = library.open(bundles / "polyp.edgeseg", backend=2, precision=1)
    frame = picture(240, 320, 2)
    expected = session.run(frame)
    swapped = session.run(np.ascontiguousarray(frame[..., ::-1]), format=RGB)
    np.testing.assert_array_equal(swapped.probability, expected.probability)
    grey = np.ascontiguousarray(frame[..., 1])
    from_grey = session.run(grey, format=GREY)
    from_triple = session.run(np.ascontiguousarray(np.repeat(grey[..., None], 3, 2)))
    np.testing.assert_array_equal(from_grey.probability, from_triple.probability)


MATRICES = [
    (0, Colorspace.ITU601, ColorRange.MPEG),
    (1, Colorspace.ITU709, ColorRange.MPEG),
    (2, Colorspace.ITU601, ColorRange.JPEG),
    (3, Colorspace.ITU709, ColorRange.JPEG),
]


@pytest.mark.parametrize(("color", "space", "extent"), MATRICES)
@pytest.mark.parametrize("size", [(64, 96), (66, 1920), (18, 34)])
def test_nv12_is_converted_as_pyav_does(
    library: Library, bundles: Path, color: int, space: Colorspace, extent: ColorRange, size: tuple[int, int]
) -> None:
    """Within 2 grey levels on noise, the hardest picture there is; seen through a network that hands the frame back."""
    height, width = size
    rng = np.random.default_rng(color)
    image = rng.integers(0, 256, (height * 3 // 2, width), dtype=np.uint8)
    video = av.VideoFrame(width, height, "nv12")
    for plane, part in zip(video.planes, (image[:height], image[height:]), strict=True):
        padded = np.zeros((part.shape[0], plane.line_size), np.uint8)
        padded[:, :width] = part
        plane.update(padded.tobytes())
    video.colorspace, video.color_range = space, extent
    expected = video.to_ndarray(format="bgr24")
    session = library.open(bundles / f"identity-{height}x{width}.edgeseg")
    got = session.run(image, format=NV12, color=color).probability.transpose(1, 2, 0)
    assert np.abs(got.astype(int) - expected).max() <= 2


@pytest.mark.slow
def test_two_hundred_real_frames_agree(library: Library, bundles: Path) -> None:
    """Also on patients' frames, from the camera frame on; benchmarks/c_equals_python.py does it with any bundle."""
    data = Path(os.environ.get("EDGESEG_DATA", Path(__file__).parents[3] / "shared" / "data"))
    files = sorted((data / "cvc_clinicdb" / "images").glob("*.png"))[:200]
    if len(files) < 200:
        pytest.skip(f"{data} does not hold cvc_clinicdb; set EDGESEG_DATA")
    path = bundles / "polyp.edgeseg"
    session = library.open(path, backend=2, precision=1, threads=1)
    with python_model(path) as model:
        for file in files:
            frame = cv2.imread(str(file))
            out, expected = session.run(frame, roi=session.content(frame)), model(frame)
            np.testing.assert_array_equal(out.probability, expected.probability, err_msg=file.name)
            np.testing.assert_array_equal(out.mask, expected.mask, err_msg=file.name)


def test_golden_frames_replay(library: Library, bundles: Path) -> None:
    assert library.open(bundles / "polyp.edgeseg", backend=2, precision=1).selftest() == (2, pytest.approx(0, abs=1))


@pytest.mark.parametrize(("name", "precision", "number"), [("npnet-polyp", "fp32", 1), ("npnet-polyp", "int8", 4)])
def test_golden_frames_replay_in_both_directions(library: Library, name: str, precision: str, number: int) -> None:
    """Python's golden frames in C; and what C makes of those frames, taken as expected, in Python."""
    session = library.open(ZOO / f"{name}.edgeseg", backend=2, precision=number)
    assert session.selftest()[0] == session.info.golden_count > 0
    source = bundle.open_bundle(ZOO / f"{name}.edgeseg")
    assert source.manifest is not None
    with source.load("openvino", precision) as model:
        for one in source.manifest.golden:
            frame = np.frombuffer(source.read(one.file, one.sha256), np.uint8).reshape(one.height, one.width, 3)
            from_c = session.run(frame, roi=session.content(frame)).probability
            fitted = np.frombuffer(source.read(one.fitted_file, one.fitted_sha256), np.uint8)
            expected = next(entry for entry in one.expected if entry.graph == model.engine.engine)
            output = model.run(fitted.reshape(model.spec.frame.height, model.spec.frame.width, 3))
            passed, largest, _ = golden.replay(expected, output, from_c)
            assert passed, (one.name, largest)


def test_a_bundle_can_be_pinned(library: Library, bundles: Path) -> None:
    right = library.open(bundles / "polyp.edgeseg").info.manifest_sha256
    assert library.open(bundles / "polyp.edgeseg", expected_manifest_sha256=right).info.name == b"polyp"
    with pytest.raises(Exception, match="32: .*not the one expected"):
        library.open(bundles / "polyp.edgeseg", expected_manifest_sha256=b"0" * 64)


def test_golden_frames_replay_at_a_lower_precision_than_the_graphs(library: Library) -> None:
    """The float graph in bf16: further off than fp32 may be, and still what it should be."""
    try:
        session = library.open(ZOO / "npnet-polyp.edgeseg", backend=2, precision=2)
    except Exception as error:
        if "no bf16 arithmetic" in str(error):
            pytest.skip("this CPU has no bf16 arithmetic")
        raise
    passed, worst = session.selftest()
    assert passed == 2
    assert worst > 1


def test_pending_graph_needs_asking(library: Library, bundles: Path) -> None:
    with pytest.raises(Exception, match=r"35: .*verify --update"):
        library.open(bundles / "pending.edgeseg")
    session = library.open(bundles / "pending.edgeseg", backend=2, precision=1, allow_pending=1)
    assert session.info.gate_passed == 0


@pytest.mark.parametrize("vnni", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_both_choose_the_same_graph(
    library: Library, bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, vnni: bool
) -> None:
    """In any order, beside variants for batches. C takes the CPU as it is; for others see test_choose.cpp."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    here = backends.sums_in_32_bits()
    monkeypatch.setattr(backends, "sums_in_32_bits", lambda: vnni)
    path = shutil.copytree(bundles / "polyp.edgeseg", tmp_path / "changed.edgeseg")
    manifest = json.loads((path / "manifest.json").read_text())
    graphs = manifest["graphs"]
    for one in list(graphs):
        graphs.append(one | {"name": f"{one['name']}-dynamic", "input": [0, *one["input"][1:]], "gate": "parity"})
    random.Random(seed).shuffle(graphs)
    rewrite(path, json.dumps(manifest).encode())
    for precision, number in (("auto", 0), ("fp32", 1), ("int8", 4)):
        with bundle.open_bundle(path).load("openvino", precision, threads=1) as model:
            chosen = model.engine.engine
        if vnni == here:
            assert library.open(path, backend=2, precision=number).info.engine.decode() == chosen
        if precision == "int8":
            assert chosen == ("int8-cpu" if vnni else "int8-cpu-7bit")


def test_onnx_runtime_takes_full_range_weights_right(library: Library, tmp_path: Path) -> None:
    """Without the 7-bit graph, on whatever CPU this is: what was written down in Python, on another."""
    path = shutil.copytree(bundle.open_bundle("npnet-polyp").path, tmp_path / "full.edgeseg")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["graphs"] = [one for one in manifest["graphs"] if one["name"] != "int8-cpu-7bit"]
    for frame in manifest["golden"]:
        frame["expected"] = [one for one in frame["expected"] if one["graph"] != "int8-cpu-7bit"]
    rewrite(path, json.dumps(manifest).encode())
    try:
        session = library.open(path, backend=1, precision=4)
    except CError as error:
        if "built without onnxruntime" not in str(error):
            raise
        pytest.skip("this library was built without ONNX Runtime, whose headers are in no wheel")
    assert session.info.engine.decode() == "int8-cpu"
    assert session.selftest()[0] == len(manifest["golden"])


def rewrite(path: Path, data: bytes) -> None:
    """Replaces a bundle's manifest and its hash."""
    (path / "manifest.json").write_bytes(data)
    (path / "manifest.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  manifest.json\n")


def test_smoothing_agrees_over_a_sequence(library: Library, bundles: Path) -> None:
    """The manifest's smoothing, level by level, with a gap in between."""
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.smoothing import Smoothing

    path = bundles / "smooth.edgeseg"
    session = library.open(path, backend=2, precision=1, threads=1)
    with python_model(path) as model:
        smooth = Smoothing(model.spec.output.smoothing)
        assert smooth.weight == 0.5
        for sequence in (1, 2, 3, 4, 6, 7):
            frame = picture(101, 200, seed=sequence)
            wanted = smooth.apply(StreamFrame(frame, sequence, 0.0, 0.0, 0.0, 0.0), model(frame))
            out = session.run(frame, sequence=sequence)
            np.testing.assert_array_equal(out.probability, wanted.probability, err_msg=str(sequence))
            np.testing.assert_array_equal(out.mask, wanted.mask)
