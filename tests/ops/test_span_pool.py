import pytest
import torch

from harmoclip.errors import InputError
from harmoclip.ops import span_pool


def draw(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(4, 12, 6, generator=generator, dtype=torch.float64).to(dtype)
    ends = torch.randint(0, 13, (9, 2), generator=generator).sort(1).values
    return tokens, ends, torch.randint(4, (9,), generator=generator)


def by_loop(tokens, spans, text_index):
    rows = [
        tokens[t, a:b].mean(0) if b > a else tokens[t, 0] * 0
        for (a, b), t in zip(spans, text_index, strict=True)
    ]
    return torch.stack(rows)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_values_are_the_mean_of_the_slice(backend):
    tokens, spans, text_index = draw()
    out = span_pool(tokens, spans, text_index, backend=backend)
    torch.testing.assert_close(out, by_loop(tokens, spans, text_index), atol=1e-6, rtol=1e-6)


def test_gradients():
    tokens, spans, text_index = draw(torch.float64)
    tokens = tokens[:, :, :2].contiguous()
    assert torch.autograd.gradcheck(lambda t: span_pool(t, spans, text_index), (tokens.requires_grad_(),))
    assert torch.autograd.gradgradcheck(lambda t: span_pool(t, spans, text_index), (tokens,))


def test_no_spans_stay_connected():
    tokens, spans, text_index = draw()
    out = span_pool(tokens.requires_grad_(), spans[:0], text_index[:0])
    assert out.shape == (0, 6)
    assert not torch.autograd.grad(out.sum(), tokens)[0].any()


def test_mistakes_are_told():
    tokens, spans, text_index = draw()
    with pytest.raises(InputError, match="one a region, got"):
        span_pool(tokens, spans, text_index[:3])
    with pytest.raises(InputError, match="and list"):
        span_pool(tokens, spans.tolist(), text_index)
    for wrong in (spans.float(), spans[:, :1]):
        with pytest.raises(InputError, match="spans"):
            span_pool(tokens, wrong, text_index)
    for wrong in (text_index.float(), text_index > 0, text_index.tolist()):
        with pytest.raises(InputError, match="text_index is"):
            span_pool(tokens, spans, wrong)
    with pytest.raises(InputError, match="must lie in"):
        span_pool(tokens, spans, text_index + 4)


@pytest.mark.parametrize("span", [[3, 13], [-2, 2], [5, 4], [12, 14]])
def test_spans_that_leave_their_text_are_told(span):
    tokens, spans, text_index = draw()
    spans[5] = torch.tensor(span)
    with pytest.raises(InputError, match=r"region 5 is impossible.*a span leaves its text"):
        span_pool(tokens, spans, text_index)
