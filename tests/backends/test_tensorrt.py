"""The TensorRT runner with a stand-in for library and GPU: ownership, buffers, batches, errors."""

from __future__ import annotations

import gc
import sys
import threading
from types import SimpleNamespace
from typing import Any

import fake_tensorrt as fake
import numpy as np
import pytest

from edgeseg.backends.base import EngineOptions
from edgeseg.backends.tensorrt import TensorRtEngine
from edgeseg.backends.tensorrt_library import capabilities, find
from edgeseg.bench import Run, bench
from edgeseg.errors import BackendError


@pytest.fixture
def cudas() -> list[Any]:
    return []


@pytest.fixture
def load(cudas: list[Any]) -> Any:
    engines = []

    def make(
        data: bytes | None = None, cuda_graph: bool | None = None, device: int = 0, **options: Any
    ) -> TensorRtEngine:
        def open_cuda(index: int) -> Any:
            cudas.append(fake.FakeCuda(index, **options))
            return cudas[-1]

        wish = EngineOptions(cuda_graph=cuda_graph, device=device)
        engines.append(TensorRtEngine(data or fake.plan(), wish, fake.library(), open_cuda))
        return engines[-1]

    yield make
    for one in engines:
        one.close()


def frames(seed: int = 0, batch: int = 1) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (batch, 4, 6, 3), np.uint8)


def wanted(some: Any) -> Any:
    return (255 - some[..., 0])[:, None]


def test_runs_and_the_result_is_the_callers(load: Any) -> None:
    engine = load()
    assert engine.shape == (1, 4, 6, 3)
    first = engine.run(frames(1))
    kept = first.copy()
    assert np.array_equal(engine.run(frames(2)), wanted(frames(2)))
    assert np.array_equal(first, kept)
    assert np.array_equal(first, wanted(frames(1)))


def test_bench_asks_for_the_power_of_the_card_that_runs(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its place on the bus: CUDA's indexes are not the management library's."""
    asked = []

    def handle(bus_id: str) -> str:
        asked.append(bus_id)
        return bus_id

    library = SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByPciBusId=handle,
        nvmlDeviceGetPowerUsage=lambda _: 250_000,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    about = SimpleNamespace(backend="tensorrt", precision="fp16", camera=None)
    model: Any = SimpleNamespace(runner=load(fake.plan(batch=2), device=3), engine=about, place=lambda _: None)
    found = bench(model, Run(warm_up_ms=0, duration_s=0.2, batch=2))
    assert asked == ["0000:03:00.0"]
    assert found.watts == 250


def test_strided_frames(load: Any) -> None:
    wide = np.random.default_rng(3).integers(0, 256, (1, 4, 12, 6), np.uint8)[:, ::-1, ::2, ::2]
    assert np.array_equal(load().run(wide), wanted(wide))


def test_one_thread_owns_the_gpu(load: Any, cudas: list[Any]) -> None:
    engine = load()
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(engine.run(frames(1)))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    engine.close()
    assert len(seen) == 4
    assert len(cudas[0].threads) == 1
    assert threading.get_ident() not in cudas[0].threads


def test_no_allocation_per_frame(load: Any, cudas: list[Any]) -> None:
    engine = load()
    before = cudas[0].calls.count("device"), cudas[0].calls.count("pinned")
    for seed in range(20):
        engine.run(frames(seed))
    assert (cudas[0].calls.count("device"), cudas[0].calls.count("pinned")) == before == (2, 2)


def test_two_engines(load: Any) -> None:
    one, two = load(), load()
    assert np.array_equal(one.run(frames(1)), wanted(frames(1)))
    one.close()
    assert np.array_equal(two.run(frames(2)), wanted(frames(2)))


def test_closing(load: Any, cudas: list[Any]) -> None:
    engine = load()
    engine.close()
    engine.close()
    assert cudas[0].closed
    assert not [one for one in threading.enumerate() if one.name == "edgeseg-tensorrt"]
    with pytest.raises(BackendError, match="closed"):
        engine.run(frames())


def test_forgetting_closes(cudas: list[Any]) -> None:
    def open_cuda(index: int) -> Any:
        cudas.append(fake.FakeCuda(index))
        return cudas[-1]

    engine = TensorRtEngine(fake.plan(), EngineOptions(), fake.library(), open_cuda)
    del engine
    gc.collect()
    assert cudas[0].closed


def test_any_batch(load: Any) -> None:
    engine = load(fake.plan(batch=-1, most=4))
    assert engine.shape == (0, 4, 6, 3)
    for batch in (1, 4, 2, 4):
        assert np.array_equal(engine.run(frames(batch, batch)), wanted(frames(batch, batch)))
    with pytest.raises(BackendError, match=r"takes uint8 \[1 to 4, 4, 6, 3\], not uint8 \[5, 4, 6, 3\]"):
        engine.run(frames(0, 5))


def test_fixed_batch_takes_fewer(load: Any) -> None:
    engine = load(fake.plan(batch=4))
    assert engine.shape[0] == 4
    assert np.array_equal(engine.run(frames(1, 3)), wanted(frames(1, 3)))


@pytest.mark.parametrize("capturable", [True, False])
def test_cuda_graph(load: Any, cudas: list[Any], capturable: bool) -> None:
    if not capturable:
        with pytest.raises(BackendError, match="cannot be captured"):
            load(cuda_graph=True, capturable=False)
        assert not load(capturable=False).uses_cuda_graph
        return
    engine = load(cuda_graph=True)
    assert engine.uses_cuda_graph
    before = cudas[0].launches
    assert np.array_equal(engine.run(frames(1)), wanted(frames(1)))
    assert cudas[0].launches == before + 1
    assert not load(cuda_graph=False).uses_cuda_graph


def test_times(load: Any) -> None:
    engine = load()
    assert engine.gpu_ms(frames(), copies=False) == 0.5
    assert engine.layer_ms(frames()) == [("conv", 0.25)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x00truncated", r"the plan is refused \(magic tag does not match\)"),
        (fake.plan(full=True), "no execution context"),
        (fake.plan(dtype="float32"), "not one uint8 frame"),
        (fake.plan(height=-1), "sizes that are not fixed"),
    ],
)
def test_plans_that_do_not_load(load: Any, cudas: list[Any], data: bytes, words: str) -> None:
    with pytest.raises(BackendError, match=words):
        load(data)
    assert cudas[0].closed


@pytest.mark.parametrize("call", ["open", "device", "pinned", "synchronize"])
def test_out_of_memory_frees_all(load: Any, cudas: list[Any], call: str) -> None:
    with pytest.raises(BackendError, match="out of memory"):
        load(fail=call)
    assert all(one.closed for one in cudas)
    assert not [one for one in threading.enumerate() if one.name == "edgeseg-tensorrt"]


def test_a_failing_frame(load: Any) -> None:
    with pytest.raises(BackendError, match="TensorRT 10.3.0 failed on a frame"):
        load(fake.plan(fail=True))


def test_capabilities_are_asked_for() -> None:
    from types import SimpleNamespace as N

    flags = {"FP16": 0, "INT8": 1}
    old = N(NetworkDefinitionCreationFlag=N(EXPLICIT_BATCH=0), BuilderFlag=N(**flags, VERSION_COMPATIBLE=2),
            IBuilderConfig=N(create_timing_cache=0), DeviceType=N(DLA=1),
            HardwareCompatibilityLevel=N(AMPERE_PLUS=1))  # fmt: skip
    can = capabilities(old)  # 8.6
    assert can.explicit_batch
    assert can.precision_flags
    assert can.timing_cache
    assert can.dla
    assert not any((can.strongly_typed, can.progress, can.compute_capabilities, can.runtime_config))
    new = N(NetworkDefinitionCreationFlag=N(STRONGLY_TYPED=1), BuilderFlag=N(VERSION_COMPATIBLE=2),
            IBuilderConfig=N(create_timing_cache=0, progress_monitor=0), IProgressMonitor=0,
            ICudaEngine=N(create_runtime_config=0))  # fmt: skip
    can = capabilities(new)  # 11
    assert can.strongly_typed
    assert can.progress
    assert can.runtime_config
    assert not any((can.precision_flags, can.explicit_batch))
    rtx = N(IBuilderConfig=N(set_compute_capability=0, create_timing_cache=0), DeviceType=N(DLA=1))
    can = capabilities(rtx)
    assert can.compute_capabilities
    assert not any((can.timing_cache, can.dla))


def test_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    find.cache_clear()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    try:
        with pytest.raises(BackendError, match="TensorRT .*; on a Jetson it comes with JetPack"):
            find("tensorrt")
        monkeypatch.setitem(sys.modules, "tensorrt", fake.SimpleNamespace(__version__="0.0.stub"))
        with pytest.raises(BackendError, match="is something else"):
            find("tensorrt")
    finally:
        find.cache_clear()
