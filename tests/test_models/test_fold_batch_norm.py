import pytest
import torch
from conftest import ROOT
from timm.layers import BatchNormAct2d
from torch import nn

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.fold_batch_norm import fold_batch_norm

BatchNorm = nn.modules.batchnorm._BatchNorm
CONFIGS = sorted((ROOT / 'configs').glob('[!_]*.py')) + sorted(
    (ROOT / 'configs/ablations').glob('*/*.py')
)


def every_backbone():
    """One model config for each backbone of the shipped configs."""
    models = {}
    for path in CONFIGS:
        model = read_config(path).model
        model.backbone.pop('init_cfg', None)
        models.setdefault(str(model.backbone), pytest.param(model, id=path.stem))
    return list(models.values())


def after_a_training(model):
    """Give the BatchNorms statistics that leave a trace if they are lost."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, BatchNorm):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(std=0.1)
    model.train(False)
    return model


@pytest.mark.parametrize('config', every_backbone())
def test_every_shipped_backbone_computes_the_same(config):
    model = after_a_training(build_model(config))
    image = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = model(image)
        folded, found = fold_batch_norm(model, image)
        torch.testing.assert_close(model(image), expected, rtol=1e-4, atol=1e-4)
    left = sum(isinstance(module, BatchNorm) for module in model.modules())
    assert left == found - folded
    if config.backbone.type in ('mmpretrain.Res2Net', 'mmpretrain.ResNet'):
        assert left == 0


def test_the_activation_of_a_batch_norm_stays():
    conv, norm = nn.Conv2d(3, 4, 3), BatchNormAct2d(4)
    model = after_a_training(nn.Sequential(conv, norm))
    image = torch.randn(2, 3, 8, 8)
    assert fold_batch_norm(model, image) == (1, 1)
    out = model(image)
    assert out.min() == 0
    assert out.max() > 0


class Shared(nn.Module):
    """Reads one convolution twice: with and without the BatchNorm."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.conv(x)
        return x + self.norm(x)


def test_a_network_that_folding_would_change_is_refused():
    with pytest.raises(RuntimeError, match='outputs of Shared differ by .* of the largest'):
        fold_batch_norm(after_a_training(Shared()), torch.randn(2, 3, 8, 8))


class Strange(nn.BatchNorm2d):
    """A BatchNorm of somebody else's that does more."""

    def forward(self, x):
        return super().forward(x).sigmoid()


def test_unknown_subclasses_are_left_alone():
    model = after_a_training(nn.Sequential(nn.Conv2d(3, 4, 1), Strange(4)))
    image = torch.randn(2, 3, 8, 8)
    expected = model(image)
    assert fold_batch_norm(model, image) == (0, 1)
    torch.testing.assert_close(model(image), expected)


def test_a_convolution_that_serves_twice_keeps_its_batch_norm():
    conv = nn.Conv2d(3, 3, 1)
    model = after_a_training(nn.Sequential(conv, nn.BatchNorm2d(3), conv, nn.BatchNorm2d(3)))
    image = torch.randn(2, 3, 8, 8)
    expected = model(image)
    assert fold_batch_norm(model, image) == (0, 2)
    torch.testing.assert_close(model(image), expected)
