"""The network at work: ONNX Runtime on one thread, from engineering units to engineering units.

Scaling of what is seen and of what is asked for lies inside the graph, so there is nothing beside it that
could be lost or mixed up. torch is not needed, and not imported.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controllers.policy.manifest import Manifest
from twin.plugins import RefusedError

INPUT, OUTPUT = "observation", "action"
OPERATORS = frozenset(
    ["Add", "Clip", "Concat", "Div", "Elu", "Gemm", "Identity", "LeakyRelu", "MatMul", "Max", "Min", "Mul",
     "Neg", "Relu", "Sigmoid", "Sub", "Tanh", "Transpose"]
)  # fmt: skip
"""What a feed-forward policy is made of. Anything else has no business in it."""
MOST_NUMBERS = 2**20
"""Most numbers that a policy may work out from one observation, all steps together; assumption. Those of training
work out some thousands."""
MISSING = "pip install 'takttwin[policy]'"


class Network:
    """A feed-forward policy. Raises `RefusedError` for a graph that is none."""

    def __init__(self, model: bytes, manifest: Manifest, place: str) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise RefusedError(
                "a policy runs by onnxruntime, which is not installed", MISSING
            ) from error
        inspect(model, manifest, place)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = (
            3  # errors are raised; warnings are not the operator's business
        )
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the library's own exceptions have no public base
            raise RefusedError(f"{place}: the network cannot be run: {_line(error)}") from error
        self._outputs = [OUTPUT]

    def act(self, observations: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the policy asks for in each row, engineering units, in the order of its schema."""
        seen = observations.astype(np.float32)
        (asked,) = self._session.run(self._outputs, {INPUT: seen})
        found: NDArray[np.float64] = asked.astype(np.float64)
        return found


def inspect(model: bytes, manifest: Manifest, place: str) -> None:
    """Refuse a graph that does not fit its manifest, reaches outside, swells, or holds what is no number."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise RefusedError(
            "a policy is looked at by onnx, which is not installed", MISSING
        ) from error
    try:
        found = onnx.load_model_from_string(model)
        _check_parts(found, place)  # first: the checker would look for files that are named
        onnx.checker.check_model(found)
        _check_weights(found, place)
    except RefusedError:
        raise
    except Exception as error:  # damage shows in many ways in this library
        raise RefusedError(f"{place}: the network is no ONNX model: {_line(error)}") from error
    told = {entry.key: entry.value for entry in found.metadata_props}
    if told != metadata(manifest):
        raise RefusedError(
            f"{place}: the network was made for another plant or schema than its manifest says"
        )
    spaces, graph = manifest.spaces, found.graph
    for side, name, width in (
        (graph.input, INPUT, len(spaces.observation)),
        (graph.output, OUTPUT, len(spaces.action)),
    ):
        shapes = {one.name: [d.dim_value for d in one.type.tensor_type.shape.dim] for one in side}
        if shapes != {name: [0, width]}:
            raise RefusedError(
                f"{place}: the network's {name} is {shapes}, the schema has {width} numbers"
            )
    _check_sizes(found, place)


def _check_parts(found: Any, place: str) -> None:
    """Whether it is made of what a policy may be made of, and nothing else; its numbers may still be none."""
    nodes = found.graph.node
    foreign = {node.op_type for node in nodes if node.op_type not in OPERATORS or node.domain}
    if foreign or found.functions:
        raise RefusedError(
            f"{place}: the network does more than a policy may: {', '.join(sorted(foreign))}"
        )
    if found.graph.sparse_initializer:
        raise RefusedError(f"{place}: the network keeps weights as sparse tensors")
    if any(one.data_location == one.EXTERNAL for one in found.graph.initializer):
        raise RefusedError(f"{place}: the network keeps its weights in another file")
    for node in nodes:
        for one in node.attribute:
            # No operator of a policy takes tensors or graphs, in which the same could hide again.
            if one.type not in (one.FLOAT, one.INT, one.INTS):
                raise RefusedError(
                    f"{place}: the network does more than a policy may: {one.name} of {node.op_type}"
                )
            if not math.isfinite(one.f):
                msg = f"{place}: {one.name} of {node.op_type} is not a finite number"
                raise RefusedError(msg)


def _check_weights(found: Any, place: str) -> None:
    """Whether each weight is a number, and of the one kind that all steps work in."""
    from onnx import numpy_helper

    for tensor in found.graph.initializer:
        is_single = tensor.data_type == tensor.FLOAT
        if not is_single or not np.isfinite(numpy_helper.to_array(tensor)).all():
            msg = f"{place}: a weight of the network is not a finite number in single precision ({tensor.name})"
            raise RefusedError(msg)


def _check_sizes(found: Any, place: str) -> None:
    """Whether what it works out for one observation is small: a few weights can be made into gigabytes.

    Sizes are found anew, whatever the graph says of them, and counted together: all might be held at once.
    """
    import onnx

    alone = onnx.ModelProto()
    alone.CopyFrom(found)
    del alone.graph.value_info[:]
    alone.graph.output[0].type.tensor_type.ClearField("shape")
    alone.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    try:
        sized = onnx.shape_inference.infer_shapes(alone, check_type=True, strict_mode=True).graph
    except Exception as error:  # the library's own exceptions have no public base
        msg = f"{place}: the steps of the network do not fit each other: {_line(error)}"
        raise RefusedError(msg) from error
    sizes = {
        one.name: [d.dim_value for d in one.type.tensor_type.shape.dim]
        for one in (*sized.value_info, *sized.output)
        if one.type.tensor_type.HasField("shape")
    }
    total = 0
    for name in (name for node in found.graph.node for name in node.output):
        size = sizes.get(name, [0])
        if any(count < 1 for count in size):
            raise RefusedError(f"{place}: nobody can tell how large {name} of the network is")
        total += math.prod(size)
    if total > MOST_NUMBERS:
        msg = f"{place}: the network works out more numbers than a policy may: {total}, not {MOST_NUMBERS}"
        raise RefusedError(msg)


def metadata(manifest: Manifest) -> dict[str, str]:
    """What the graph itself says of where it belongs; read back through any ONNX tool."""
    return {
        "plant": manifest.plant,
        "plant_hash": manifest.plant_hash,
        "schema_digest": manifest.spaces.digest,
        "environment_version": manifest.spaces.version,
    }


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
