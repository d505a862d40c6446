"""Whatever wraps a layer takes part in every dense kind: adapters, parametrization, quantization."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

import harmoclip
from harmoclip.errors import UnsupportedModelError
from harmoclip.inspect import zoo
from harmoclip.towers import find_towers
from tests.helpers import small
from tests.helpers.passes import captured_of

peft = pytest.importorskip("peft", reason="peft is not installed")
pytest_plugins = ["tests.helpers.every_family"]

TARGETS = {  # the names of layers inside a block of each kind of tower
    "ViT-B-32": ["attn"],
    "ViT-L-14-CLIPA": ["attn", "c_fc"],
    "coca_ViT-B-32": ["attn"],
    "custom-blocks": r"visual\..*\.(out_proj|c_fc)",
    "vit_medium_patch16_gap_256": ["qkv"],
    "vit_relpos_medium_patch16_cls_224": ["qkv", "proj"],
    "EVA02-B-16": ["q_proj", "v_proj", "proj"],
    "ViT-B-16-SigLIP": ["qkv", "kv", "q", "proj"],
    "PE-Core-B-16": ["qkv", "kv"],
    "bare-timm": ["qkv", "fc1"],
    "openai-ViT": ["attn"],
    "CLIPModel": ["q_proj", "k_proj", "v_proj", "out_proj"],
    "SiglipModel": ["v_proj", "attention"],
    "Siglip2Model": ["k_proj", "v_proj", "fc2", "attention"],
    "AltCLIPModel": ["q_proj", "v_proj"],
    "MetaClip2Model": ["v_proj"],
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:UserWarning"
)  # PEFT's, of models that have no configuration


def with_adapters(model, targets):
    """The model in PEFT, with adapters that change it."""
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets)
    wrapped = peft.get_peft_model(model, config)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.3)
    return wrapped.eval()


def vectors_of(model, given, kind):
    """Regions, dense features and phrases of a model."""
    with harmoclip.harmonize(model, dense=kind, tokenizer=small.tokenizer(given.frame)) as harmo:
        grounding = zoo.two_regions()
        return (
            harmo.encode_regions(given.images, grounding.boxes, grounding.image_index),
            harmo.encode_dense(given.images),
            harmo.encode_phrases(given.texts, grounding),
        )


@pytest.mark.parametrize("name", TARGETS)
def test_merged_and_unmerged_adapters_give_the_same_vectors(given, name):
    wrapped = with_adapters(given.model, TARGETS[name])
    kinds = find_towers(wrapped).image.kinds
    unmerged = {kind: vectors_of(wrapped, given, kind) for kind in kinds}
    with wrapped.disable_adapter():
        before = {kind: vectors_of(wrapped, given, kind) for kind in kinds}
    merged = wrapped.merge_and_unload()
    for kind in kinds:
        torch.testing.assert_close(vectors_of(merged, given, kind), unmerged[kind], atol=1e-5, rtol=1e-4)
        assert (before[kind][0] - unmerged[kind][0]).abs().max() > 1e-3


@pytest.mark.parametrize("name", TARGETS)
def test_adapters_of_the_last_block_learn_from_regions(given, name):
    wrapped = with_adapters(given.model, TARGETS[name]).train()
    tower = find_towers(wrapped).image
    for kind in tower.kinds:
        with harmoclip.harmonize(wrapped, dense=kind) as harmo:
            captured, _ = captured_of(harmo, given)
            zoo.regions_of(harmo, captured, zoo.two_regions()).square().sum().backward()
        learning = [
            (n, p) for n, p in tower.last_block.named_parameters() if "lora_" in n and _counts(n, kind)
        ]
        assert learning
        for parameter_name, parameter in learning:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name
        wrapped.zero_grad()


IDLE = {"value": ("q_proj", "k_proj"), "clear": ("k_proj", "mlp.")}
"""Parts of the last block that take no part in a kind."""


def _counts(name, kind):
    return not any(part in name for part in IDLE.get(kind, ()))


@pytest.mark.parametrize("name", ["ViT-B-32", "openai-ViT", "vit_medium_patch16_gap_256", "CLIPModel"])
def test_adapters_that_come_or_go_after_harmonizing(given, name):
    harmo = harmoclip.harmonize(given.model.eval(), tokenizer=small.tokenizer(given.frame))
    boxes, index = zoo.two_regions().boxes, zoo.two_regions().image_index
    plain = harmo.encode_regions(given.images, boxes, index)
    wrapped = with_adapters(given.model, TARGETS[name])
    adapted = harmo.encode_regions(given.images, boxes, index)
    assert (adapted - plain).abs().max() > 1e-3
    expected = vectors_of(wrapped, given, None)[0]
    torch.testing.assert_close(adapted, expected)
    wrapped.merge_and_unload()
    torch.testing.assert_close(
        harmo.encode_regions(given.images, boxes, index), adapted, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "head"),
    [("CLIPModel", "visual_projection"), ("bare-timm", "head"), ("roberta-ViT-B-32", "proj.0")],
)
def test_an_adapter_around_a_tapped_head(given, head):
    """The hooks move to the module that the model runs by now."""
    harmo = harmoclip.harmonize(given.model.eval())
    with_adapters(given.model, [head])
    captured, (image, text) = captured_of(harmo, given)
    torch.testing.assert_close(harmo.towers.image.global_vectors(captured.image), image)
    torch.testing.assert_close(harmo.towers.text.global_vectors(captured.text), text)


@pytest.mark.parametrize("name", ["ViT-B-32", "openai-ViT", "RN50"])
def test_an_adapter_that_the_model_passes_over_is_an_error(given, name):
    targets = ["out_proj"] if "ViT" in name else ["v_proj"]
    wrapped = with_adapters(given.model, targets)
    where = r"resblocks\.0\.attn\.out_proj" if "ViT" in name else r"attnpool\.v_proj"
    with pytest.raises(UnsupportedModelError, match=where + r" is a peft\.\S+, but .* never runs it"):
        harmoclip.harmonize(wrapped)


@pytest.mark.parametrize("name", ["EVA01-g-14"])
def test_an_adapter_that_evas_joined_biases_pass_over_is_an_error(given):
    with pytest.raises(UnsupportedModelError, match=r"attn\.qkv is a peft"):
        harmoclip.harmonize(with_adapters(given.model, ["qkv"]))


class Doubled(nn.Module):
    """A parametrization whose own scale learns."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, weight):
        return weight * self.scale


@pytest.mark.parametrize(
    ("name", "path", "weight"),
    [
        ("ViT-B-32", "attn", "in_proj_weight"),
        ("ViT-B-32", "attn.out_proj", "weight"),
        ("openai-ViT", "attn", "in_proj_weight"),
        ("vit_medium_patch16_gap_256", "attn.qkv", "weight"),
        ("EVA01-g-14", "attn.qkv", "weight"),
        ("CLIPModel", "self_attn.v_proj", "weight"),
    ],
)
def test_parametrized_weights(given, path, weight):
    given.model.eval()
    layer = find_towers(given.model).image.last_block.get_submodule(path)
    parametrization = Doubled()
    parametrize.register_parametrization(layer, weight, parametrization)
    for kind in find_towers(given.model).image.kinds:
        found = vectors_of(given.model, given, kind)[0]
        if kind != "plain":
            found.sum().backward()
            assert parametrization.scale.grad.abs() > 0
            parametrization.scale.grad = None
    kept = vectors_of(given.model, given, None)[0]
    parametrize.remove_parametrizations(layer, weight)
    torch.testing.assert_close(vectors_of(given.model, given, None)[0], kept, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "path"), [("vit_medium_patch16_gap_256", "attn.qkv"), ("CLIPModel", "self_attn.v_proj")]
)
@pytest.mark.parametrize("norm", [weight_norm, torch.nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm(given, path, norm):
    given.model.eval()
    expected = vectors_of(given.model, given, "value")[0]
    layer = find_towers(given.model).image.last_block.get_submodule(path)
    norm(layer)
    found = vectors_of(given.model, given, "value")[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    found.sum().backward()
    assert all(p.grad is not None for n, p in layer.named_parameters() if "bias" not in n)


@pytest.mark.parametrize(
    "name", ["vit_medium_patch16_gap_256", "ViT-B-16-SigLIP", "PE-Core-B-16", "CLIPModel", "SiglipModel"]
)
def test_dynamically_quantized_layers_run(given, name):
    """Every linear map in eight bits: close to the model itself, in every kind."""
    given.model.eval()
    tower = find_towers(given.model).image
    expected = {kind: vectors_of(given.model, given, kind)[0] for kind in tower.kinds}
    blocks = {f"{n}": m for n, m in given.model.named_modules() if m is tower.last_block}
    (path,) = blocks
    parent, _, last = path.rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        quantized = torch.ao.quantization.quantize_dynamic(tower.last_block, {nn.Linear})
    given.model.get_submodule(parent)[int(last)] = quantized
    for kind, regions in expected.items():
        found = vectors_of(given.model, given, kind)[0]
        assert torch.cosine_similarity(found, regions).min() > 0.98


class EightBit(nn.Module):
    """A weight-only quantized linear map, as libraries put in the place of `nn.Linear`."""

    def __init__(self, linear):
        super().__init__()
        self.scale = nn.Buffer(linear.weight.detach().abs().amax(1, keepdim=True) / 127)
        self.weight = nn.Buffer((linear.weight.detach() / self.scale).round().to(torch.int8))
        self.bias = linear.bias

    def forward(self, x):
        return nn.functional.linear(x, self.weight * self.scale, self.bias)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("vit_medium_patch16_gap_256", ["attn.qkv", "attn.proj"]),
        ("ViT-B-16-SigLIP", ["attn.qkv", "mlp.fc1"]),
        ("CLIPModel", ["self_attn.v_proj", "self_attn.q_proj", "self_attn.out_proj"]),
        ("ViT-B-32", ["mlp.c_fc", "mlp.c_proj"]),
    ],
)
def test_weight_only_quantized_layers_run(given, layers):
    given.model.eval()
    tower = find_towers(given.model).image
    expected = {kind: vectors_of(given.model, given, kind)[0] for kind in tower.kinds}
    for path in layers:
        parent, _, last = path.rpartition(".")
        owner = tower.last_block.get_submodule(parent)
        setattr(owner, last, EightBit(getattr(owner, last)))
    for kind, regions in expected.items():
        found = vectors_of(given.model, given, kind)[0]
        assert torch.cosine_similarity(found, regions).min() > 0.98


class Hidden(nn.Module):
    """Something around an attention that nobody can see through."""

    def __init__(self, attention):
        super().__init__()
        self.inner = attention

    def forward(self, *args, **options):
        return self.inner(*args, **options)


@pytest.mark.parametrize("name", ["ViT-B-32", "vit_medium_patch16_gap_256"])
def test_an_unknown_wrapper_is_an_error_where_its_weights_are_needed(given, name):
    harmo = harmoclip.harmonize(given.model.eval())
    block = harmo.towers.image.last_block
    block.attn = Hidden(block.attn)
    boxes, index = zoo.two_regions().boxes, zoo.two_regions().image_index
    with pytest.raises(UnsupportedModelError, match=r"\.attn is a Hidden around the block's attention"):
        harmo.encode_regions(given.images, boxes, index)
    with pytest.raises(UnsupportedModelError, match=r"\.attn is a Hidden around the block's attention"):
        harmoclip.harmonize(given.model, dense="value")
    plain = harmoclip.harmonize(given.model, dense="plain")
    assert plain.encode_regions(given.images, boxes, index).isfinite().all()


@pytest.mark.parametrize("order", ["adapters first", "harmonized first", "adapters around all"])
@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16-SigLIP", "CLIPModel"])
def test_training_saving_loading_and_merging_adapters(given, name, order, tmp_path):
    """The route of the guide: only adapters learn; saved, loaded and merged they give the same regions."""
    state = {key: value.clone() for key, value in given.model.state_dict().items()}
    config = peft.LoraConfig(r=4, target_modules=TARGETS[name])
    tokenizer, grounding = small.tokenizer(given.frame), zoo.two_regions()
    if order == "adapters first":
        adapted = peft.get_peft_model(given.model, config)
        harmo = step = harmoclip.harmonize(adapted, tokenizer=tokenizer)
    else:
        harmo = harmoclip.harmonize(given.model, tokenizer=tokenizer)
        adapted = peft.get_peft_model(given.model if order == "harmonized first" else harmo, config)
        step = adapted if order == "adapters around all" else harmo
    learning = {n: p for n, p in step.named_parameters() if p.requires_grad}
    assert all("lora_" in n for n in learning)
    optimizer = torch.optim.AdamW(learning.values(), lr=0.05)
    for _ in range(3):
        step(given.images, given.texts, grounding)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    harmo.eval()
    trained = harmo.encode_regions(given.images, grounding.boxes, grounding.image_index)
    if order == "adapters around all":
        return
    harmo.remove()
    adapted.save_pretrained(tmp_path)
    fresh = small.small(name).model.eval()
    fresh.load_state_dict(state)
    merged = peft.PeftModel.from_pretrained(fresh, tmp_path).merge_and_unload()
    assert merged.state_dict().keys() == state.keys()
    with harmoclip.harmonize(merged, tokenizer=tokenizer) as again:
        found = again.encode_regions(given.images, grounding.boxes, grounding.image_index)
    torch.testing.assert_close(found, trained, atol=1e-5, rtol=1e-4)
