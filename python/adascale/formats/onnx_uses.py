"""The uses of a parameter in an ONNX graph."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MatrixUse:
    """``x @ W.T`` by a node MatMul or Gemm, ``transpose`` the node before it; a Gemm adds its ``rest``."""

    node: Any
    transpose: Any | None


@dataclass(frozen=True)
class Uses:
    """The readers of a parameter by kind, and whether a matrix is read as [in, out]."""

    matrix: list[MatrixUse]  # as [out, in], transposed before the product
    direct: list[MatrixUse]  # as [in, out]
    rows: list[Any]  # Gather nodes along axis 0
    other: int  # all other uses, the graph's output included


def find_uses(value: Any) -> Uses:
    matrix: list[MatrixUse] = []
    direct: list[MatrixUse] = []
    rows: list[Any] = []
    other = int(value.is_graph_output())
    for user, place in value.uses():
        products = _products_of_transpose(user, value)
        if products:
            matrix += products
        elif place == 1 and _is_plain_gemm(user, 1):
            matrix.append(MatrixUse(user, None))
        elif place == 1 and _rank(value) == 2 and (user.op_type == "MatMul" or _is_plain_gemm(user, 0)):
            direct.append(MatrixUse(user, None))
        elif place == 0 and user.op_type == "Gather" and _int(user, "axis", 0) == 0:
            rows.append(user)
        else:
            other += 1
    return Uses(matrix, direct, rows, other)


def _products_of_transpose(user: Any, value: Any) -> list[MatrixUse]:
    """The products that read a matrix through its transpose; none if it has any other reader."""
    if user.op_type != "Transpose" or _rank(value) != 2:
        return []
    readers = list(user.outputs[0].uses())
    if user.outputs[0].is_graph_output() or not readers:
        return []
    if all(place == 1 and (r.op_type == "MatMul" or _is_plain_gemm(r, 0)) for r, place in readers):
        return [MatrixUse(reader, user) for reader, _ in readers]
    return []


def _is_plain_gemm(node: Any, transposed: int) -> bool:
    """Whether it is a product and a sum, without scaling."""
    return (
        node.op_type == "Gemm"
        and _int(node, "transB", 0) == transposed
        and _int(node, "transA", 0) == 0
        and _float(node, "alpha") == 1
        and _float(node, "beta") == 1
    )


def _rank(value: Any) -> int:
    return len(value.shape) if value.shape is not None else -1


def _int(node: Any, name: str, default: int) -> int:
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def _float(node: Any, name: str) -> float:
    attribute = node.attributes.get(name)
    return 1.0 if attribute is None else float(attribute.as_float())
