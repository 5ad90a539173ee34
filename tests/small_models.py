"""The least that is an ONNX model with a voice's or a recognizer's metadata."""

from __future__ import annotations

from onnx import TensorProto, helper


def model_bytes(metadata, inputs=("input", "input_lengths", "scales")):
    """Return a model's bytes: a graph with inputs, an output and a weight, and metadata."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in inputs]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n"])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [0.0, 0.0])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["output"])], "least", values, [output], [weight]
    )
    domains = [helper.make_opsetid("com.other", 1), helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=8)
    helper.set_model_props(model, metadata)
    return model.SerializeToString()
