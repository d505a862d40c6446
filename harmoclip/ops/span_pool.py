"""Token spans to vectors: the mean over each phrase's tokens in its text."""

import torch
from torch import Tensor

from harmoclip.errors import InputError
from harmoclip.ops._weights import compute_dtype
from harmoclip.ops.mask_pool import mask_product


def span_pool(tokens: Tensor, spans: Tensor, text_index: Tensor, *, backend: str = "auto") -> Tensor:
    """Average the tokens of each span: `out[p] = mean(tokens[text_index[p], start[p]:end[p]])`.

    No `[P, L, C]` tensor is built, and nothing waits for the device.

    Args:
        tokens: `[B, L, C]` outputs of a text tower.
        spans: `[P, 2]` int64 half-open token positions; what lies outside the text is cut off.
        text_index: `[P]` int64, the text of each span.
        backend: As in `region_pool`.

    Returns:
        `[P, C]` in the dtype of the tokens; zeros for an empty span.

    Raises:
        InputError: A shape is wrong, or a text index is out of range.

    Example:
        >>> tokens = torch.tensor([[[1.0], [2.0], [6.0]]])
        >>> span_pool(tokens, torch.tensor([[1, 3]]), torch.tensor([0]))
        tensor([[4.]])
    """
    if tokens.ndim != 3 or spans.ndim != 2 or spans.shape[1] != 2 or text_index.shape != spans.shape[:1]:
        raise InputError(
            "span_pool needs tokens [B, L, C], spans [P, 2] and text_index [P], got "
            f"{tuple(tokens.shape)}, {tuple(spans.shape)} and {tuple(text_index.shape)}."
        )
    position = torch.arange(tokens.shape[1], device=tokens.device)
    inside = (position >= spans[:, :1]) & (position < spans[:, 1:])
    weights = inside.to(compute_dtype(tokens.dtype))
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
    return mask_product(tokens, weights, text_index, 0, False, backend)
