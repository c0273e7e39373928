"""One contract, every backend: what `load, run, close` means."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgeseg import onnx_metadata
from edgeseg.backends import BACKENDS, Backend
from edgeseg.backends.base import Engine, EngineInfo, EngineOptions
from edgeseg.errors import BackendError

Image = NDArray[np.uint8]


@pytest.fixture(params=sorted(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]()


@pytest.fixture(scope="module")
def graph(tiny_bundle: Path) -> bytes:
    return (tiny_bundle / "graphs" / "float.onnx").read_bytes()


@pytest.fixture
def engine(backend: Backend, graph: bytes) -> Engine:
    return backend.load(graph, EngineOptions(threads=1))


def noise(seed: int = 0, batch: int = 1) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (batch, 64, 96, 3), dtype=np.uint8)


def test_version(backend: Backend) -> None:
    assert backend.version()[0].isdigit()
    assert "\n" not in backend.version()


def test_shapes_and_types(engine: Engine) -> None:
    assert tuple(engine.shape) == (1, 64, 96, 3)
    out = engine.run(noise())
    assert isinstance(out, np.ndarray)
    assert (out.shape, out.dtype) == ((1, 1, 64, 96), np.uint8)
    assert out.flags.writeable


def test_result_is_the_callers_own(engine: Engine) -> None:
    first = engine.run(noise(1))
    kept = first.copy()
    second = engine.run(noise(2))
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept)
    first[:] = 7
    assert np.array_equal(engine.run(noise(1)), kept)


def test_frames_are_not_changed_nor_kept(engine: Engine) -> None:
    frames = noise(3)
    before = frames.copy()
    wanted = engine.run(frames)
    assert np.array_equal(frames, before)
    frames[:] = 0
    assert np.array_equal(engine.run(before), wanted)


def test_strided_frames(engine: Engine) -> None:
    wide = np.random.default_rng(4).integers(0, 256, (1, 64, 200, 6), dtype=np.uint8)
    view = wide[:, ::-1, 3:195:2, ::2]
    assert not view.flags.c_contiguous
    assert np.array_equal(engine.run(view), engine.run(np.ascontiguousarray(view)))


def test_the_same_frame_gives_the_same_bytes(backend: Backend, graph: bytes) -> None:
    first = backend.load(graph, EngineOptions(threads=1)).run(noise(5))
    engine = backend.load(graph, EngineOptions(threads=1))
    assert all(np.array_equal(engine.run(noise(5)), first) for _ in range(3))


@pytest.mark.parametrize("threads", [0, 1, 2, 64])
def test_threads_change_nothing_that_counts(backend: Backend, graph: bytes, threads: int) -> None:
    one = backend.load(graph, EngineOptions(threads=1)).run(noise(6))
    other = backend.load(graph, EngineOptions(threads=threads)).run(noise(6))
    assert np.abs(one.astype(int) - other).max() <= 1


def test_optimisations_change_nothing_that_counts(backend: Backend, graph: bytes) -> None:
    fast = backend.load(graph, EngineOptions()).run(noise(7))
    plain = backend.load(graph, EngineOptions(optimise=False)).run(noise(7))
    assert np.abs(fast.astype(int) - plain).max() <= 1


def test_backends_agree(graph: bytes) -> None:
    outs = [BACKENDS[name]().load(graph, EngineOptions()).run(noise(8)).astype(int) for name in sorted(BACKENDS)]
    assert max(np.abs(out - outs[0]).max() for out in outs) <= 1


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 64, 95, 3), np.uint8),
        np.zeros((1, 3, 64, 96), np.uint8),
        np.zeros((2, 64, 96, 3), np.uint8),
        np.zeros((64, 96, 3), np.uint8),
        np.zeros((0, 64, 96, 3), np.uint8),
        np.zeros((1, 64, 96, 3), np.float32),
        np.zeros((1, 64, 96, 3), np.int64),
    ],
    ids=str,
)
def test_wrong_frames_are_refused_and_forgotten(engine: Engine, frames: NDArray[np.generic]) -> None:
    wanted = engine.run(noise())
    with pytest.raises(BackendError, match="failed") as caught:
        engine.run(frames)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert np.array_equal(engine.run(noise()), wanted)


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x00" * 1000, b"\x08\x07"])
def test_what_is_no_graph(backend: Backend, data: bytes) -> None:
    with pytest.raises(BackendError, match="refuses the graph: .{10}") as caught:
        backend.load(data, EngineOptions())
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 6


def test_half_a_graph(backend: Backend, graph: bytes) -> None:
    with pytest.raises(BackendError, match="refuses the graph"):
        backend.load(graph[: len(graph) // 2], EngineOptions())


def test_graph_with_an_operator_nobody_knows(backend: Backend, graph: bytes) -> None:
    model = onnx.load_from_string(graph)
    model.graph.node[-1].op_type = "Telepathy"
    with pytest.raises(BackendError, match="refuses the graph") as caught:
        backend.load(model.SerializeToString(), EngineOptions())
    assert "\n" not in str(caught.value)


def test_external_data_is_not_followed(backend: Backend, graph: bytes, tmp_path: Path) -> None:
    """A graph is one file: weights that point elsewhere on the disk are refused."""
    model = onnx.load_from_string(graph)
    weights = next(one for one in model.graph.initializer if len(one.raw_data) > 1000)
    (tmp_path / "secret").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", str(tmp_path / "secret")
    with pytest.raises(BackendError, match="refuses the graph"):
        backend.load(model.SerializeToString(), EngineOptions())


def test_close_twice_and_run_after_it(backend: Backend, graph: bytes) -> None:
    engine = backend.load(graph, EngineOptions())
    engine.run(noise())
    engine.close()
    engine.close()
    with pytest.raises(BackendError, match="closed"):
        engine.run(noise())


def test_loading_again_and_again_keeps_nothing(backend: Backend, graph: bytes) -> None:
    """Handles stay flat; memory is measured by the stream benchmark."""
    for number in range(6):
        engine = backend.load(graph, EngineOptions(threads=1))
        engine.run(noise())
        engine.close()
        gc.collect()
        handles = len(list(Path("/proc/self/fd").iterdir()))
        if number == 1:
            first = handles
    assert handles <= first


def test_engines_side_by_side(backend: Backend, graph: bytes) -> None:
    """Each thread with an engine of its own gets what a single one gets."""
    wanted = [backend.load(graph, EngineOptions(threads=1)).run(noise(n)) for n in range(3)]
    wrong: list[int] = []

    def work(number: int) -> None:
        engine = backend.load(graph, EngineOptions(threads=1))
        if not all(np.array_equal(engine.run(noise(number)), wanted[number]) for _ in range(5)):
            wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_info_reads_as_a_sentence() -> None:
    info = EngineInfo("openvino", "2026.4", "fp32", "float", "first of int8, fp32 with gate passed")
    assert str(info) == "float (fp32) on openvino 2026.4: first of int8, fp32 with gate passed"


class Fake:
    """An engine is one small class."""

    shape = (1, 64, 96, 3)

    def __init__(self, out: NDArray[np.generic]) -> None:
        self.out = out

    def run(self, frames: Image) -> Image:
        assert frames.shape == self.shape
        return self.out  # type: ignore[return-value]

    def close(self) -> None:
        """Nothing to free."""


@pytest.mark.parametrize(
    "out",
    [np.zeros((1, 2, 64, 96), np.uint8), np.zeros((1, 1, 32, 96), np.uint8), np.zeros((1, 1, 64, 96), np.float32)],
)
def test_a_model_refuses_what_no_engine_may_give(tiny_bundle: Path, out: NDArray[np.generic]) -> None:
    import edgeseg
    from edgeseg.model import Model

    model = Model(edgeseg.open(tiny_bundle), (Fake(out), EngineInfo("fake", "1", "fp32", "x", "test")))
    with pytest.raises(BackendError, match="fake gave .* instead of uint8"):
        model(np.zeros((50, 60, 3), np.uint8))


def test_model_call(tiny_bundle: Path) -> None:
    import edgeseg
    from edgeseg.errors import InputError
    from edgeseg.model import Model

    probability = np.zeros((1, 1, 64, 96), np.uint8)
    probability[..., 16:48, 24:72] = 200
    fake = (Fake(probability), EngineInfo("fake", "1", "fp32", "x", "test"))
    model = Model(edgeseg.open(tiny_bundle), fake)
    frame = np.full((128, 192, 3), 90, np.uint8)
    result = model(frame)
    assert result.mask.shape == (128, 192)
    assert set(np.unique(result.mask)) == {0, 1}
    (found,) = result.objects
    assert found.class_name == "polyp"
    assert abs(found.box.left - 48) <= 1
    assert abs(found.box.width - 96) <= 2
    assert set(result.latency_ms) == {"fit", "infer"}
    assert Model(edgeseg.open(tiny_bundle), fake, threshold=0.9)(frame).objects == []
    for wrong in (
        frame[..., 0],
        frame.astype(np.float32),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
    ):
        with pytest.raises(InputError, match="a frame must be uint8 BGR"):
            model(wrong)


def test_openvinos_own_format_is_no_graph(backend: Backend) -> None:
    """Bytes that are an ONNX file without a graph and, for who guesses, a network in OpenVINO's XML."""
    shape = "<dim>1</dim><dim>32</dim><dim>32</dim><dim>3</dim>"
    port = f'<port id="0" precision="U8">{shape}</port>'
    layers = (
        '<layer id="0" name="frame" type="Parameter" version="opset1"><data shape="1,32,32,3" element_type="u8"/>'
        f'<output>{port}</output></layer><layer id="1" name="out" type="Result" version="opset1"><input>{port}</input>'
        "</layer>"
    )
    edge = '<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>'
    tail = f"--><layers>{layers}</layers><edges>{edge}</edges></net>".encode()
    size = bytes([len(tail) & 127 | 128, len(tail) >> 7])
    polyglot = b'\n<net name="m" version="11"><!--'.ljust(62) + b"\x12" + size + tail
    assert onnx_metadata.fault(polyglot) is None
    with pytest.raises(BackendError):
        backend.load(polyglot, EngineOptions())
