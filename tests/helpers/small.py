"""A small real model of every family, with random weights, images and captions that fit it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from harmoclip.inspect import zoo

LENGTH = 16
VIT = {"embed_dim": 48, "depth": 3, "num_heads": 3}
TIMM = {
    "eva02_base_patch16": {**VIT, "img_size": 64},
    "eva": {**VIT, "img_size": 56},
    "vit_pe": {**VIT, "img_size": 64},
    "vit_base_mci": {"depth": 2, "img_size": 64},
    "vitamin": {"depth": 2, "img_size": 64},
    "fastvit_mci3": {"layers": (1, 1, 1, 1, 1), "embed_dims": (16, 16, 32, 64, 64)},
    "fastvit": {"layers": (1, 1, 1, 1), "embed_dims": (16, 32, 64, 128)},
    "convnext": {"depths": (1, 1, 1, 1), "dims": (16, 24, 32, 48)},
    "swin": {"embed_dim": 24, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 4, 8), "img_size": 64},
    "vit_so400m_patch14": {**VIT, "img_size": 56},
    "vit": {**VIT, "img_size": 64},
}
OPEN_CLIP = (
    "ViT-B-32", "ViT-B-16-quickgelu", "ViT-M-16-alt", "ViT-L-14-CLIPA", "ViT-H-14-worldwide",
    "ViT-L-14-worldwide", "RN50", "coca_ViT-B-32", "coca_base", "coca_roberta-ViT-B-32", "convnext_base",
    "convnext_large_d", "swin_base_patch4_window7_224", "vit_medium_patch16_gap_256",
    "vit_relpos_medium_patch16_cls_224", "EVA01-g-14", "EVA02-B-16", "EVA02-E-14", "ViT-B-16-SigLIP",
    "ViT-SO400M-16-SigLIP-i18n-256", "PE-Core-T-16-384", "PE-Core-B-16", "MobileCLIP-B", "MobileCLIP2-S0",
    "MobileCLIP2-S3", "ViTamin-S", "roberta-ViT-B-32", "mt5-base-ViT-B-32", "nllb-clip-base-siglip",
    "xlm-roberta-base-ViT-B-32",
)  # fmt: skip
TRANSFORMERS = (
    "CLIPModel", "SiglipModel", "Siglip2Model", "AltCLIPModel", "ChineseCLIPModel", "MetaClip2Model",
)  # fmt: skip
PARTS = {  # classes of one tower, and the whole model that has it
    "CLIPVisionModelWithProjection": "CLIPModel",
    "CLIPTextModelWithProjection": "CLIPModel",
    "MetaClip2VisionModelWithProjection": "MetaClip2Model",
    "MetaClip2TextModelWithProjection": "MetaClip2Model",
    "SiglipVisionModel": "SiglipModel",
    "SiglipTextModel": "SiglipModel",
    "Siglip2VisionModel": "Siglip2Model",
    "Siglip2TextModel": "Siglip2Model",
}
OPENAI = ("openai-ViT", "openai-RN")
OWN = ("custom-blocks", "bare-timm")
DISTINCT = (
    "ViT-B-32", "ViT-L-14-CLIPA", "ViT-L-14-worldwide", "RN50", "coca_ViT-B-32", "convnext_base",
    "swin_base_patch4_window7_224", "vit_medium_patch16_gap_256", "vit_relpos_medium_patch16_cls_224",
    "EVA02-B-16", "EVA02-E-14", "ViT-B-16-SigLIP", "PE-Core-B-16", "roberta-ViT-B-32",
    *TRANSFORMERS, *OPENAI, *OWN,
)  # fmt: skip
ALL = (*OPEN_CLIP, *TRANSFORMERS, *OPENAI, *OWN)


class Frame(NamedTuple):
    """What the family's tokenizer puts around a text."""

    start: int | None
    end: int | None
    pad: int


CLIP_FRAME = Frame(98, 99, 0)
FRAMES = {
    "ViT-L-14-CLIPA": Frame(98, None, 0),
    "ViT-H-14-worldwide": Frame(98, 2, 1),
    "ViT-L-14-worldwide": Frame(None, 1, 0),
    "nllb": Frame(98, 2, 1),
    "SigLIP": Frame(None, 1, 1),
    "SiglipModel": Frame(None, 1, 1),
    "Siglip2Model": Frame(None, 1, 0),
    "xlm-roberta": Frame(98, 2, 1),
    "roberta": Frame(98, 2, 1),
    "mt5": Frame(None, 1, 0),
    "AltCLIPModel": Frame(98, 2, 1),
    "ChineseCLIPModel": Frame(98, 97, 0),
    "MetaClip2Model": Frame(98, 2, 1),
}


class Small(NamedTuple):
    """A model, two images and two captions."""

    model: Any
    images: Tensor
    texts: Tensor
    frame: Frame


def small(name: str) -> Small:
    """The small model of a name, in training mode."""
    torch.manual_seed(0)
    build, size = _builder(name)
    model = build()
    _disturb(model)
    frame = next((value for key, value in FRAMES.items() if key in name), CLIP_FRAME)
    return Small(model.train(), torch.randn(2, 3, size, size), captions(frame), frame)


def missing(name: str) -> str:
    """Empty, or the library whose installed version is too old for the model of a name."""
    import open_clip
    import transformers
    from open_clip.model import CLIPVisionCfg
    from timm.models.eva import EvaBlockPostNorm

    if name in OPEN_CLIP and name not in open_clip.list_models():
        return "open_clip"
    if name == "EVA02-E-14" and "swiglu_align_to" not in signature(EvaBlockPostNorm).parameters:
        return "timm"
    if name in (*TRANSFORMERS, *PARTS) and not hasattr(transformers, name):
        return "transformers"
    return "open_clip" if name == "custom-blocks" and not hasattr(CLIPVisionCfg, "qk_norm") else ""


def part(name: str, whole: nn.Module) -> nn.Module:
    """A class of one tower with the weights of the whole model."""
    import transformers

    config = whole.config.vision_config if "Vision" in name else whole.config.text_config
    model = getattr(transformers, name)(config)
    inside = "vision_model." if "Vision" in name else "text_model."
    kept = whole.state_dict()
    state = {key: kept[key if key in kept else inside + key] for key in model.state_dict()}
    model.load_state_dict(state)
    return model


def captions(frame: Frame) -> Tensor:
    """Captions of 9 and 6 words."""
    rows = [row(frame, torch.randint(10, 90, (count,)).tolist()) for count in (9, 6)]
    return torch.tensor(rows)


def row(frame: Frame, words: list[int]) -> list[int]:
    """One text as the family's tokenizer gives it."""
    ids = [i for i in (frame.start, *words, frame.end) if i is not None]
    return ids + [frame.pad] * (LENGTH - len(ids))


def tokenizer(frame: Frame) -> Callable[[list[str]], Tensor]:
    """A tokenizer of that frame: one letter, one token."""
    return lambda texts: torch.tensor([row(frame, [ord(c) % 64 + 10 for c in text]) for text in texts])


def hugging_face_tokenizer() -> Any:
    """transformers' tokenizer of three whole words in CLIP's frame."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<start>": 98, "<end>": 99, "<pad>": 0, "<unk>": 1, "a": 2, "dog": 3, "red": 4}
    rules = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    rules.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 98), ("<end>", 99)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=rules, pad_token="<pad>", unk_token="<unk>", bos_token="<start>", eos_token="<end>"
    )


def _disturb(model: nn.Module) -> None:
    """Random values for what starts at zero or one, so that nothing is a no-op."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim and (parameter.std(correction=0) == 0 or parameter.abs().max() < 1e-3):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)


def _builder(name: str) -> tuple[Callable[[], nn.Module], int]:
    if name in OPENAI:
        return partial(_openai, name), 64
    if name in TRANSFORMERS:
        return partial(_transformers, name), 32
    if name == "bare-timm":
        return _bare_timm, 56
    if name == "custom-blocks":
        return partial(_open_clip, _custom_blocks()), 32
    config = _shrink(_config(name))
    return partial(_open_clip, config), config["vision_cfg"]["image_size"]


def _config(name: str) -> dict[str, Any]:
    import open_clip

    return copy.deepcopy(open_clip.get_model_config(name))


def _shrink(config: dict[str, Any]) -> dict[str, Any]:
    vision, text = config["vision_cfg"], config["text_cfg"]
    config["embed_dim"] = 48
    if "timm_model_name" in vision:
        sizes = {"patch14": 56, "fastvit": 128}
        vision["image_size"] = next((sizes[k] for k in sizes if k in vision["timm_model_name"]), 64)
    elif isinstance(vision["layers"], list):
        vision.update(layers=[1, 1, 1, 1], width=16, image_size=64)
    else:
        vision.update(layers=3, width=48, head_width=16, patch_size=8, image_size=32, mlp_ratio=4.0)
        vision.update(attn_pooler_heads=3, attn_pooler_queries=4)
    text.update(layers=2, width=48, heads=3, context_length=LENGTH, vocab_size=100, mlp_ratio=4.0)
    if "multimodal_cfg" in config:
        config["multimodal_cfg"].update(width=48, heads=3, layers=1, context_length=LENGTH, vocab_size=100)
    return config


def _custom_blocks() -> dict[str, Any]:
    extras = dict.fromkeys(("qk_norm", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"), True)
    config = _shrink(_config("ViT-B-32"))
    return {**config, "vision_cfg": {**config["vision_cfg"], **extras, "ls_init_value": 0.1}}


def _open_clip(config: dict[str, Any]) -> nn.Module:
    import open_clip.model
    import timm
    from open_clip.coca_model import CoCa

    config = {**config, "text_cfg": {**config["text_cfg"], "hf_model_pretrained": False}}
    custom = config.pop("custom_text", False) or "hf_model_name" in config["text_cfg"]
    family = open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP
    family = CoCa if "multimodal_cfg" in config else family
    from open_clip.hf_model import AutoConfig

    with (
        mock.patch.object(timm, "create_model", _small_timm(timm.create_model)),
        mock.patch.object(AutoConfig, "from_pretrained", zoo.hugging_face_config),
    ):
        return family(**config)


def _small_timm(create: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    def build(name: str, **options: Any) -> nn.Module:
        changes = next(value for family, value in TIMM.items() if name.startswith(family))
        return create(name, **{**options, **changes})

    return build


class BareTimm(nn.Module):
    """A user's own CLIP with a timm model as it is, and open_clip's text transformer."""

    def __init__(self) -> None:
        super().__init__()
        import timm
        from open_clip.transformer import TextTransformer

        self.visual = timm.create_model(
            "vit_small_patch14_reg4_dinov2", **VIT, img_size=56, num_classes=48, global_pool="avg"
        )
        self.text = TextTransformer(LENGTH, 100, 48, 3, 2, output_dim=48)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def encode_image(self, images: Tensor) -> Tensor:
        return self.visual(images)

    def encode_text(self, ids: Tensor) -> Tensor:
        return self.text(ids)


_bare_timm = BareTimm


def _openai(name: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package imports pkg_resources
        import clip.model

    layers = (1, 1, 1, 1) if name.endswith("RN") else 3
    # resolution, layers, width, patch size; context, vocabulary, width, heads, layers
    return clip.model.CLIP(48, 64, layers, 16 if name.endswith("RN") else 64, 16, LENGTH, 100, 64, 2, 2)


def _transformers(name: str) -> nn.Module:
    import transformers

    size = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 64}
    vision = {**size, "image_size": 32, "patch_size": 8, "num_patches": 16, "projection_dim": 24}
    positions = 32 if "Alt" in name else LENGTH
    frame = FRAMES.get(name, CLIP_FRAME)
    text = {
        **size,
        "vocab_size": 100,
        "max_position_embeddings": positions,
        "projection_dim": 24,
        "project_dim": 40,
    }
    text.update(pad_token_id=frame.pad, eos_token_id=frame.end, bos_token_id=98, projection_size=48)
    config = getattr(transformers, name.replace("Model", "Config"))
    return getattr(transformers, name)(config(text_config=text, vision_config=vision, projection_dim=24))
