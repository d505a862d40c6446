"""What a tower says of its own layout: blocks, stem, how high each parameter lies, the input's size."""

import pytest
import torch

from harmoclip.towers import find_towers
from tests.helpers import small

pytest_plugins = ["tests.helpers.every_family"]

FREE = ("logit_", "text_decoder", "vision_model.embeddings.position_ids")


def names_of(model):
    return {parameter: name for name, parameter in model.named_parameters()}


def test_every_parameter_has_one_place(given):
    towers = find_towers(given.model)
    image, text = towers.image.depths(), towers.text.depths()
    assert not image.keys() & text.keys()
    lost = [name for p, name in names_of(given.model).items() if p not in image and p not in text]
    assert all(name.startswith(FREE) for name in lost), lost
    for tower, depths in ((towers.image, image), (towers.text, text)):
        assert set(depths.values()) >= set(range(len(tower.blocks) + 1))
        assert max(depths.values()) <= len(tower.blocks) + 1
        for i, block in enumerate(tower.blocks, start=1):
            assert {depths[p] for p in block.parameters()} <= {i}


def order_of(blocks, run):
    """The blocks' numbers in the order in which they run."""
    order = []
    for i, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, i=i: order.append(i))
    run()
    return order


def test_blocks_run_in_their_order(given):
    towers = find_towers(given.model.eval())
    images = order_of(towers.image.blocks, lambda: towers.encode_image(given.images))
    texts = order_of(towers.text.blocks, lambda: towers.encode_text(given.texts))
    assert images == list(range(len(towers.image.blocks)))
    assert texts == list(range(len(towers.text.blocks)))


PLACES = {
    "ViT-B-32": {
        "visual.conv1.weight": 0, "visual.class_embedding": 0, "visual.positional_embedding": 0,
        "visual.ln_pre.weight": 0, "visual.transformer.resblocks.1.ln_1.weight": 2,
        "visual.ln_post.weight": 4, "visual.proj": 4, "token_embedding.weight": 0,
        "transformer.resblocks.0.ln_1.weight": 1,
        "ln_final.weight": 3, "text_projection": 3,
    },
    "RN50": {
        "visual.conv1.weight": 0, "visual.bn3.weight": 0, "visual.layer1.0.conv1.weight": 1,
        "visual.layer4.0.conv1.weight": 4, "visual.attnpool.q_proj.weight": 5,
    },
    "convnext_base": {
        "visual.trunk.stem.0.weight": 0, "visual.trunk.stages.0.blocks.0.norm.weight": 1,
        "visual.trunk.stages.2.downsample.0.weight": 3, "visual.trunk.stages.2.blocks.0.norm.weight": 3,
        "visual.trunk.head.norm.weight": 5, "visual.head.proj.weight": 5,
    },
    "swin_base_patch4_window7_224": {
        "visual.trunk.patch_embed.proj.weight": 0, "visual.trunk.layers.1.downsample.norm.weight": 2,
        "visual.trunk.layers.2.blocks.1.norm1.weight": 4, "visual.trunk.norm.weight": 6,
    },
    "ViT-B-16-SigLIP": {
        "visual.trunk.pos_embed": 0, "visual.trunk.blocks.2.norm1.weight": 3,
        "visual.trunk.attn_pool.latent": 4, "text.text_projection.weight": 3,
    },
    "CLIPModel": {
        "vision_model.embeddings.class_embedding": 0, "vision_model.pre_layrnorm.weight": 0,
        "vision_model.encoder.layers.0.layer_norm1.weight": 1, "visual_projection.weight": 4,
        "text_model.embeddings.token_embedding.weight": 0, "text_projection.weight": 4,
    },
    "roberta-ViT-B-32": {
        "text.transformer.embeddings.word_embeddings.weight": 0,
        "text.transformer.encoder.layer.1.attention.self.query.weight": 2, "text.proj.0.weight": 3,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_places(given, name):
    towers = find_towers(given.model)
    depths = {**towers.image.depths(), **towers.text.depths()}
    found = {n: depths[p] for p, n in names_of(given.model).items() if n in PLACES[name]}
    assert found == PLACES[name]


def test_input_size(given):
    size = find_towers(given.model).image.input_size
    assert size is not None
    if small.missing("custom-blocks") or len(given.images.shape) == 4:
        assert size == tuple(given.images.shape[-2:])


def test_a_wrapped_model_has_the_same_layout():
    peft = pytest.importorskip("peft", reason="peft is not installed")

    given = small.small("ViT-B-32")
    before = find_towers(given.model).image
    wrapped = peft.get_peft_model(given.model, peft.LoraConfig(target_modules=["attn"]))
    after = find_towers(wrapped).image
    assert after.blocks == before.blocks
    assert {depth for p, depth in after.depths().items() if p.requires_grad} == {1, 2, 3}
    assert isinstance(after.last_block, torch.nn.Module)
