"""Device profiles of ``export/targets/*.toml``: what runs there, in which precisions, and how engines are built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgeseg import recipes
from edgeseg.errors import UsageError

KIND = "export/targets"
Precision = Literal["fp32", "fp16", "int8"]
Batch = Annotated[int, Field(ge=1, le=256)]


class EngineProfile(recipes.RecipePart):
    """How TensorRT builds for a device.

    Attributes:
        flavour: the full library, or TensorRT for RTX.
        form: ``trt-typed`` where the library is 10.12 or later (or RTX), ``trt-legacy`` before.
        compute_capabilities: of the cards, such as "8.9"; the first decides what the notes say.
        workspace_mib: most scratch memory a kernel may take while it is chosen and run.
        level: of the builder's search, 0 to 5; 3 is its default.
        hardware_compatible: whether one engine serves later cards too (slower).
        version_compatible: whether one engine serves later libraries too (slower).
        dla_core: accelerator of a Jetson, instead of its GPU.
        camera: height and width of a camera's frame that an extra engine takes as it is, resizing inside.
    """

    flavour: Literal["tensorrt", "rtx"]
    form: Literal["trt-typed", "trt-legacy"]
    compute_capabilities: Annotated[list[Annotated[str, Field(pattern=r"^\d+\.\d$")]], Field(min_length=1)]
    workspace_mib: Annotated[int, Field(ge=16, le=65536)] = 1024
    level: Annotated[int, Field(ge=0, le=5)] = 3
    hardware_compatible: Literal["none", "ampere-plus", "same-cc"] = "none"
    version_compatible: bool = False
    dla_core: Annotated[int, Field(ge=0, le=1)] | None = None
    camera: Annotated[list[Annotated[int, Field(ge=16, le=16384)]], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _rtx_limits(self) -> Self:
        if self.flavour == "rtx":
            if self.dla_core is not None:
                raise ValueError("dla_core: TensorRT for RTX accepts a DLA core and ignores it; leave it out")
            if self.hardware_compatible != "none" or self.version_compatible:
                raise ValueError(
                    "hardware_compatible, version_compatible: TensorRT for RTX has neither; list the cards"
                )
            if self.form != "trt-typed":
                raise ValueError("form: TensorRT for RTX builds strongly typed graphs; use trt-typed")
        return self


class Target(recipes.RecipePart):
    """A device profile.

    Attributes:
        name: of the profile.
        description: the device, in words.
        backend: what runs there.
        platform: of the device.
        precisions: what it runs, best first; the first is made where none is asked for.
        engine: for TensorRT.
    """

    name: str
    description: str
    backend: Literal["openvino", "onnxruntime", "tensorrt"]
    platform: Literal["linux-x86_64", "linux-aarch64"]
    precisions: Annotated[list[Precision], Field(min_length=1)]
    engine: EngineProfile | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.backend == "tensorrt") != (self.engine is not None):
            raise ValueError("engine: TensorRT targets have that table, others do not")
        return self

    def graph(self, precision: Precision) -> str:
        """Name of the graph that an engine of this precision is built from.

        Early libraries make FP16 of the float graph by a builder flag; later ones want it typed.
        """
        form = self.engine.form if self.engine else "cpu"
        if precision == "fp32" or (precision == "fp16" and form == "trt-legacy"):
            return "float"
        return f"{precision}-{form}"

    def graphs(self, precision: Precision) -> tuple[str, ...]:
        """Names of the emitted graphs that this precision needs here; the float graph is always there."""
        if self.engine is None:
            x86 = self.platform == "linux-x86_64"
            return ("int8-cpu", *(("int8-cpu-7bit",) if x86 else ())) if precision == "int8" else ()
        name = self.graph(precision)
        return () if name == "float" else (name,)

    def chosen(self, asked: Sequence[str]) -> list[Precision]:
        """The precisions to make: those asked for, in the profile's order, else its first.

        Raises:
            UsageError: none of those asked for runs there.
        """
        found = [one for one in self.precisions if one in asked] if asked else self.precisions[:1]
        if not found:
            raise UsageError(
                f"--target {self.name}: {self.description} runs {', '.join(self.precisions)}, not {', '.join(asked)}"
            )
        return found


def load(name: str) -> Target:
    """A shipped profile by name, or a ``.toml`` file.

    Raises:
        UsageError: there is none of that name.
        InputError: the file is not what it should be.
    """
    return recipes.load(KIND, name, Target)
