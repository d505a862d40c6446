"""Grids come from the activations: other input sizes, oblong images, many shapes in one batch."""

import pytest
import torch
import torch.nn.functional as F

import harmoclip
from harmoclip.errors import CaptureError, InputError
from harmoclip.inspect import zoo
from harmoclip.towers import Patches
from tests.helpers import small

pytest_plugins = ["tests.helpers.every_family"]

HALVES = torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 0.5]])


def timm_clip(name, **options):
    given = small.small("bare-timm")
    import timm

    given.model.visual = timm.create_model(name, **{**small.VIT, "num_classes": 48, **options})
    return given._replace(model=given.model.eval())


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("vit_base_patch16_siglip_224", {"img_size": 64, "global_pool": "map", "dynamic_img_size": True}),
        ("vit_base_patch16_224", {"img_size": 64, "dynamic_img_size": True, "reg_tokens": 2}),
        ("eva02_base_patch16_clip_224", {"img_size": 64, "dynamic_img_size": True}),
        ("vit_base_patch16_224", {"img_size": (32, 96), "global_pool": "avg"}),
    ],
)
def test_timm_takes_oblong_images(architecture, options):
    given = timm_clip(architecture, **options)
    images = torch.randn(2, 3, 32, 96)
    harmo = harmoclip.harmonize(given.model)
    assert harmo.encode_dense(images).shape == (2, 2, 6, 48)
    regions = harmo.encode_regions(images, [HALVES, HALVES[:1]])
    assert regions.shape == (3, 48)
    assert regions.isfinite().all()


def test_convolutions_take_any_size():
    harmo = harmoclip.harmonize(small.small("convnext_base").model.eval())
    assert harmo.encode_dense(torch.randn(1, 3, 64, 160)).shape == (1, 2, 5, 48)


@pytest.mark.parametrize("name", ["CLIPModel", "SiglipModel", "AltCLIPModel", "ChineseCLIPModel"])
def test_hugging_face_interpolates_positions(given):
    harmo = harmoclip.harmonize(given.model.eval())
    images = torch.randn(2, 3, 24, 48)
    assert harmo.encode_dense(images).shape[:3] == (2, 3, 6)
    assert harmo.encode_regions(images, [HALVES, HALVES]).shape[0] == 4


def naflex_batch():
    """Two images of 3 x 5 and 4 x 2 patches, padded to 16."""
    torch.manual_seed(3)
    mask = torch.zeros(2, 16, dtype=torch.int64)
    mask[0, :15], mask[1, :8] = 1, 1
    return Patches(torch.randn(2, 16, 192) * mask[..., None], mask, torch.tensor([[3, 5], [4, 2]]))


def test_patches_are_what_the_processor_cuts():
    siglip2 = pytest.importorskip("transformers.models.siglip2.image_processing_siglip2")
    cut = getattr(siglip2, "convert_image_to_patches", None)
    image = torch.randn(3, 24, 40)
    try:
        expected = cut(image, 8)
    except (TypeError, AttributeError, RuntimeError):  # before transformers 5 it takes arrays, channels last
        expected = torch.from_numpy(cut(image.permute(1, 2, 0).numpy(), 8))
    patches = Patches.cut(image[None], 8)
    torch.testing.assert_close(patches.pixel_values[0], expected)
    assert patches.spatial_shapes.tolist() == [[3, 5]]
    with pytest.raises(InputError, match="multiples of 16"):
        Patches.cut(image[None], 7 + 9)


@pytest.mark.parametrize("name", ["Siglip2Model"])
@pytest.mark.parametrize("kind", ["plain", "value", "head"])
def test_naflex_images_of_several_shapes(given, kind):
    """Each image of a mixed batch gives what it gives alone, and padding is in no region."""
    harmo, batch = harmoclip.harmonize(given.model.eval(), dense=kind), naflex_batch()
    together = harmo.encode_regions(batch, [HALVES, HALVES])
    for i in range(2):
        alone = Patches(*(value[i : i + 1] for value in vars(batch).values()))
        found = harmo.encode_regions(alone, [HALVES])
        torch.testing.assert_close(found, together[2 * i : 2 * i + 2], atol=1e-5, rtol=1e-4)
    noisy = batch.pixel_values + (1 - batch.pixel_attention_mask[..., None]) * 100
    other = harmo.encode_regions(
        Patches(noisy, batch.pixel_attention_mask, batch.spatial_shapes), [HALVES, HALVES]
    )
    torch.testing.assert_close(other, together, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["Siglip2Model"])
def test_naflex_whole_images_give_the_global_vectors(given):
    harmo, batch = harmoclip.harmonize(given.model.eval(), dense="plain"), naflex_batch()
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    vectors = F.normalize(harmo.towers.encode_image(batch), dim=-1)
    torch.testing.assert_close(harmo.encode_regions(batch, [whole, whole]), vectors, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["Siglip2Model"])
def test_dense_features_of_several_shapes_are_a_mistake(given):
    with pytest.raises(InputError, match="3 x 5, 4 x 2"):
        harmoclip.harmonize(given.model.eval()).encode_dense(naflex_batch())


@pytest.mark.parametrize("name", ["Siglip2Model"])
def test_the_users_own_naflex_forward(given):
    harmo, batch = harmoclip.harmonize(given.model.eval()), naflex_batch()
    with harmo.capture() as captured:
        given.model(input_ids=given.texts, **vars(batch))
    regions = zoo.regions_of(harmo, captured, zoo.two_regions())
    assert regions.isfinite().all()


def test_patch_dropout_is_an_error():
    from open_clip.model import CLIP

    config = small._shrink(small._config("ViT-B-32"))
    config["vision_cfg"]["patch_dropout"] = 0.5
    harmo = harmoclip.harmonize(CLIP(**config))
    images = torch.randn(2, 3, 32, 32)
    with pytest.raises(CaptureError, match="patch dropout"):
        harmo.encode_regions(images, [HALVES, HALVES])
    harmo.model.eval()
    assert harmo.encode_regions(images, [HALVES, HALVES]).shape == (4, 48)
