"""Encoders as programs that run without this library: torch.export, and ONNX in onnxruntime."""

import io
from unittest import mock

import pytest
import torch

from harmoclip import harmonize
from harmoclip.errors import InputError, MissingDependencyError, UnsupportedModelError
from harmoclip.exportable import DenseEncoder, RegionEncoder, export_onnx
from harmoclip.ops.backends import SAYS_THAT_IT_EXPORTS
from tests.helpers import small

FAMILIES = ("ViT-B-32", "ViT-B-16-SigLIP", "RN50", "convnext_base", "CLIPModel")
ENCODERS = (RegionEncoder, DenseEncoder)

pytestmark = [
    pytest.mark.skipif(not SAYS_THAT_IT_EXPORTS, reason="torch 2.6 does not say that it exports"),
    pytest.mark.filterwarnings("ignore"),  # the exporter's own
]


def encoder_of(name, kind):
    encoder = kind(harmonize(small.small(name).model).eval())
    assert not encoder.training
    return encoder


def inputs(encoder, images, regions):
    """Random images, and boxes for a `RegionEncoder`."""
    size = encoder.example()[0].shape[-2:]
    boxes = torch.rand(regions, 2, 2).sort(1).values.flatten(1)
    every = torch.randn(images, 3, *size), boxes, torch.randint(images, (regions,))
    return every[: len(encoder.example())]


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_saved_program_gives_the_same_vectors(name, kind):
    encoder, buffer = encoder_of(name, kind), io.BytesIO()
    with torch.no_grad():
        program = torch.export.export(encoder, encoder.example(), dynamic_shapes=encoder.dynamic_shapes)
    assert not any("harmoclip" in str(node.target) for node in program.graph.nodes)
    torch.export.save(program, buffer)
    buffer.seek(0)
    loaded = torch.export.load(buffer).module()
    for images, regions in ((3, 5), (1, 1)):
        given = inputs(encoder, images, regions)
        torch.testing.assert_close(loaded(*given), encoder(*given))


def check_onnx(name, kind, path):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    encoder = encoder_of(name, kind)
    export_onnx(encoder, path)
    session = runtime.InferenceSession(path)
    names = [value.name for value in session.get_inputs()]
    for images, regions in ((3, 5), (1, 1), (2, 0)):
        given = inputs(encoder, images, regions)
        (out,) = session.run(None, dict(zip(names, (x.numpy() for x in given), strict=True)))
        torch.testing.assert_close(torch.from_numpy(out), encoder(*given), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ENCODERS)
def test_onnx_gives_the_same_vectors(kind, tmp_path):
    check_onnx("ViT-B-32", kind, tmp_path / "encoder.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("name", FAMILIES[1:])
def test_onnx_of_other_families(name, kind, tmp_path):
    check_onnx(name, kind, tmp_path / "encoder.onnx")


def test_a_program_gives_nan_for_an_impossible_box():
    encoder = encoder_of("ViT-B-32", RegionEncoder)
    images, _, index = encoder.example()
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [10.0, 20.0, 50.0, 60.0], [0.6, 0.1, 0.2, 0.9]])
    with torch.no_grad():
        program = torch.export.export(encoder, encoder.example()).module()
        rows = program(images, boxes, index).isnan().all(1)
    assert rows.tolist() == [False, True, True]


def test_a_model_in_training_is_refused():
    harmo = harmonize(small.small("ViT-B-32").model)
    with pytest.raises(InputError, match="training mode"):
        RegionEncoder(harmo.train())


def test_a_missing_exporter_is_named(tmp_path):
    encoder = encoder_of("ViT-B-32", DenseEncoder)
    with (
        mock.patch("importlib.util.find_spec", return_value=None),
        pytest.raises(MissingDependencyError, match=r"harmoclip\[onnx\]"),
    ):
        export_onnx(encoder, tmp_path / "encoder.onnx")


def test_a_model_of_no_size_asks_for_inputs():
    encoder = encoder_of("ViT-B-32", DenseEncoder)
    with (
        mock.patch.object(type(encoder.harmo.towers.image), "input_size", None),
        pytest.raises(InputError, match="size of its images"),
    ):
        encoder.example()


def test_a_model_of_any_grid_is_refused():
    if small.missing("Siglip2Model"):
        pytest.skip("this transformers has no SigLIP 2")
    with pytest.raises(UnsupportedModelError, match="Siglip2Model takes images of any grid"):
        encoder_of("Siglip2Model", RegionEncoder)
