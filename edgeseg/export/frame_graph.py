"""The float frame graph: uint8 frame in, uint8 probability out, as one ONNX file."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import onnx
import onnx_ir as ir
import onnxscript.optimizer
import torch

from edgeseg import manifest as mf
from edgeseg.errors import ModelError
from edgeseg.export import names

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet

OPSET = 17


def export(net: FrameNet, manifest: mf.Manifest, *, opset: int = OPSET, batch: int = 1, dynamic: bool = False) -> bytes:
    """Exports the network with its preprocessing.

    The legacy exporter is used: the dynamo one turns global average pooling into ReduceMean of
    opset 18, whose axes TensorRT 8.6 ignores. The same weights give the same bytes.

    Args:
        net: in any mode; exported in eval.
        manifest: of the run; its task, classes, frame and output go into the metadata.
        opset: 17 to 20.
        batch: fixed batch size.
        dynamic: a batch axis of any size instead.

    Raises:
        ModelError: the network cannot be exported.
    """
    frame = torch.zeros(batch, manifest.frame.height, manifest.frame.width, 3, dtype=torch.uint8)
    axes = {"frame": {0: "batch"}, "probability": {0: "batch"}} if dynamic else None
    buffer = io.BytesIO()
    net = net.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with warnings.catch_warnings():
        # The exporter announces its own deprecation and every traced shape.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                net,
                (frame,),
                buffer,  # type: ignore[arg-type]  # the legacy exporter takes a stream
                input_names=["frame"],
                output_names=["probability"],
                opset_version=opset,
                dynamic_axes=axes,
                do_constant_folding=True,
                dynamo=False,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            message = (str(error).splitlines() or [""])[0]
            raise ModelError(
                f"network {manifest.task.network} cannot be exported at opset {opset}: {message}"
            ) from error
    model = onnx.load_from_string(buffer.getvalue())
    return finish(model, manifest)


def said_again(graph: bytes, manifest: mf.Manifest) -> bytes:
    """A frame graph whose metadata is another manifest's: another threshold, the same arithmetic."""
    model = onnx.load_from_string(graph)
    _say(model, manifest)
    return model.SerializeToString(deterministic=True)


def _say(model: onnx.ModelProto, manifest: mf.Manifest) -> None:
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = "edgeseg", mf.graph_metadata(manifest)


def finish(model: onnx.ModelProto, manifest: mf.Manifest) -> bytes:
    """Names the producer, adds the metadata, drops what is only noise, checks."""
    import edgeseg

    model.producer_name, model.producer_version = "edgeseg", edgeseg.__version__
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    _say(model, manifest)
    # Folds constants and drops the Identity nodes that equal initialisers leave behind.
    model = onnxscript.optimizer.optimize(model)
    named = ir.from_proto(model)
    names.rename(named)
    model = ir.to_proto(named)
    del model.graph.value_info[:]
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
