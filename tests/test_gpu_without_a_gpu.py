"""Every kind of network's forward pass on a pretended GPU: no tensor stays on the CPU.

``FakeTensorMode`` computes devices, types and shapes without a driver. Backward needs one: not run.
"""

import pytest
import torch
from conftest import ROOT
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from networks import kinds_of_networks
from torch._subclasses.fake_tensor import FakeTensorMode

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model

pytestmark = pytest.mark.slow

MAIN = sorted((ROOT / 'configs').glob('[!_]*.py'))


def pretend(model):
    """Move parameters and buffers to a pretended GPU; what is neither stays where it is."""
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, x in tensors.items():
                if x is not None:
                    fake = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device='cuda')
                    is_parameter = isinstance(x, torch.nn.Parameter)
                    tensors[name] = torch.nn.Parameter(fake) if is_parameter else fake
    model._set_device(torch.device('cuda'))  # as BaseModel.to does
    return model


@pytest.mark.parametrize('network', kinds_of_networks())
def test_forward_loss_and_prediction(network):
    if network.model.backbone.type == 'mlrfnet_mm.GlobalLocalBackbone':
        pytest.skip('cuts by the values of its heat map, and a pretended tensor has none')
    check(network.build(), torch.float16, network.size, network.num_classes)


@pytest.mark.parametrize('path', MAIN, ids=lambda p: p.stem)
def test_the_main_networks_in_bfloat16(path):
    model = read_config(path).model
    model.backbone.pop('init_cfg', None)
    check(build_model(model), torch.bfloat16)


def check(model, dtype, size=64, num_classes=14):
    head = getattr(model.head, 'head', model.head)  # of a head around a head
    head.thr, head.topk = None, 1  # how many are above a threshold is not known
    with FakeTensorMode(allow_non_fake_inputs=True):
        pretend(model)
        samples = [DataSample().set_gt_score(row) for row in torch.zeros(2, num_classes)]
        images = torch.zeros(2, 1, size, size, dtype=torch.uint8)
        batch = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)
        assert batch['inputs'].device.type == 'cuda'
        with torch.autocast('cuda', dtype):
            model.train()
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
            model.train(False)
            logits = model(batch['inputs'], mode='tensor')
            predicted = model(**batch, mode='predict')
        assert (loss.device.type, loss.dtype) == ('cuda', torch.float32)
        assert (logits.device.type, tuple(logits.shape)) == ('cuda', (2, num_classes))
        assert predicted[0].pred_score.device.type == 'cuda'


COUNTS = tuple(range(100, 114))


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='mlrfnet_mm.LDAMLoss', class_counts=COUNTS, beta=0.999),
        dict(type='mlrfnet_mm.DistributionBalancedLoss', class_counts=COUNTS, images=500),
        dict(type='mlrfnet_mm.MaskedLoss', loss=dict(type='mmpretrain.AsymmetricLoss')),
    ],
    ids=lambda config: config['type'],
)
def test_a_loss_that_a_hook_builds_in_a_training(loss):
    """mmpretrain's SwitchRecipeHook moves nothing: counts that are on the CPU serve too."""
    module = MODELS.build(loss)
    with FakeTensorMode(allow_non_fake_inputs=True):
        logits = torch.randn(2, 14, device='cuda', dtype=torch.float16)
        value = module(logits, torch.zeros(2, 14, device='cuda'), avg_factor=2)
    assert (value.device.type, value.dtype) == ('cuda', torch.float32)


def test_a_tensor_left_on_the_cpu_is_seen():
    model = build_model(read_config(ROOT / 'configs/mlrfnet_phantom.py').model)
    model.head.forward = lambda feats: feats[-1].mean((2, 3))[:, :14] + torch.zeros(14)
    with FakeTensorMode(allow_non_fake_inputs=True):
        pretend(model)
        with pytest.raises(Exception, match='cuda.*cpu|cpu.*cuda|devices'):
            model(torch.zeros(2, 3, 64, 64, device='cuda'), mode='tensor')
