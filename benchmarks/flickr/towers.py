"""A small CLIP of two pretrained towers that PyPI has, and its lower layers apart from what is trained.

EfficientNet-Lite0 was trained on ImageNet, MiniLM-L6 on pairs of sentences; both are Apache-2.0. Nothing has
taught them to meet: the two projections are random, and a few minutes of captions make them a CLIP.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from harmoclip import starter
from harmoclip.tokenizers import Tokenizer

CONTEXT_LENGTH = 20


def pretrained_pair(seed: int = 0) -> Any:
    """An open_clip model of the two towers, with random projections of the seed; it takes 224 x 224 pixels.

    Raises:
        MissingDependencyError: A package is not installed; the message says how to get it.
    """
    torch.manual_seed(seed)
    return starter.starter_model(seed)


def pair_tokenizer(context_length: int = CONTEXT_LENGTH) -> Tokenizer:
    """The text tower's own tokenizer: texts to ids `[B, context_length]`."""
    return starter.starter_tokenizer(context_length)


def pair_preprocess(image: Image.Image) -> Tensor:
    """An image of 224 x 224 pixels as the image tower takes it, `[3, 224, 224]` in [-1, 1]."""
    from torchvision.transforms.functional import pil_to_tensor

    return pil_to_tensor(image.convert("RGB")).float() / 127.5 - 1


def cut_image_tower(model: Any, blocks: int) -> nn.Module:
    """Take the lower layers off the model, and give them; what is left of it trains in bfloat16 too."""
    lower = starter.cut_image_tower(model, blocks)
    for module in model.visual.trunk.modules():
        if type(module) is nn.Conv2d and module.groups > 1:
            module.__class__ = Float32Conv2d
    return lower


class Float32Conv2d(nn.Conv2d):
    """A depthwise convolution that stays in float32: its backward in bfloat16 is slow on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        """The convolution."""
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())
