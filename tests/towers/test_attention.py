"""Attention parts that no architecture of the zoo uses: gates and shared values."""

import pytest
import torch
from timm.models.vision_transformer import Block as TimmBlock
from torch import nn

from harmoclip.towers.attention import Block

ROPE = {"qkv_fused": False, "num_prefix_tokens": 0}


@pytest.mark.parametrize(
    ("module", "options", "kinds"),
    [
        ("Attention", {"gated": True, "qk_norm": True, "scale_norm": True}, ("value", "self", "clear")),
        ("AttentionRope", {**ROPE, "gated": True}, ("value",)),
        ("AttentionRope", {**ROPE, "num_kv_heads": 2}, ("value",)),
    ],
)
def test_value_path(module, options, kinds):
    attention = pytest.importorskip("timm.layers.attention")
    block = TimmBlock(32, 4, init_values=0.5)
    try:
        block.attn = getattr(attention, module)(32, 4, norm_layer=nn.LayerNorm, **options)
    except (AttributeError, TypeError) as error:
        pytest.skip(f"the installed timm is too old: {error}")
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    tower, x = Block(block.eval()), torch.randn(2, 5, 32)
    assert tower.kinds == kinds
    alone = block(x.reshape(10, 1, 32)).reshape(2, 5, 32)
    torch.testing.assert_close(tower.run(x, "value"), alone, atol=1e-5, rtol=1e-4)


def test_relative_positions_leave_no_kind_self():
    from timm.models.beit import Block as BeitBlock

    options = {"qkv_bias": True, "init_values": 0.5, "window_size": (2, 2)}
    block = BeitBlock(32, 4, **options).eval()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    tower, x = Block(block), torch.randn(2, 5, 32)
    assert tower.kinds == ("value",)
    block.attn.relative_position_bias_table = None  # one token alone has no place among others
    alone = block(x.reshape(10, 1, 32)).reshape(2, 5, 32)
    torch.testing.assert_close(tower.run(x, "value"), alone, atol=1e-5, rtol=1e-4)


def test_unknown_blocks_give_no_kind():
    assert Block(nn.TransformerEncoderLayer(32, 2, 64)).kinds == ()
    assert Block(nn.Linear(2, 2)).kinds == ()
