"""Token spans to vectors: the mean over each phrase's tokens in its text."""

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.ops._layout import checked_index
from harmoclip.ops._weights import compute_dtype, nan_like
from harmoclip.ops.mask_pool import mask_product


def span_pool(tokens: Tensor, spans: Tensor, text_index: Tensor, *, backend: str = "auto") -> Tensor:
    """Average the tokens of each span: `out[p] = mean(tokens[text_index[p], start[p]:end[p]])`.

    No `[P, L, C]` tensor is built, and nothing waits for the device.

    Args:
        tokens: `[B, L, C]` outputs of a text tower.
        spans: `[P, 2]` integers, half-open token positions.
        text_index: `[P]` integers, the text of each span.
        backend: As in `region_pool`.

    Returns:
        `[P, C]` in the dtype of the tokens; zeros for an empty span.

    Raises:
        InputError: A shape or type is wrong, a text index is out of range, or a span leaves its text or ends
            before it starts (on CUDA the last three give NaN in their rows).

    Example:
        >>> tokens = torch.tensor([[[1.0], [2.0], [6.0]]])
        >>> span_pool(tokens, torch.tensor([[1, 3]]), torch.tensor([0]))
        tensor([[4.]])
    """
    if tokens.ndim != 3 or not isinstance(spans, Tensor) or spans.ndim != 2 or spans.shape[1] != 2:
        given = tuple(spans.shape) if isinstance(spans, Tensor) else type(spans).__name__
        raise InputError(
            f"span_pool needs tokens [B, L, C] and spans [P, 2], got {tuple(tokens.shape)} and {given}."
        )
    if spans.is_floating_point():
        raise InputError(f"spans are {spans.dtype}: expected token positions. Convert them with .long().")
    text_index = checked_index("text_index", text_index, spans.shape[:1])
    start, end, length = spans[:, :1], spans[:, 1:], tokens.shape[1]
    position = torch.arange(length, device=tokens.device)
    inside = (position >= start) & (position < end)
    weights = inside.to(compute_dtype(tokens.dtype))
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
    possible = (start >= 0) & (end <= length) & (start <= end)
    return mask_product(
        tokens, torch.where(possible, weights, nan_like(weights)), text_index, 0, False, backend
    )
