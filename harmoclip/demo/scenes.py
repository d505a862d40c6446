"""The demo on generated scenes: a small CLIP that knows nothing yet, and scenes to learn from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from harmoclip.data import Collator
from harmoclip.data.scenes import CLASS_NAMES, Scenes
from harmoclip.demo.study import Settings, Split, Subject

CONTEXT_LENGTH = 40
SETTINGS = Settings(steps=720, batch_size=28, train=6000, test=500, learning_rate=3e-3, warmup=50)


def scenes_subject(settings: Settings, progress: Callable[[int], None]) -> Subject:
    """Scenes of the seed, drawn now, and the small model."""
    import open_clip

    tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT_LENGTH)
    collator = Collator(tokenizer)
    done = 0

    def split(name: str, length: int) -> Split:
        nonlocal done
        scenes = Scenes(name, length, seed=settings.seed)
        samples = []
        for i in range(length):
            samples += scenes.render([i])
            done += 1
            progress(done)
        return Split(samples, torch.stack([torch.as_tensor(s.image) for s in samples]), collator)

    train, test = split("train", settings.train), split("test", settings.test)
    return Subject(
        train=train,
        test=test,
        named=test.samples,
        names=CLASS_NAMES,
        tokenizer=tokenizer,
        start=partial(small_clip, settings.seed),
        to_input=to_input,
        # without pre-training, the last block's own tokens learn faster than its value path, and boxes bear a
        # greater weight: there is little yet that they could cost
        options={"dense": "plain", "weights": {"lexeme_region": 6.0, "global_region": 0.5}},
    )


def to_input(image: object) -> Tensor:
    """Float values in [-1, 1] of uint8 images, one or many."""
    return torch.as_tensor(image).float() / 127.5 - 1


def small_clip(seed: int) -> nn.Module:
    """A small open_clip model for 64 x 64 pixels, with random weights of the seed.

    Convolutions make its patches: from so few scenes they learn shapes that a linear map never does.
    """
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    model = CLIP(
        embed_dim=96,
        vision_cfg={"image_size": 64, "patch_size": 8, "layers": 3, "width": 96, "head_width": 24},
        text_cfg={
            "context_length": CONTEXT_LENGTH, "vocab_size": 49408, "layers": 2, "width": 96, "heads": 4,
        },
    )  # fmt: skip
    model.visual.conv1 = _stem(3, 24, 48, 48, 96, strides=(2, 2, 1, 2))
    return model


def _stem(*channels: int, strides: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (before, after), stride in zip(pairwise(channels), strides, strict=True):
        convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(memory_format=torch.channels_last)
