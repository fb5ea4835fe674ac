import numpy as np
import pytest
import reference
import torch
from timm.layers import EcaModule

from mlrfnet_mm.models import ECANeck
from mlrfnet_mm.models.necks.eca_neck import adaptive_kernel_size


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
def test_equals_equation_1(kernel_size):
    neck = ECANeck(in_channels=(8, 16), kernel_size=kernel_size).double()
    feats = [torch.randn(2, 8, 5, 4).double(), torch.randn(2, 16, 3, 2).double()]
    outs = neck(feats)
    assert isinstance(outs, tuple)
    for level, x, out in zip(neck.levels, feats, outs, strict=True):
        kernel = level.conv.weight.detach().numpy().ravel()
        assert kernel.shape == (kernel_size,)
        for image, result in zip(x.numpy(), out.detach().numpy(), strict=True):
            np.testing.assert_allclose(result, reference.eca(image, kernel), rtol=1e-12)


@pytest.mark.parametrize('channels', [64, 256, 512, 1024, 2048])
def test_adaptive_kernel_and_output_equal_timm(channels):
    theirs = EcaModule(channels)
    assert adaptive_kernel_size(channels) == theirs.conv.kernel_size[0]
    ours = ECANeck(in_channels=(channels,), kernel_size=None).levels[0]
    ours.conv.weight.data.copy_(theirs.conv.weight)
    x = torch.randn(2, channels, 3, 3)
    torch.testing.assert_close(ours(x), theirs(x))


def test_adds_nine_parameters():
    assert sum(p.numel() for p in ECANeck().parameters()) == 9  # spec: 3 levels x k=3, no bias


@pytest.mark.parametrize('kernel_size', [0, 2, 4])
def test_even_kernel_is_refused(kernel_size):
    with pytest.raises(ValueError, match=f'odd and positive, got {kernel_size}'):
        ECANeck(kernel_size=kernel_size)


@pytest.mark.parametrize(
    ('shapes', 'message'),
    [
        ([(1, 8, 2, 2)], r'expects 2 levels, the backbone gives 1: .*in_channels=\(8,\).*out_ind'),
        ([(1, 8, 2, 2), (1, 12, 1, 1)], r'expects 16 channels at level 1, the backbone gives 12'),
        ([(1, 8, 2, 2), (1, 16)], r'level 1 .*\(1, 16\)'),
    ],
)
def test_other_levels_are_refused_with_the_way_out(shapes, message):
    with pytest.raises(ValueError, match=f'model.neck .*{message}'):
        ECANeck(in_channels=(8, 16))([torch.zeros(shape) for shape in shapes])
