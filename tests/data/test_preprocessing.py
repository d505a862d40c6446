"""The same pixels as the original of each family, to the last bit."""

import numpy as np
import open_clip
import pytest
import timm
import torch
import transformers
from open_clip.transform import PreprocessCfg, image_transform, image_transform_v2
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torchvision import transforms as tv

from harmoclip.data import Preprocessing, Sample, transform_for
from harmoclip.errors import InputError

SIZES = [(64, 48), (47, 90), (33, 33), (20, 101), (200, 150)]


def picture(width, height):
    rng = np.random.default_rng(width * height)
    small = Image.fromarray(rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), dtype=np.uint8))
    noise = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(np.asarray(small.resize((width, height))) // 2 + noise)


def assert_same(source, original):
    transform = transform_for(source)
    for width, height in SIZES:
        image = picture(width, height)
        given = transform(Sample(image, ""))
        torch.testing.assert_close(given.image, original(image), rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [32, (32, 48)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_open_clip(mode, size, interpolation):
    if (mode, size, interpolation) == ("shortest", (32, 48), "bilinear"):
        pytest.skip("open_clip resizes here with bicubic, whatever is asked")
    config = PreprocessCfg(size=size, resize_mode=mode, interpolation=interpolation, fill_color=77)
    assert_same(config, image_transform_v2(config, is_train=False))


def test_an_open_clip_model_and_its_config_say_the_same():
    model, _, preprocess = open_clip.create_model_and_transforms(
        "ViT-B-32-SigLIP2-256".replace("-SigLIP2-256", "")
    )
    assert_same(model, preprocess)
    assert Preprocessing.of(model) == Preprocessing.of(model.visual.preprocess_cfg)


@pytest.mark.parametrize("mode", ["center", "border", "squash"])
@pytest.mark.parametrize(("share", "side"), [(1.0, 32), (0.9, (32, 40)), (0.875, 32)])
def test_timm(mode, share, side):
    height, width = side if isinstance(side, tuple) else (side, side)
    config = {
        "input_size": (3, height, width), "crop_pct": share, "crop_mode": mode, "interpolation": "bicubic",
        "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25),
    }  # fmt: skip
    if mode == "center" and height != width:
        config["interpolation"] = "bilinear"
    assert_same(config, create_transform(**config, is_training=False))


def test_a_timm_model_says_how():
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False)
    assert_same(model, create_transform(**resolve_model_data_config(model), is_training=False))


NAMES = ["CLIPImageProcessor", "SiglipImageProcessor"]
PILLOW_BY_NAME = hasattr(transformers, "CLIPImageProcessorPil")
"""Whether the class that works with Pillow has a name of its own, as since transformers 5."""


@pytest.mark.skipif(not PILLOW_BY_NAME, reason="these processors of transformers 4 work with Pillow")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("resample", [2, 3])
def test_hugging_face(name, resample):
    processor = getattr(transformers, name)(resample=resample)
    assert Preprocessing.of(processor).pixels == "tensor"
    assert_same(processor, lambda image: processor(image, return_tensors="pt")["pixel_values"][0])


@pytest.mark.parametrize("name", NAMES)
def test_hugging_face_with_pillow(name):
    processor = getattr(transformers, name + "Pil" if PILLOW_BY_NAME else name)()
    assert Preprocessing.of(processor).pixels == "numpy"
    transform = transform_for(processor)
    for width, height in SIZES:
        image = picture(width, height)
        original = torch.as_tensor(processor(image, return_tensors="pt")["pixel_values"][0])
        torch.testing.assert_close(transform(Sample(image, "")).image, original, rtol=0, atol=0)


@pytest.mark.parametrize("interpolation", ["bicubic"])
def test_a_random_crop_is_open_clips(interpolation):
    config = PreprocessCfg(size=32, interpolation=interpolation)
    original = image_transform(32, is_train=True, aug_cfg={"scale": (0.3, 1.0)})
    transform = transform_for(config, crop=(0.3, 1.0))
    for seed, (width, height) in enumerate(SIZES):
        image = picture(width, height)
        torch.manual_seed(seed)
        expected = original(image)
        torch.manual_seed(seed)
        torch.testing.assert_close(transform(Sample(image, "")).image, expected, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_pictures_of_other_modes_become_rgb(mode):
    image = picture(40, 30).convert(mode)
    given = transform_for(PreprocessCfg(size=16))(Sample(image, ""))
    assert given.image.shape == (3, 16, 16)
    expected = transform_for(PreprocessCfg(size=16))(Sample(image.convert("RGB"), ""))
    torch.testing.assert_close(given.image, expected.image)


def test_what_says_nothing_is_refused():
    with pytest.raises(InputError, match="Linear does not say how"):
        Preprocessing.of(torch.nn.Linear(1, 1))
    with pytest.raises(InputError, match="interpolation is 'cubic'"):
        Preprocessing.of({"input_size": (3, 8, 8), "interpolation": "cubic", "mean": [0.5], "std": [0.5]})
    unsized = transformers.CLIPImageProcessor()
    unsized.size = None
    with pytest.raises(InputError, match=r"size={}, expected shortest_edge, or height and width"):
        Preprocessing.of(unsized)


SETTINGS = [
    {"do_rescale": False}, {"rescale_factor": 1 / 127.5}, {"do_normalize": False}, {"do_convert_rgb": False},
    {"do_rescale": False, "do_normalize": False}, {"rescale_factor": 1 / 127.5, "do_normalize": False},
    {"size": {"height": 32, "width": 40}, "do_center_crop": False}, {"size": {"height": 32, "width": 40}},
    {"size": {"shortest_edge": 30}, "crop_size": {"height": 40, "width": 20}, "do_center_crop": True},
    {"crop_size": 100, "do_center_crop": True}, {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]},
    {"resample": 0}, {"resample": 2},
]  # fmt: skip


@pytest.mark.parametrize("pillow", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_of_a_processor_gives_its_pixels(name, pillow, settings):
    if pillow and not PILLOW_BY_NAME:
        pytest.skip("transformers 4 has no class of this name")
    if name == "SiglipImageProcessor" and not PILLOW_BY_NAME and "crop_size" in settings:
        pytest.skip("the processor of transformers 4 cuts nothing, whatever it is told")
    processor = getattr(transformers, name + "Pil" * pillow)(**settings)
    transform = transform_for(processor)
    for width, height in SIZES:
        image = picture(width, height)
        original = torch.as_tensor(np.asarray(processor(image, return_tensors="pt")["pixel_values"][0]))
        given = transform(Sample(image, "")).image
        torch.testing.assert_close(given, original.float(), rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"do_center_crop": False, "size": {"shortest_edge": 30}}, "do_center_crop=False with shortest_edge"),
        ({"do_resize": False}, "do_resize=False"),
        ({"do_pad": True}, "do_pad=True"),
        ({"size": {"longest_edge": 30}}, "size={'longest_edge': 30}"),
        ({"size": {"shortest_edge": 30, "longest_edge": 60}}, "size={"),
    ],
)
def test_settings_without_a_rule_are_named(name, settings, said):
    with pytest.raises(InputError, match=said):
        Preprocessing.of(getattr(transformers, name)(**settings))


def test_a_processor_of_patches_is_named():
    if not hasattr(transformers, "Siglip2ImageProcessor"):
        pytest.skip("this transformers has no SigLIP 2")
    with pytest.raises(InputError, match="max_num_patches"):
        Preprocessing.of(transformers.Siglip2ImageProcessor())


def to_rgb(image):
    return image.convert("RGB")


@pytest.mark.parametrize(
    "steps",
    [
        [tv.Resize(32, tv.InterpolationMode.BICUBIC), tv.CenterCrop(32), to_rgb],
        [tv.Resize(40), tv.CenterCrop((32, 36))],
        [tv.Resize((32, 48), tv.InterpolationMode.BICUBIC), to_rgb],
        [tv.Resize(30), tv.CenterCrop(36)],
    ],
)
def test_a_compose_of_torchvision(steps):
    original = tv.Compose([*steps, tv.ToTensor(), tv.Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))])
    assert_same(original, original)


def test_the_transform_of_open_clip_itself():
    preprocess = image_transform(32, is_train=False)
    assert_same(preprocess, preprocess)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([tv.Resize(32), tv.RandomHorizontalFlip(), tv.ToTensor()], "step RandomHorizontalFlip"),
        (
            [tv.Resize(32), tv.ToTensor(), tv.Normalize([0.5] * 3, [0.5] * 3)],
            "so that every input has",
        ),
        ([tv.CenterCrop(32), tv.Resize(32)], "step Resize"),
        ([tv.Resize(32, max_size=40), tv.CenterCrop(32)], "max_size=40"),
        ([tv.Resize(32), tv.CenterCrop(32), tv.ToTensor()], "expected Resize"),
    ],
)
def test_a_compose_without_a_rule_is_named(steps, said):
    with pytest.raises(InputError, match=said):
        Preprocessing.of(tv.Compose(steps))
