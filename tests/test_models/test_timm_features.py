"""Maps, learning rates by layer and resampled positions, compared with timm's own functions."""

import pytest
import timm
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from safetensors.torch import save_file
from timm.optim import param_groups_layer_decay

from mlrfnet_mm.models import TimmFeatures, build_model

DECAY, RATE, WEIGHTS = 0.7, 1e-3, 0.05
# levels, pixels of a side, (channels, side) of each map at that size
CONVNEXT = ('convnextv2_atto', (1, 2, 3), 64, [(80, 8), (160, 4), (320, 2)])
EVA = ('eva02_tiny_patch14_224', (3, 7, 11), 224, [(192, 16)] * 3)
VIT = ('vit_tiny_patch16_224', (3, 7, 11), 224, [(192, 14)] * 3)
MODELS_OF_TIMM = {name: levels for name, *levels in (CONVNEXT, EVA, VIT)}


def classifier(name, out_indices, size=224):
    return build_model(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=dict(type='mlrfnet_mm.TimmFeatures', model_name=name, out_indices=out_indices),
            neck=dict(type='mlrfnet_mm.ECANeck', in_channels=None),
            head=dict(type='mlrfnet_mm.MRFCHead', num_classes=14, in_channels=None),
        ),
        size,
    )


@pytest.mark.parametrize('name', MODELS_OF_TIMM)
def test_maps_are_timm_s(name):
    levels, size, shapes = MODELS_OF_TIMM[name]
    torch.manual_seed(0)
    net = TimmFeatures(name, levels)
    donor = timm.create_model(name).eval()
    state = donor.state_dict()
    own = net.timm_model.model
    own.load_state_dict({key: state[key] for key in own.state_dict()})
    net.eval()
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        theirs = donor.forward_intermediates(x, indices=levels, intermediates_only=True)
        for ours, expected, (c, side) in zip(net(x), theirs, shapes, strict=True):
            assert ours.shape == (2, c, side, side)
            torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize('name', MODELS_OF_TIMM)
def test_rates_and_decay_are_those_of_timm_for_the_whole_classifier(name):
    levels, size, _ = MODELS_OF_TIMM[name]
    whole = timm.create_model(name)
    names = {id(p): key for key, p in whole.named_parameters()}
    expected = {
        names[id(p)]: (RATE * group['lr_scale'], group['weight_decay'])
        for group in param_groups_layer_decay(
            whole, WEIGHTS, getattr(whole, 'no_weight_decay', set)(), layer_decay=DECAY
        )
        for p in group['params']
    }
    model = classifier(name, levels, size)
    wrapper = build_optim_wrapper(
        model,
        dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=RATE, weight_decay=WEIGHTS),
            constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
            paramwise_cfg=dict(
                layer_decay_rate=DECAY,
                flat_decay_mult=0.0,
                custom_keys={
                    '.cls_token': dict(decay_mult=0.0),
                    '.pos_embed': dict(decay_mult=0.0),
                },
            ),
        ),
    )
    found = {g['param_name']: (g['lr'], g['weight_decay']) for g in wrapper.optimizer.param_groups}
    assert found.keys() == dict(model.named_parameters()).keys()
    rates = set()
    for key, pair in found.items():
        if key.startswith('backbone.'):
            assert pair == pytest.approx(expected[key.removeprefix('backbone.timm_model.model.')])
            rates.add(pair[0])
        else:
            assert pair == (RATE, 0.0 if model.get_parameter(key).ndim == 1 else WEIGHTS), key
    assert len(rates) > 8 and max(rates) == pytest.approx(RATE * DECAY)


def publish(name, folder, change=lambda weights: weights):
    """A file of timm's own random weights."""
    torch.manual_seed(3)
    donor = timm.create_model(name)
    torch.nn.init.normal_(donor.pos_embed)
    save_file(change(donor.state_dict()), folder / f'{name}.safetensors')


def backbone(name, checkpoint, **options):
    init_cfg = dict(type='mlrfnet_mm.TimmPretrained', checkpoint=str(checkpoint))
    net = MODELS.build(
        dict(
            type='mlrfnet_mm.TimmFeatures',
            model_name=name,
            out_indices=(11,),
            init_cfg=init_cfg,
            **options,
        )
    )
    net.init_weights()
    return net


@pytest.mark.parametrize('by', ['name', 'file'])
@pytest.mark.parametrize('name', ['eva02_tiny_patch14_224', 'vit_tiny_patch16_224'])
def test_positions_are_resampled_as_timm_does(tmp_path, monkeypatch, name, by):
    monkeypatch.setenv('MLRFNET_WEIGHTS', str(tmp_path))
    publish(name, tmp_path)
    file = tmp_path / f'{name}.safetensors'
    size = 112
    net = backbone(name, name if by == 'name' else file, img_size=size)
    theirs = timm.create_model(
        name, pretrained=True, img_size=size, pretrained_cfg_overlay=dict(file=str(file))
    ).state_dict()
    for key, value in net.timm_model.model.state_dict().items():
        assert torch.equal(value, theirs[key]), key
    assert (
        net.timm_model.model.pos_embed.shape[1]
        == 1 + (size // int(name.split('patch')[1][:2])) ** 2
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: {**w, 'pos_embed': torch.zeros(1, 14 * 13 + 1, 192)}, r'pos_embed[\s\S]*183'),
        (lambda w: {**w, 'pos_embed': torch.zeros(1, 197, 96)}, r'pos_embed[\s\S]*96'),
    ],
    ids=['not square', 'other width'],
)
def test_positions_that_do_not_fit_are_named(tmp_path, change, message):
    publish('vit_tiny_patch16_224', tmp_path, change)
    with pytest.raises(ValueError, match=rf'do not fit TimmFeatures[\s\S]*{message}'):
        backbone(
            'vit_tiny_patch16_224', tmp_path / 'vit_tiny_patch16_224.safetensors', img_size=112
        )


def test_a_model_without_known_layers_is_refused(monkeypatch):
    monkeypatch.delattr(timm.models.ConvNeXt, 'group_matcher')
    with pytest.raises(ValueError, match='no group_matcher for ConvNeXt.*TIMMBackbone'):
        TimmFeatures('convnextv2_atto', (1,))


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match='imgsize'):
        TimmFeatures('convnextv2_atto', (1,), imgsize=3)
