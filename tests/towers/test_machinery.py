"""Taps under checkpointing, autocast, low precision and the models' other entry points."""

import sys

import pytest
import torch
import transformers
from packaging.version import Version
from torch.utils.checkpoint import checkpoint

import harmoclip
from harmoclip.inspect import zoo
from tests.helpers import small
from tests.helpers.passes import captured_of

pytest_plugins = ["tests.helpers.every_family"]

# the blocks that transformers from 4.52 up to 5 gives all by keyword
BY_KEYWORD = (
    ("AltCLIPModel", "ChineseCLIPModel")
    if Version("4.52") <= Version(transformers.__version__) < Version("5")
    else ()
)
OPENAI = ("openai-ViT", "openai-RN")  # their norms stay float32, so they have no other precision


def region_gradients(given, kind=None):
    """Gradients of regions and phrases, with the regions themselves."""
    torch.manual_seed(2)
    harmo = harmoclip.harmonize(given.model, dense=kind)
    captured, _ = captured_of(harmo, given)
    regions = zoo.regions_of(harmo, captured, zoo.two_regions())
    tokens = harmo.towers.text.tokens(captured.text)
    (regions.square().sum() + tokens.square().sum()).backward()
    harmo.remove()
    grads = {name: p.grad.clone() for name, p in given.model.named_parameters() if p.grad is not None}
    given.model.zero_grad()
    return regions.detach(), grads


def checkpointed(model, reentrant, monkeypatch):
    if hasattr(model, "gradient_checkpointing_enable"):
        model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        return
    model.set_grad_checkpointing(True)
    kept = getattr(model, "text", None)
    if hasattr(kept, "config"):
        kept.transformer.gradient_checkpointing_enable({"use_reentrant": reentrant})

    def chosen(function, *args, **options):
        return checkpoint(function, *args, **{**options, "use_reentrant": reentrant})

    for place in ("open_clip.transformer.checkpoint", "timm.models._manipulate.checkpoint"):
        monkeypatch.setattr(place, chosen)
    for module in [
        m for name, m in sys.modules.items() if name.startswith("timm.models.") and hasattr(m, "checkpoint")
    ]:
        monkeypatch.setattr(module, "checkpoint", chosen)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("name", [*small.OPEN_CLIP, *small.TRANSFORMERS])
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable`:FutureWarning")
def test_gradient_checkpointing(given, reentrant, monkeypatch):
    trunk = getattr(getattr(given.model, "visual", None), "trunk", None)
    if reentrant and (hasattr(trunk, "rope") or hasattr(trunk, "shared_rel_pos")):
        pytest.skip("timm gives these blocks keywords, which reentrant checkpoints do not take")
    if reentrant and name_of(given) in BY_KEYWORD:
        pytest.skip("this transformers gives these blocks keywords, which reentrant checkpoints do not take")
    expected, grads = region_gradients(given)
    checkpointed(given.model, reentrant, monkeypatch)
    regions, other = region_gradients(given)
    torch.testing.assert_close(regions, expected)
    assert other.keys() == grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(other[name], grad, msg=lambda text, name=name: f"{name}: {text}")


def test_autocast(given):
    given.model.eval()
    expected, _ = region_gradients(given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        regions, grads = region_gradients(given)
    cosine = torch.cosine_similarity(regions.float(), expected)
    assert cosine.min() > 0.99
    assert all(grad.isfinite().all() for grad in grads.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [n for n in small.ALL if n not in OPENAI])
def test_low_precision_weights(given, dtype):
    given.model.eval()
    expected = {kind: region_gradients(given, kind)[0] for kind in kinds(given)}
    half = given._replace(model=given.model.to(dtype), images=given.images.to(dtype))
    for kind, regions in expected.items():
        found, grads = region_gradients(half, kind)
        cosine = torch.cosine_similarity(found.float(), regions)
        assert cosine.min() > 0.98, kind
        assert all(grad.isfinite().all() for grad in grads.values())


def kinds(given):
    with harmoclip.harmonize(given.model) as harmo:
        return harmo.towers.image.kinds


def test_openai_weights_as_they_are_loaded():
    """`clip.load` leaves norms and embeddings in float32 and makes the rest float16."""
    for name in small.OPENAI:
        given = small.small(name)
        sys.modules["clip.model"].convert_weights(given.model)
        regions, grads = region_gradients(given)
        assert regions.isfinite().all()
        assert grads


@pytest.mark.parametrize(
    "name", [n for n in small.OPEN_CLIP if "roberta" not in n and "mt5" not in n and "nllb" not in n]
)
def test_forward_and_forward_intermediates_give_the_same_regions(given):
    harmo = harmoclip.harmonize(given.model.eval())
    captured, _ = captured_of(harmo, given)
    expected = zoo.regions_of(harmo, captured, zoo.two_regions())
    with harmo.capture() as captured:
        given.model(given.images, given.texts)
    torch.testing.assert_close(zoo.regions_of(harmo, captured, zoo.two_regions()), expected)
    if not hasattr(given.model, "forward_intermediates"):
        pytest.skip("the installed open_clip has no forward_intermediates")
    with harmo.capture() as captured:
        given.model.forward_intermediates(given.images, given.texts)
    torch.testing.assert_close(zoo.regions_of(harmo, captured, zoo.two_regions()), expected)
    assert captured.text.ids.shape == given.texts.shape


@pytest.mark.parametrize("name", small.TRANSFORMERS)
def test_hugging_faces_own_forward_gives_the_same_regions(given):
    if name_of(given) == "Siglip2Model":
        pytest.skip("takes patches: tested with its sizes")
    harmo = harmoclip.harmonize(given.model.eval())
    captured, _ = captured_of(harmo, given)
    expected = zoo.regions_of(harmo, captured, zoo.two_regions())
    with harmo.capture() as captured:
        mask = (given.texts != given.frame.pad).long()
        given.model(input_ids=given.texts, pixel_values=given.images, attention_mask=mask)
    torch.testing.assert_close(zoo.regions_of(harmo, captured, zoo.two_regions()), expected)
    assert captured.text.ids.shape == given.texts.shape


def name_of(given):
    return type(given.model).__name__


def test_a_scale_of_one_dimension_gives_scalars():
    given = small.small("ViT-B-32")
    given.model.logit_scale = torch.nn.Parameter(torch.tensor([2.0]))
    losses = harmoclip.harmonize(given.model)(given.images, given.texts, zoo.two_regions())
    assert all(loss.shape == () for loss in losses.values())
    losses["loss"].backward()
    assert given.model.logit_scale.grad.isfinite().all()


def test_float16_weights_that_learn_are_warned_of_once():
    given = small.small("ViT-B-32")
    images = given.images.half()
    harmo = harmoclip.harmonize(given.model.half())
    with torch.no_grad():
        harmo(images, given.texts, zoo.two_regions())
    with pytest.warns(UserWarning, match=r"weights are float16, such as .*model\.float"):
        harmo(images, given.texts, zoo.two_regions())
    harmo(images, given.texts, zoo.two_regions())


def test_train_and_eval_give_the_objective(given):
    for mode in (True, False):
        given.model.train(mode)
        with harmoclip.harmonize(given.model, tokenizer=small.tokenizer(given.frame)) as harmo:
            losses = harmo(given.images, given.texts, zoo.two_regions())
            losses["loss"].backward()
            assert losses["loss"].isfinite()
