"""What only a card can show: parity, Dice, latency, leaks, two engines, a lost context. `pytest -m gpu` on one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.backends.base import EngineOptions
from edgeseg.errors import BackendError

pytestmark = pytest.mark.gpu
PRECISIONS = {"fp32": "float", "fp16": "fp16-trt-typed", "int8": "int8-trt-typed"}


@pytest.fixture(scope="session")
def machine() -> Any:
    from edgeseg.backends.engines import this_machine

    return this_machine(0)


@pytest.fixture(scope="session")
def plans(machine: Any) -> dict[str, tuple[bytes, bytes]]:
    """Precision → graph and plan of the zoo's NPNet for this card."""
    from edgeseg.bundle import open_bundle
    from edgeseg.calibration import table
    from edgeseg.export import forms
    from edgeseg.export.tensorrt import Settings, build

    source = open_bundle("npnet-polyp")
    graph = (source.path / "graphs" / "float.onnx").read_bytes()
    assert source.manifest is not None
    kept = next(one.float_layers for one in source.manifest.graphs if one.precision == "int8")
    ranges = table.parse((source.path / "calibration.json").read_bytes(), "calibration.json")
    library = machine.libraries[0]
    cards = (machine.card.capability,) if library.can.compute_capabilities else ()
    out = {}
    for precision, name in PRECISIONS.items():
        data = graph if name == "float" else forms.emit(name, graph, ranges, kept).data
        shape = (1, 216, 288, 3)
        try:
            plan = build(data, library, Settings(name, True, precision, (shape,) * 3, cards)).plan
        except BackendError as error:
            if "does not build for compute capability" not in str(error):
                raise
            pytest.skip(str(error))  # such as Hopper with TensorRT for RTX, see benchmarks/results/gpu-tests-h200.md
        out[precision] = data, plan
    return out


@pytest.fixture
def load(machine: Any, plans: dict[str, tuple[bytes, bytes]]) -> Iterator[Callable[..., Any]]:
    from edgeseg.backends.tensorrt import TensorRtEngine

    engines: list[Any] = []

    def make(precision: str, cuda_graph: bool | None = None) -> Any:
        options = EngineOptions(precision, cuda_graph=cuda_graph)
        engines.append(TensorRtEngine(plans[precision][1], options, machine.libraries[0]))
        return engines[-1]

    yield make
    for one in engines:
        one.close()


def frame(seed: int) -> Any:
    from edgeseg.data.phantom import PHANTOMS

    return PHANTOMS["colonoscopy"](8, 288, 216, seed)[4].image[None]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cuda_graph", [False, True])
def test_parity_with_onnx_runtime(load: Any, plans: Any, precision: str, cuda_graph: bool) -> None:
    from edgeseg.export import parity

    engine = load(precision, cuda_graph)
    frames = [frame(seed)[0] for seed in range(4)]
    got = np.stack([engine.run(one[None])[0] for one in frames])
    assert parity.snr_db(got, parity.meaning(plans[precision][0], frames)) >= 30


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_dice(load: Any, data_dir: Callable[[str], Path], precision: str) -> None:
    from edgeseg.bundle import open_bundle
    from edgeseg.data.select import select
    from edgeseg.export import gate

    manifest = open_bundle("npnet-polyp").manifest
    assert manifest is not None
    selections = select([data_dir("cvc_clinicdb")], "val", "val", manifest)
    figures = [gate.figures(p, "tensorrt", load(p), selections, manifest) for p in ("fp32", precision)]
    assert gate.against(figures[1], figures[0])[0].drop <= 0.003


def test_fp16_is_faster_than_fp32(load: Any) -> None:
    times = {p: min(load(p).gpu_ms(frame(0), copies=False) for _ in range(200)) for p in ("fp32", "fp16")}
    assert times["fp16"] < times["fp32"]


def test_a_cuda_graph_gives_the_same_bytes(load: Any) -> None:
    plain, graph = load("fp16", False), load("fp16", True)
    for seed in range(4):
        assert np.array_equal(plain.run(frame(seed)), graph.run(frame(seed)))


def test_nothing_leaks_over_100_000_frames(load: Any) -> None:
    import resource

    import pycuda.driver as drv

    def used() -> int:
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    engine, some = load("fp16"), frame(0)

    def free() -> int:
        return int(engine._owner.ask(lambda: drv.mem_get_info()[0]))

    for _ in range(5_000):
        engine.run(some)
    memory, card = used(), free()
    for _ in range(95_000):
        engine.run(some)
    assert used() - memory < 8 * 1024  # KiB
    assert free() >= card - (1 << 20)


def test_two_engines_in_one_process(load: Any) -> None:
    one, two = load("fp16"), load("int8")
    alone = one.run(frame(1)), two.run(frame(1))
    for _ in range(50):
        assert np.array_equal(one.run(frame(1)), alone[0])
        assert np.array_equal(two.run(frame(1)), alone[1])


def test_torch_shares_the_primary_context(load: Any) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch without CUDA")
    engine = load("fp16")
    before = engine.run(frame(2))
    assert float(torch.ones(4, device="cuda").sum()) == 4.0
    assert np.array_equal(engine.run(frame(2)), before)


def test_loading_and_closing_gives_memory_back(load: Any) -> None:
    import pycuda.driver as drv

    keeper = load("fp32")

    def free() -> int:
        return int(keeper._owner.ask(lambda: drv.mem_get_info()[0]))

    load("fp16").close()
    before = free()
    for _ in range(10):
        load("fp16").close()
    assert free() >= before - (8 << 20)


def test_a_lost_context_is_one_sentence(plans: dict[str, tuple[bytes, bytes]], tmp_path: Path) -> None:
    """In its own process: an engine whose buffer is moved to an address nobody owns."""
    (tmp_path / "plan").write_bytes(plans["fp16"][1])
    code = (
        "import sys, numpy as np\n"
        "from edgeseg.backends.base import EngineOptions\n"
        "from edgeseg.backends.engines import this_machine\n"
        "from edgeseg.backends.tensorrt import TensorRtEngine\n"
        "from edgeseg.errors import BackendError\n"
        "plan = open(sys.argv[1], 'rb').read()\n"
        "engine = TensorRtEngine(plan, EngineOptions(cuda_graph=False), this_machine(0).libraries[0])\n"
        "engine._owner.ask(lambda: engine._context.set_tensor_address('probability', 0xdead0000))\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        engine.run(np.zeros((1, 216, 288, 3), np.uint8))\n"
        "    except BackendError as error:\n"
        "        print(error)\n"
        "engine.close()\n"
        "print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "plan")], capture_output=True, text=True)
    assert "context is lost" in done.stdout, done.stderr
    assert "closed" in done.stdout


def test_out_of_gpu_memory(machine: Any) -> None:
    from edgeseg.backends.cuda import PyCuda

    cuda = PyCuda(0)
    try:
        with pytest.raises(BackendError, match="out of memory"):
            cuda.device((machine.card.memory_mib + 1024) << 20)
    finally:
        cuda.close()


def test_end_to_end_latency(load: Any) -> None:
    """uint8 frame in host memory → mask in host memory; the aim is 0.3 ms, this bound only catches accidents."""
    engine, some = load("fp16"), frame(0)
    times = []
    for _ in range(500):
        start = time.perf_counter()
        engine.run(some)
        times.append(time.perf_counter() - start)
    assert float(np.median(times)) < 3e-3
