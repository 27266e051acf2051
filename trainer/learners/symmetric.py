"""Symmetric matrices as bytes: of two equal triangles one is kept."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def packed(matrix: Matrix) -> bytes:
    """The upper triangle of a symmetric matrix, (rows, rows), row after row."""
    return matrix[np.triu_indices(len(matrix))].tobytes()


def unpacked(triangle: bytes, rows: int) -> Matrix:
    """The symmetric matrix of what `packed` made, (rows, rows)."""
    upper = np.zeros((rows, rows))
    upper[np.triu_indices(rows)] = np.frombuffer(triangle)
    whole: Matrix = upper + np.triu(upper, 1).T
    return whole
