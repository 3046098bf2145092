"""Edits of a graph after which no line may see it, each as if the exporter had made it so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def with_nan(model: Any) -> None:
    """One weight of the first layer that has several is no number."""
    from onnx import numpy_helper

    weight = next(one for one in model.graph.initializer if len(one.dims) == 2)
    values = numpy_helper.to_array(weight).copy()
    values[0, 0] = np.nan
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))


def with_sparse_weights(model: Any) -> None:
    """The last centre is kept as a sparse tensor, whose one value is no number."""
    import onnx
    from onnx import numpy_helper

    dense = next(
        one for one in model.graph.initializer if one.name == model.graph.node[-1].input[1]
    )
    sparse = onnx.SparseTensorProto(dims=dense.dims)
    sparse.values.CopyFrom(numpy_helper.from_array(np.array([np.nan], np.float32), dense.name))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([3], np.int64)))
    model.graph.sparse_initializer.append(sparse)
    model.graph.initializer.remove(dense)


def with_weights_elsewhere(model: Any) -> None:
    """The weights of the first layer are in another file."""
    weight = next(one for one in model.graph.initializer if len(one.dims) == 2)
    weight.ClearField("raw_data")
    weight.data_location = weight.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "weights.bin"


def with_weights_left_over(model: Any) -> None:
    """There are more weights than the shape has places."""
    weight = next(one for one in model.graph.initializer if len(one.dims) == 2)
    weight.raw_data += bytes(4)


def with_bfloat16(model: Any) -> None:
    """Beside its weights lies a tensor of another kind of number, of which one is none."""
    import onnx

    model.graph.initializer.append(
        onnx.helper.make_tensor("other", onnx.TensorProto.BFLOAT16, [2], [1.0, math.nan])
    )


def with_zeros(model: Any, name: str, *shape: int) -> None:
    """Weights that add nothing."""
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))


def with_step(model: Any, *steps: Any) -> None:
    """Steps before the answer, which is named ``asked`` where they begin."""
    model.graph.node[-1].output[0] = "asked"
    model.graph.node.extend(steps)


def with_nan_slope(model: Any) -> None:
    """What is asked for goes through a step whose slope is no number; it matters below zero alone."""
    from onnx import helper

    with_step(model, helper.make_node("LeakyRelu", ["asked"], ["action"], alpha=math.nan))


def with_swelling(model: Any) -> None:
    """Two rows of 8,000 weights make 64 million numbers, before anything is seen."""
    from onnx import helper

    for name, shape in (("column", (8000, 1)), ("row", (1, 8000))):
        with_zeros(model, name, *shape)
    with_step(
        model,
        helper.make_node("Add", ["column", "row"], ["square"]),
        helper.make_node("MatMul", ["row", "square"], ["less"]),
        helper.make_node("MatMul", ["less", "column"], ["nothing"]),
        helper.make_node("Add", ["asked", "nothing"], ["action"]),
    )


def with_hidden_size(model: Any) -> None:
    """The same square, where the graph itself says that it is a single number."""
    from onnx import TensorProto, helper

    with_swelling(model)
    said = helper.make_tensor_value_info("square", TensorProto.FLOAT, [1, 1])
    model.graph.value_info.append(said)


def with_many_swelling(model: Any) -> None:
    """Thousands of rows of a length that would pass one by one, all held until the last step."""
    from onnx import helper

    answers = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    for name, shape in (("narrow", (answers, 1)), ("row", (1, 8000)), ("column", (8000, 1))):
        with_zeros(model, name, *shape)
    rows = [f"row {n}" for n in range(2000)]
    with_step(
        model,
        helper.make_node("MatMul", ["asked", "narrow"], ["one"]),
        *(helper.make_node("Add", ["one", "row"], [row]) for row in rows),
        helper.make_node("Max", rows, ["most"]),
        helper.make_node("MatMul", ["most", "column"], ["nothing"]),
        helper.make_node("Add", ["asked", "nothing"], ["action"]),
    )


def with_shapes_that_do_not_fit(model: Any) -> None:
    """A step that no numbers can go through."""
    from onnx import helper

    with_zeros(model, "odd", 7, 7)
    with_step(model, helper.make_node("MatMul", ["asked", "odd"], ["action"]))
