"""bfloat16, which the checkpoints are stored in."""

import torch
from torch import Tensor


def rounded(values: Tensor) -> Tensor:
    """In float32, as what bfloat16 keeps of them."""
    return values.to(torch.bfloat16).float()


def rounded_through(values: Tensor) -> Tensor:
    """The same, with the gradient of the values themselves."""
    return values + (rounded(values) - values).detach()


def solved_rounded(features: Tensor, wanted: Tensor, ridge: float) -> Tensor:
    """Weights X, each a bfloat16, for which features @ X is nearest to `wanted`.

    One row of X is rounded after the other, the largest first, and those not yet rounded make up for the error.
    """
    scale = features.abs().mean(0).clamp_min(1e-9).double()
    features, wanted = features / scale, wanted.double()
    count = len(scale)
    square = features.T @ features / len(features) + ridge * torch.eye(count, dtype=torch.float64)
    weights = torch.linalg.solve(square, features.T @ wanted / len(features))
    order = weights.norm(dim=1).argsort(descending=True)
    square, weights, scale = square[order][:, order], weights[order], scale[order]
    inverse = torch.linalg.inv(square)
    for row in range(count):
        kept = rounded((weights[row] / scale[row]).float()).double() * scale[row]
        error = (weights[row] - kept) / inverse[row, row]
        weights[row + 1 :] -= inverse[row + 1 :, row, None] * error
        weights[row] = kept
        inverse = inverse - inverse[:, row, None] @ inverse[row, None] / inverse[row, row]
    unscaled = (weights / scale[:, None]).float()
    return rounded(unscaled)[order.argsort()]
