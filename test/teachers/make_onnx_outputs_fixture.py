"""Writes fixtures/onnx_outputs/*.onnx: networks of two numbers that give what teachers of other programs do.

pip install onnx==1.23.2
"""

from pathlib import Path

from onnx import TensorProto, helper, numpy_helper, save
import numpy as np

folder = Path(__file__).parent / "fixtures" / "onnx_outputs"
folder.mkdir(exist_ok=True)
weight = numpy_helper.from_array(np.array([[1, 2], [3, -4]], dtype=np.float32), "W")
value, sequence = helper.make_tensor_value_info, helper.make_tensor_sequence_value_info
logits = value("y", TensorProto.FLOAT, ["n", 2])


def keep(name, nodes, outputs, inputs=(value("x", TensorProto.FLOAT, ["n", 2]),)):
    product = helper.make_node("MatMul", ["x", "W"], ["y"])
    graph = helper.make_graph([product, *nodes], "g", list(inputs), outputs, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    save(model, folder / f"{name}.onnx")


def cast(name, kind):
    keep(name, [helper.make_node("Cast", ["y"], ["z"], to=kind)], [value("z", kind, ["n", 2])])


labels = [helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0), helper.make_node("Softmax", ["y"], ["p"], axis=1)]
keep("labels", labels, [value("label", TensorProto.INT64, ["n"]), value("p", TensorProto.FLOAT, ["n", 2])])
keep("sequence", [helper.make_node("SequenceConstruct", ["y", "y"], ["q"])], [sequence("q", TensorProto.FLOAT, None), logits])
keep("two", [helper.make_node("Softmax", ["y"], ["p"], axis=1)], [logits, value("p", TensorProto.FLOAT, ["n", 2])])
keep("open", [], [value("y", TensorProto.FLOAT, None)], [value("x", TensorProto.FLOAT, None)])
noise = [helper.make_node("RandomNormalLike", ["y"], ["r"]), helper.make_node("Add", ["y", "r"], ["z"])]
keep("random", noise, [value("z", TensorProto.FLOAT, ["n", 2])])
centred = [helper.make_node("ReduceMean", ["y"], ["m"], axes=[0], keepdims=1), helper.make_node("Sub", ["y", "m"], ["z"])]
keep("centred", centred, [value("z", TensorProto.FLOAT, ["n", 2])])
cast("int64", TensorProto.INT64)
cast("text", TensorProto.STRING)
