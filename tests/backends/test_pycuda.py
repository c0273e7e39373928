"""Real pycuda without a GPU: against a driver that has no device, and one whose memory is the host's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if importlib.util.find_spec("pycuda") is None:
    pytest.skip(
        "pycuda is not installed (tests/backends/build_pycuda.sh builds it without CUDA)", allow_module_level=True
    )
if shutil.which("gcc") is None or shutil.which("nm") is None:
    pytest.skip("gcc and nm make the stand-in for the driver", allow_module_level=True)


def run(code: str, driver: Path | None, *, fails: bool = False) -> str:
    library = {"LD_LIBRARY_PATH": str(driver)} if driver else {}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=os.environ | library, capture_output=True, text=True
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr.splitlines()[-1] if fails else done.stdout


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    spec = importlib.util.find_spec("pycuda")
    assert spec is not None
    assert spec.origin is not None
    module = next(Path(spec.origin).parent.glob("_driver*.so"))
    out = {}
    for kind in ("none", "host"):
        out[kind] = tmp_path_factory.mktemp(kind)
        script = [sys.executable, str(HERE / "stand_in_driver.py"), kind, str(module), str(out[kind] / "libcuda.so.1")]
        subprocess.run(script, check=True)
    return out


OPEN = "from edgeseg.backends.cuda import PyCuda\nimport numpy as np\ncuda = PyCuda(INDEX)\n"


def test_no_device(driver: dict[str, Path]) -> None:
    said = run(OPEN.replace("INDEX", "0"), driver["none"], fails=True)
    assert "BackendError: no NVIDIA GPU can be used" in said
    assert "no CUDA-capable device" in said
    assert "--backend tensorrt" in said


def test_no_driver() -> None:
    try:
        import ctypes

        ctypes.CDLL("libcuda.so.1")
    except OSError:
        said = run(OPEN.replace("INDEX", "0"), None, fails=True)
        assert "no NVIDIA driver is installed" in said
    else:
        pytest.skip("this machine has a driver")


def test_no_such_device(driver: dict[str, Path]) -> None:
    assert "there is no GPU 3, only 1" in run(OPEN.replace("INDEX", "3"), driver["host"], fails=True)


def test_copies_through_pinned_memory(driver: dict[str, Path]) -> None:
    code = OPEN.replace("INDEX", "0") + (
        "print(cuda.card())\n"
        "a, b = cuda.pinned((4, 5)), cuda.pinned((4, 5))\n"
        "assert not a.any() and a.flags.c_contiguous\n"
        "a[:] = np.arange(20).reshape(4, 5)\n"
        "where = cuda.device(a.nbytes)\n"
        "cuda.copy_in(where, a); cuda.copy_out(b, where); cuda.synchronize()\n"
        "assert (a == b).all() and cuda.stream\n"
        "assert cuda.timed(lambda: cuda.copy_in(where, a)) >= 0\n"
        "assert cuda.capture(lambda: None) is None\n"
        "cuda.close(); cuda.close(); print('closed')\n"
    )
    out = run(code, driver["host"])
    assert "capability='8.9'" in out
    assert "bus_id='0000:00:00.0'" in out
    assert "closed" in out


def test_out_of_memory(driver: dict[str, Path]) -> None:
    code = OPEN.replace("INDEX", "0") + (
        "try:\n    cuda.device((1 << 31) - 1)\nexcept Exception as error:\n    print(error)\ncuda.close()\n"
    )
    assert "the GPU is out of memory: it could not allocate 2048.0 MiB" in run(code, driver["host"])


def test_the_primary_context_is_let_go(driver: dict[str, Path]) -> None:
    code = (
        "import pycuda.driver as drv\n" + OPEN.replace("INDEX", "0") + "import threading\n"
        "assert drv.Context.get_current() is not None\n"
        "inside = []\n"
        "thread = threading.Thread(target=lambda: inside.append(drv.Context.get_current()))\n"
        "thread.start(); thread.join()\n"
        "assert inside == [None]\n"
        "cuda.close()\n"
        "assert drv.Context.get_current() is None\n"
    )
    run(code, driver["host"])


def test_a_runner_in_its_own_thread(driver: dict[str, Path]) -> None:
    """The whole runner on real pycuda memory, with a stand-in for the library."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import numpy as np, fake_tensorrt as fake\n"
        "from edgeseg.backends.base import EngineOptions\n"
        "from edgeseg.backends.tensorrt import TensorRtEngine\n"
        "source = fake.Context.execute_async_v3\n"
        "fake.Context.execute_async_v3 = lambda self, stream: source(self, 7)\n"
        "engines = [TensorRtEngine(fake.plan(), EngineOptions(), fake.library()) for _ in range(2)]\n"
        "for seed in range(200):\n"
        "    frame = np.random.default_rng(seed).integers(0, 256, (1, 4, 6, 3), np.uint8)\n"
        "    for one in engines:\n"
        "        assert (one.run(frame)[0, 0] == 255 - frame[0, ..., 0]).all()\n"
        "for one in engines:\n"
        "    one.close()\n"
        "print('done')\n"
    )
    assert "done" in run(code, driver["host"])
    # Forgotten engines are closed at the end: pycuda aborts a process that leaves a context in place.
    assert "done" in run(code.replace("    one.close()\n", "    pass\n"), driver["host"])
