"""One float graph and one calibration table → every form a runtime wants.

Form ``cpu`` (OpenVINO, ONNX Runtime): uint8 activations. ``trt-typed`` (TensorRT ≥ 10.12, 11, RTX):
symmetric int8, FP16 around it, strongly typed, opset 19. ``trt-legacy`` (TensorRT 8.6, early 10):
symmetric int8, FP32 around it, opset 17. Input and output stay uint8 in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes

from edgeseg.calibration.table import Table
from edgeseg.errors import ModelError
from edgeseg.export import half, qdq, upsample
from edgeseg.export.layers import check_known
from edgeseg.export.opset import to_opset

FormName = Literal["float", "cpu", "trt-typed", "trt-legacy"]


@dataclass(frozen=True)
class Recipe:
    """How a graph of the bundle is made; ``style`` None leaves layers in float."""

    form: FormName
    precision: Literal["fp16", "int8"]
    style: qdq.Style | None
    opset: int


_CPU = qdq.Style(unsigned=True, outputs=True, int_bias=True, raw=True)
# 7-bit weights: where a CPU lacks VNNI, u8 × s8 products are summed in pairs in 16 bits and 8-bit weights saturate.
_CPU_7BIT = replace(_CPU, weight_levels=63)
_TYPED = qdq.Style(unsigned=False, outputs=False, half=True)
_LEGACY = qdq.Style(unsigned=False, outputs=False, stored_weights=False)

GRAPHS: dict[str, Recipe] = {
    "int8-cpu": Recipe("cpu", "int8", _CPU, 17),
    "int8-cpu-7bit": Recipe("cpu", "int8", _CPU_7BIT, 17),
    "int8-trt-typed": Recipe("trt-typed", "int8", _TYPED, 19),
    "int8-trt-legacy": Recipe("trt-legacy", "int8", _LEGACY, 17),
    "fp16-trt-typed": Recipe("trt-typed", "fp16", None, 19),
}


@dataclass(frozen=True)
class Emitted:
    """A graph and the names of its quantised layers."""

    name: str
    data: bytes
    opset: int
    quantised: list[str]


def emit(name: str, graph: bytes, table: Table | None, exclude: Iterable[str] = (), *, alone: bool = False) -> Emitted:
    """Writes one form.

    Args:
        name: of ``GRAPHS``.
        graph: the float frame graph.
        table: of that graph; not needed for FP16.
        exclude: layers that stay in float.
        alone: see :func:`edgeseg.export.qdq.quantise`.

    Raises:
        ModelError: an op that no emitter knows, or a table that lacks a tensor.
    """
    recipe = GRAPHS[name]
    model = ir.from_proto(onnx.load_from_string(graph))
    check_known(model)
    quantised = []
    if recipe.style is not None:
        if table is None:
            raise ModelError(f"{name}: INT8 needs a calibration table")
        quantised = qdq.quantise(model, table, recipe.style, exclude, alone=alone)
    if recipe.form == "cpu":
        upsample.as_products(model)
    if recipe.form == "trt-typed":
        half.to_half(model)
    opset = max(recipe.opset, model.graph.opset_imports[""]) if recipe.form != "trt-legacy" else recipe.opset
    to_opset(model, opset)
    model.ir_version = max(model.ir_version, 9 if opset >= 19 else 8)
    passes.RemoveUnusedNodesPass()(model)
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    proto = onnx.shape_inference.infer_shapes(proto)
    onnx.checker.check_model(proto, full_check=True)
    return Emitted(name, proto.SerializeToString(deterministic=True), opset, quantised)
