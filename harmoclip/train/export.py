"""Folders that stock open_clip or transformers load, without harmoclip."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmoclip import starter
from harmoclip.errors import InputError
from harmoclip.files import PARTIAL, remove_whole
from harmoclip.models import LoadedModel, folder_config
from harmoclip.tokenizers import HfTokenizer


def export(
    model: Any,
    weights: Mapping[str, Tensor],
    shapes: Mapping[str, torch.Size],
    source: LoadedModel,
    folder: Path,
) -> None:
    """Write a model for `transformers.AutoModel` or `open_clip.create_model("local-dir:...")`.

    Adapters of peft become part of the weights; they are kept beside them too, in `adapter`.

    Args:
        model: The user's model, of open_clip or Hugging Face, or peft's wrapper of it.
        weights: Its state dict.
        shapes: Of the weights of the model as it was loaded; sharding gives scalars a dimension.
        source: As it was loaded: configuration, tokenizer and image processor come from its name, and the
            length of a text from its tokenizer.
        folder: Replaced as a whole, once everything is written.

    Raises:
        InputError: The model is neither a Hugging Face model nor an open_clip architecture.
    """
    partial = folder.with_name(folder.name + PARTIAL)
    if hasattr(model, "merge_and_unload"):
        model.save_pretrained(str(partial / "adapter"))
        model = copy.deepcopy(model).merge_and_unload()
        weights = model.state_dict()
    whole = {key: weights[key].cpu().reshape(shape).contiguous() for key, shape in shapes.items()}
    if hasattr(model, "save_pretrained"):
        _save_transformers(model, whole, source, partial)
    else:
        _save_open_clip(model, whole, source, partial, folder.resolve())
    remove_whole(folder)
    os.replace(partial, folder)


def _save_transformers(model: Any, weights: Mapping[str, Tensor], source: LoadedModel, folder: Path) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer

    name = source.name.removeprefix("hf:")
    model.save_pretrained(folder, state_dict=dict(weights))
    tokenizer = AutoTokenizer.from_pretrained(name)
    if isinstance(source.tokenizer, HfTokenizer):
        tokenizer.model_max_length = source.tokenizer.context_length
    tokenizer.save_pretrained(folder)
    AutoImageProcessor.from_pretrained(name).save_pretrained(folder)


def _save_open_clip(
    model: Any, weights: Mapping[str, Tensor], source: LoadedModel, folder: Path, final: Path
) -> None:
    from open_clip.push_to_hf_hub import save_config_for_hf
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    architecture = _architecture(source.name)
    text = architecture.get("text_cfg", {})
    length = getattr(source.tokenizer, "context_length", None)  # a stretched model's is not its name's
    text = {**text, "context_length": length} if length else text
    settings = text.get("hf_model_name") or ""
    if settings and Path(settings).is_dir():  # settings that nobody else has at that place
        _save_text_settings(model, settings, folder)
        named = {"hf_model_name": str(final), "hf_tokenizer_name": str(final), "hf_model_pretrained": False}
        text = {**text, **named}
    architecture = {**architecture, "text_cfg": text}
    save_config_for_hf(model, folder / "open_clip_config.json", architecture)
    save_file(dict(weights), folder / "open_clip_model.safetensors")


def _save_text_settings(model: Any, source: str, folder: Path) -> None:
    """Write the configuration and the tokenizer of a Hugging Face text tower."""
    from transformers import AutoTokenizer

    model.text.config.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)


def _architecture(name: str) -> dict[str, Any]:
    from open_clip import get_model_config

    if name == starter.NAME:
        return starter.starter_config()
    folder = Path(name.removeprefix("local-dir:"))
    if (folder / "open_clip_config.json").is_file():
        return folder_config(folder)
    config = get_model_config(name)
    if config is None:
        raise InputError(f"{name} is no open_clip architecture and no folder of one: it cannot be exported.")
    return config
