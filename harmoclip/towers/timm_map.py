"""timm's networks that end in a feature map and its mean: ConvNeXt, FastViT, Swin, ResNet and their like."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from harmoclip.capture import ImageActivations, ImageTaps, TapPoint, first_input
from harmoclip.towers.base import Dense, ImageTower, parts
from harmoclip.towers.registry import register_image_tower
from harmoclip.towers.timm_vit import TimmVisual


@register_image_tower
class TimmMap(ImageTower):
    """Cells of the feature map that the network averages; `plain` is the only kind."""

    kinds = ("plain",)
    default_kind = "plain"

    def __init__(self, visual: Any) -> None:
        self.timm = TimmVisual(visual)
        self.trunk = self.timm.trunk
        self.encoder = (visual,)
        self.blocks = blocks_of_stages(self.trunk)
        self.stem = [p for p, depth in self.depths().items() if depth == 0]
        self.channels_last = str(getattr(self.trunk, "output_fmt", "NCHW")) == "NHWC"

    @classmethod
    def matches(cls, module: Any) -> bool:
        """Whether the module has the parts that this tower reads."""
        visual = TimmVisual(module)
        pool = _pool(visual.trunk)
        return (
            parts(visual.trunk, "forward_features", "forward_head")
            and isinstance(visual.head, nn.Module)
            and isinstance(pool, nn.Module)
            and getattr(pool, "pool_type", "") == "avg"
        )

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Height and width of the images that the model was built for; None where nothing says so."""
        return self.timm.input_size

    def depths(self) -> dict[nn.Parameter, int]:
        """How high each parameter lies; what joins two stages goes with the first block of the upper one.

        These networks name their modules in the order in which they run.
        """
        owners = {p: i for i, block in enumerate(self.blocks, start=1) for p in block.parameters()}
        depths, passed = {}, 0
        for parameter in self.timm.visual.parameters():
            passed = owners.get(parameter, passed)
            between = min(passed + 1, len(self.blocks) + 1) if passed else 0
            depths[parameter] = owners.get(parameter, between)
        return depths

    def taps(self, kind: str) -> ImageTaps:
        """The first convolution's input, the map that is averaged, the image vector."""
        first = next(module for module in self.trunk.modules() if isinstance(module, nn.Conv2d))
        return ImageTaps(
            images=TapPoint(first, first_input),
            last=TapPoint(_pool(self.trunk), first_input),
            vectors=TapPoint(self.timm.head),
        )

    def dense(self, taken: ImageActivations, kind: str) -> Dense:
        """Cells `[B, H * W, C]`."""
        features = taken.last if self.channels_last else taken.last.permute(0, 2, 3, 1)
        return Dense(features.flatten(1, 2), (features.shape[1], features.shape[2]), 0)

    def project(self, pooled: Tensor) -> Tensor:
        """The network's head on maps of one cell, then open_clip's head."""
        cells = pooled.reshape(-1, 1, 1, pooled.shape[-1])
        x = self.trunk.forward_head(cells if self.channels_last else cells.permute(0, 3, 1, 2))
        return self.timm.finish(x).unflatten(0, pooled.shape[:-1])


def blocks_of_stages(trunk: Any) -> tuple[nn.Module, ...]:
    """The blocks of all stages, however the network calls them.

    Where no stage says `blocks`: the longest list of modules of one class, and other lists of that class.
    """
    stages = getattr(trunk, "stages", getattr(trunk, "layers", ()))
    if len(stages) and all(parts(stage, "blocks") for stage in stages):
        return tuple(block for stage in stages for block in stage.blocks)
    lists = [
        list(module)
        for module in trunk.modules()
        if isinstance(module, nn.ModuleList | nn.Sequential)
        and all(name.isdigit() for name, _ in module.named_children())
    ]
    alike = [blocks for blocks in lists if len({type(block) for block in blocks}) == 1]
    longest: list[nn.Module] = max(alike, key=len, default=[])
    return tuple(block for blocks in alike if type(blocks[0]) is type(longest[0]) for block in blocks)


def _pool(trunk: Any) -> Any:
    """The pooling module, in the network's head or in the network itself."""
    return getattr(getattr(trunk, "head", None), "global_pool", getattr(trunk, "global_pool", None))
