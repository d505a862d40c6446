"""Teach harmoclip a CLIP of your own: `python examples/own_clip.py`."""

from typing import Any

import torch
from torch import Tensor, nn

import harmoclip
from harmoclip.towers import CustomImageTower, CustomTextTower, SpecialTokens, Towers, register


@register
def my_clip(model: Any) -> Towers | None:
    """The towers of a MyClip, None for any other model."""
    if type(model).__name__ != "MyClip":
        return None
    image = CustomImageTower(
        patches=model.patches,  # given the images, gives [B, C, H, W]
        blocks=model.blocks,  # the last gives the tokens [B, prefix + H * W, C]
        project=model.image_head,  # [..., C] to the joint space
        pool=model.mean,  # tokens to the image's own [B, C]
    )
    text = CustomTextTower(
        words=model.words,  # given the token ids
        blocks=[model.language],  # the last gives the tokens [B, L, C]
        project=model.text_head,
        encode=model.encode_text,  # ids to text vectors
        context_length=16,
        special=SpecialTokens(start=1, end=99, pad=0),  # what the tokenizer adds
    )
    return Towers(model, image, text)  # it has encode_image, encode_text and logit_scale


class MyClip(nn.Module):
    """A model that no adapter knows."""

    def __init__(self, width: int = 32, joint: int = 24) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(width, 2, 64, batch_first=True)])
        self.image_head = nn.Linear(width, joint)
        self.words = nn.Embedding(100, width)
        self.language = nn.TransformerEncoderLayer(width, 2, 64, batch_first=True)
        self.text_head = nn.Linear(width, joint)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def mean(self, tokens: Tensor) -> Tensor:
        """The mean token."""
        return tokens.mean(1)

    def encode_image(self, images: Tensor) -> Tensor:
        """Vectors of images."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return self.image_head(self.mean(tokens))

    def encode_text(self, ids: Tensor) -> Tensor:
        """Vectors of texts."""
        return self.text_head(self.language(self.words(ids)).mean(1))


def main() -> None:
    harmo = harmoclip.harmonize(MyClip().eval())
    boxes = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 1.0]])
    vectors = harmo.encode_regions(torch.randn(1, 3, 32, 32), [boxes])
    print(harmo)
    print("regions:", tuple(vectors.shape))


if __name__ == "__main__":
    main()
