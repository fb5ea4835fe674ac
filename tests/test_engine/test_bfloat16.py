"""bfloat16 on CPUs equals torch's own autocast, and trains every kind of network."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import OPTIM_WRAPPERS
from mmpretrain.structures import DataSample
from networks import kinds_of_networks

from mlrfnet_mm.commands import train
from mlrfnet_mm.engine import machine
from mlrfnet_mm.engine.machine import bfloat16_units


@pytest.mark.parametrize(
    ('text', 'units'),
    [
        ('model name : x\nflags\t\t: fpu avx512_bf16 amx_bf16 avx2\nbugs: none\n', 2),
        ('flags\t\t: fpu avx512f avx512_vnni\n', 0),
        ('Features\t: fp asimd bf16 i8mm\n', 1),
        ('', 0),
    ],
)
def test_units(tmp_path, text, units):
    path = tmp_path / 'cpuinfo'
    path.write_text(text)
    assert len(bfloat16_units(path)) == units
    assert bfloat16_units(tmp_path / 'no such file') == []


def test_a_step_is_that_of_torch_s_autocast():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.LazyLinear(5)
    )
    images = torch.randn(2, 3, 8, 8)
    model(images)
    ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='mlrfnet_mm.BFloat16OptimWrapper',
            optimizer=torch.optim.SGD(ours.parameters(), 0.1),
        )
    )
    with wrapper.optim_context(ours):
        logits = ours(images)
        assert logits.dtype == torch.bfloat16
        wrapper.update_params(logits.float().square().mean())
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1)
    with torch.autocast('cpu', torch.bfloat16):
        logits = theirs(images)
    logits.float().square().mean().backward()
    optimizer.step()
    for a, b, before in zip(
        ours.parameters(), theirs.parameters(), model.parameters(), strict=True
    ):
        assert a.dtype == torch.float32
        assert torch.equal(a, b) and not torch.equal(a, before)


@pytest.mark.slow
@pytest.mark.parametrize('network', kinds_of_networks())
def test_a_step_of_every_kind_of_network(network):
    model = network.build().train()
    inputs = torch.randint(0, 256, (2, 1, network.size, network.size), dtype=torch.uint8)
    scores = torch.randint(0, 2, (2, network.num_classes)).float()
    samples = [DataSample().set_gt_score(row) for row in scores]
    batch = model.data_preprocessor(dict(inputs=inputs, data_samples=samples), training=True)
    losses = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16, enabled), torch.set_grad_enabled(enabled):
            losses.append(model.parse_losses(model(**batch, mode='loss'))[0])
    losses[1].backward()
    assert losses[1].dtype == torch.float32
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=0.15)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(grad.isfinite().all() for grad in grads)


def test_a_cpu_without_units_is_refused(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    monkeypatch.setattr(machine, 'bfloat16_units', list)
    with pytest.raises(ValueError, match='a CPU with units for bfloat16'):
        train.use_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))))


def test_options_of_the_gpu_s_wrapper_are_left_out(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    monkeypatch.setattr(machine, 'bfloat16_units', lambda: ['amx_bf16'])
    cfg = Config(dict(optim_wrapper=dict(type='AmpOptimWrapper', loss_scale='dynamic')))
    train.use_amp(cfg)
    assert cfg.optim_wrapper == dict(type='mlrfnet_mm.BFloat16OptimWrapper')
