"""What a user gives to `Harmonized`, made into tensors where its meaning is certain, or else refused."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.grounding import Grounding


def image_batch(images: Any) -> Any:
    """Images `[B, 3, H, W]`: one image `[3, H, W]` becomes a batch of one, and a list of images is stacked.

    What has no shape, such as the patches of a model that takes images of any size, is passed on.

    Raises:
        InputError: They are photographs that were not preprocessed, or have another shape.

    Example:
        >>> image_batch([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]).shape
        torch.Size([2, 3, 8, 8])
    """
    if torch.compiler.is_compiling():
        return images
    if isinstance(images, (list, tuple)) and images and all(_is_array(image) for image in images):
        images = [_tensor("images", image) for image in images]
        if len({image.shape for image in images}) > 1:
            shapes = ", ".join(str(list(image.shape)) for image in images)
            raise InputError(f"images are a list of the shapes {shapes}: expected images of one shape.")
        images = torch.stack(images)
    if _is_array(images):
        images = _tensor("images", images)
        images = images[None] if images.ndim == 3 else images
        if images.ndim != 4 or not images.is_floating_point():
            raise InputError(
                f"images are {images.dtype} of shape {list(images.shape)}: expected floating point "
                "[B, 3, H, W], as the model's preprocessing gives them."
            )
        return images
    first = images[0] if isinstance(images, (list, tuple)) and images else images
    if isinstance(first, (str, bytes, list, tuple, type(None))) or type(first).__module__.startswith("PIL."):
        raise InputError(
            f"images are {_name(images)}: expected a tensor [B, 3, H, W]. Preprocess them first: "
            "torch.stack([preprocess(image) for image in images])."
        )
    return images


def token_rows(texts: object) -> Tensor:
    """Token ids `[T, L]`: one row of ids as a batch of one, lists and arrays of whole numbers as a tensor.

    Raises:
        InputError: They are no rows of token ids.

    Example:
        >>> token_rows([[49406, 320, 49407], [49406, 518, 49407]]).shape
        torch.Size([2, 3])
    """
    if torch.compiler.is_compiling() and isinstance(texts, Tensor):
        return texts
    ids = texts
    if isinstance(texts, (list, tuple)) and texts and isinstance(texts[0], Tensor):
        ids = torch.stack(list(texts))
    if _is_array(ids) or (isinstance(ids, (list, tuple)) and ids and not isinstance(ids[0], str)):
        ids = _tensor("texts", ids)
        ids = ids[None] if ids.ndim == 1 else ids
    if not isinstance(ids, Tensor) or ids.ndim != 2 or ids.is_floating_point():
        given = f"{ids.dtype} of shape {list(ids.shape)}" if isinstance(ids, Tensor) else _name(texts)
        raise InputError(f"texts are {given}: expected token ids [T, L]. Tokenize the captions first.")
    return ids


def check_batch(images: Tensor, texts: Tensor, grounding: Grounding) -> None:
    """Raise unless images, texts and grounding go together; compiled programs do not ask."""
    if torch.compiler.is_compiling():
        return  # the batch's own numbers must not become part of the compiled program
    if not isinstance(grounding, Grounding):
        raise InputError(f"grounding is {_name(grounding)}: expected a harmoclip.Grounding.")
    if len(images) > len(texts):
        raise InputError(
            f"there are {len(images)} images and {len(texts)} captions: expected one caption an image, in "
            "the first rows of the texts. Where an image has none, Grounding(captioned=...) says so."
        )
    grounding.check_batch(len(images), len(texts), texts.shape[1])
    grounding.check_texts_are_used(len(images), len(texts))


def check_regions(boxes: Tensor, image_index: Tensor, images: int) -> Tensor:
    """Boxes `[R, 4]` with rounding beyond the edge moved back; a GroundingError where one is impossible.

    Compiled and exported programs do not ask: there the pooling does, or gives NaN for that box.
    """
    if torch.compiler.is_compiling():
        return boxes
    regions = Grounding.empty(boxes.device).replace(boxes=boxes, image_index=image_index)
    regions.check_batch(images, 0, 0)
    return regions.boxes


def warn_of_half_precision(model: nn.Module) -> None:
    """Warn where weights that learn are float16, as OpenAI's `clip.load` gives them on a GPU."""
    half = [n for n, p in model.named_parameters() if p.requires_grad and p.dtype == torch.float16]
    if half:
        warnings.warn(
            f"{len(half)} weights are float16, such as {half[0]!r}, and Adam makes them NaN: call "
            "model.float(), and train under torch.autocast.",
            stacklevel=2,
        )


def frozen(teacher: nn.Module) -> nn.Module:
    """The teacher in evaluation mode; an InputError where it can still learn."""
    if any(parameter.requires_grad for parameter in teacher.parameters()):
        raise InputError(
            "the teacher can still learn: call teacher.requires_grad_(False), on a copy of the model."
        )
    return teacher.eval()


def flat_boxes(boxes: object, image_index: object, images: int) -> tuple[Tensor, Tensor]:
    """All boxes `[R, 4]` in float32 and the image `[R]` of each.

    Args:
        boxes: One `[R_i, 4]` an image, or `[R, 4]` with `image_index`, which one image can do without;
            tensors, arrays or lists of numbers, of any type.
        image_index: `[R]` whole numbers, where `boxes` is one tensor.
        images: How many images there are.

    Raises:
        InputError: The boxes do not go with the images, or are no numbers.

    Example:
        >>> flat_boxes([[0.1, 0.1, 0.5, 0.5]], None, images=1)
        (tensor([[0.1000, 0.1000, 0.5000, 0.5000]]), tensor([0]))
    """
    if _is_array(boxes) or _is_one_list(boxes):
        flat = _boxes(boxes)
        if image_index is None and images != 1:
            raise InputError("boxes are one tensor without image_index: give both, or one tensor an image.")
        index = torch.zeros(len(flat)) if image_index is None else _tensor("image_index", image_index)
        if index.shape != flat.shape[:1] or (index.is_floating_point() and (index != index.round()).any()):
            raise InputError(
                f"image_index is {index.dtype} of shape {list(index.shape)}: expected a whole number for "
                f"each of the {len(flat)} boxes."
            )
        return flat, index.to(flat.device, torch.int64)
    if not isinstance(boxes, Sequence) or isinstance(boxes, str):
        raise InputError(f"boxes are {_name(boxes)}: expected one tensor [R_i, 4] for each image.")
    if image_index is not None:
        raise InputError("boxes are a list with one tensor an image: leave image_index out.")
    if len(boxes) != images:
        raise InputError(f"there are {images} images and {len(boxes)} box tensors: expected one an image.")
    each = [_boxes(b) for b in boxes]
    flat = torch.cat(each) if each else torch.empty(0, 4)
    return flat, torch.arange(images, device=flat.device).repeat_interleave(
        torch.tensor([len(b) for b in each], dtype=torch.int64, device=flat.device)
    )


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor) or type(value).__module__ == "numpy"


def _is_one_list(boxes: object) -> bool:
    """Whether these are boxes of four numbers each, not lists of boxes."""
    if not isinstance(boxes, (list, tuple)) or not boxes or not isinstance(boxes[0], (list, tuple)):
        return False
    return bool(boxes[0]) and not isinstance(boxes[0][0], (list, tuple)) and not _is_array(boxes[0][0])


def _boxes(boxes: object) -> Tensor:
    values = _tensor("boxes", boxes).float()
    values = values.reshape(-1, 4) if not values.numel() else values
    if values.ndim != 2 or values.shape[1] != 4:
        raise InputError(f"boxes have the shape {list(values.shape)}: expected [R, 4], xyxy in [0, 1].")
    return values


def _tensor(name: str, values: object) -> Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} are {_name(values)}, of which no tensor can be made: {error}") from error


def _name(value: object) -> str:
    inside = f" of {type(value[0]).__name__}" if isinstance(value, (list, tuple)) and value else ""
    return f"of type {type(value).__name__}{inside}"
