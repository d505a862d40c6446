"""Small models in folders, as open_clip and transformers write them, with full-size tokenizers."""

import json
from pathlib import Path

import pytest
import torch
from open_clip.transformer import VisionTransformer

CONTEXT_LENGTH = 32
OPEN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "layers": 2, "width": 16, "head_width": 8},
    "text_cfg": {"context_length": CONTEXT_LENGTH, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
TOWER = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}

needs_parts_of_forward = pytest.mark.skipif(
    not hasattr(VisionTransformer, "_embeds"),
    reason="this open_clip has no parts of the forward to compare with",
)


def write_open_clip(folder: Path) -> str:
    """Write a model, and give the name under which open_clip finds it; open_clip 2 finds none in folders."""
    pytest.importorskip("open_clip", minversion="3")
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(CLIP(**OPEN_CLIP).state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": OPEN_CLIP, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def write_hugging_face(folder: Path) -> str:
    """Write a `CLIPModel` with CLIP's tokenizer and an image processor, and give its folder."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    tokenizer = _tokenizer(folder)
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "vocab_size": 49408,
    }
    config = CLIPConfig(
        text_config={**TOWER, **ids, "max_position_embeddings": CONTEXT_LENGTH},
        vision_config={**TOWER, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 32}
    CLIPImageProcessor(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return str(folder)


def _tokenizer(folder: Path):
    """CLIP's tokenizer for transformers, from the vocabulary that open_clip carries."""
    from open_clip import SimpleTokenizer
    from transformers import CLIPTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    theirs = SimpleTokenizer()
    merges = [" ".join(pair) for pair in theirs.bpe_ranks]
    vocabulary = {
        token.replace("<start_of_text>", "<|startoftext|>"): i for token, i in theirs.encoder.items()
    }
    vocabulary = {token.replace("<end_of_text>", "<|endoftext|>"): i for token, i in vocabulary.items()}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CLIPTokenizerFast(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=CONTEXT_LENGTH
    )


def small_config(**vision) -> dict:
    return {
        "embed_dim": 24,
        "vision_cfg": {
            "image_size": 32, "patch_size": 8, "layers": 3, "width": 32, "head_width": 16, **vision,
        },
        "text_cfg": {"context_length": 16, "vocab_size": 100, "width": 32, "heads": 2, "layers": 3},
    }  # fmt: skip


def random_boxes(count: int) -> torch.Tensor:
    corner = torch.rand(count, 2) * 0.6
    return torch.cat([corner, corner + 0.1 + torch.rand(count, 2) * 0.3], 1)


def random_texts(count: int, length: int = 16) -> torch.Tensor:
    """Rows of ids like CLIP's: start 98, words, end 99 (the highest), zeros."""
    texts = torch.randint(1, 98, (count, length))
    texts[:, 0], texts[:, 10], texts[:, 11:] = 98, 99, 0
    return texts
