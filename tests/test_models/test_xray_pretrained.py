"""Published chest X-ray weights, in made files with the published names and shapes.

The networks are timm's; the small ones are theirs with fewer or narrower blocks.
"""

import argparse
import re

import pytest
import timm
import torch
import torch.nn.functional as F
from builders import Noise, small_runner
from conftest import ROOT, Evil
from mmengine.registry import DATASETS
from mmpretrain.registry import MODELS
from safetensors.torch import save_file
from torch import nn

from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.models import XrayDataPreprocessor, XrayPretrained, build_model
from mlrfnet_mm.models.backbones.weights import timm_pretrained
from mlrfnet_mm.models.backbones.weights.xray_pretrained import (
    check_input_range,
    fold_channels,
    started_from,
)
from mlrfnet_mm.models.backbones.weights.xray_sources import IMAGENET, XRAY_SOURCES, map_names

ONE = dict(in_chans=1)
SWIN = dict(depths=(1, 1, 2, 1), embed_dim=16, num_heads=(1, 1, 2, 2), img_size=64)
VIT = dict(depth=2)
# of each source: what makes timm's network small, and the channels of its stem
SMALL = dict(
    torchxrayvision_densenet121=dict(block_config=(1, 2, 2, 1), **ONE),
    torchxrayvision_resnet50=dict(layers=(1, 1, 1, 1), **ONE),
    ark_swin_base=dict(SWIN, window_size=4),
    ark_plus_swin_large=dict(SWIN, window_size=4, img_size=128),
    eva_x_tiny=dict(VIT, img_size=64),
    eva_x_small=dict(VIT, img_size=64),
    eva_x_base=dict(VIT, img_size=64, embed_dim=96, num_heads=3),
    medical_mae_vit_small=dict(VIT, img_size=64),
    medical_mae_vit_base=dict(VIT, img_size=64, embed_dim=96, num_heads=3),
    medical_mae_densenet121=dict(block_config=(1, 2, 2, 1)),
    rad_dino=dict(VIT, img_size=70, embed_dim=96, num_heads=3),
    jfhealthcare=dict(block_config=(1, 2, 2, 1)),
    cxr_lt_2026=dict(depths=(1, 1, 1, 1), dims=(8, 16, 24, 32)),
)


def network(name):
    """Of timm with its classifier."""
    return {k: v for k, v in XRAY_SOURCES[name].network.items() if k != 'feature_cls'}


def donor(name, **changes):
    """The source's network by timm, with weights and statistics that are not trivial."""
    torch.manual_seed(0)
    model = timm.create_model(**{**network(name), **SMALL[name], **changes}, num_classes=5)
    for key, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim < 3:
            low, high = (0.5, 1.5) if key.endswith(('running_var', 'gamma')) else (-0.2, 0.2)
            value.uniform_(low, high)
    return model.eval()


def swin(weights):
    """A stage ends with its downsampling; buffers are stored; a projector and several heads."""
    made = {}
    for key, value in weights.items():
        stage = re.match(r'layers\.(\d)\.downsample', key)
        key = key.replace(stage[0], f'layers.{int(stage[1]) - 1}.downsample') if stage else key
        if not key.startswith('head.'):
            made[key] = value
    made['layers.0.blocks.0.attn.relative_position_index'] = torch.zeros(16, 16, dtype=torch.long)
    made['layers.0.blocks.1.attn_mask'] = torch.zeros(4, 16, 16)
    made |= {
        f'{k}.weight': torch.zeros(2, 3) for k in ('projector', 'omni_heads.0', 'omni_heads.5')
    }
    return made


def eva(weights):
    """EVA-02's names: w12 and w3, or w1, w2, w3 with a norm and separate biases."""
    pairs = [('mlp.fc1_g.', 'mlp.w1.'), ('mlp.fc1_x.', 'mlp.w2.'), ('mlp.fc1.', 'mlp.w12.')]
    pairs += [('mlp.fc2.', 'mlp.w3.'), ('mlp.norm.', 'mlp.ffn_ln.')]
    pairs += [('q_proj.bias', 'q_bias'), ('v_proj.bias', 'v_bias')]
    made = {}
    for key, value in weights.items():
        for ours, theirs in pairs:
            key = key.replace(ours, theirs)
        if not key.startswith('head.'):
            made[key.replace('fc_norm.', 'norm.')] = value
    made['mask_token'] = torch.zeros(1, 1, 8)
    made |= {'lm_head.weight': torch.zeros(2, 8), 'lm_head.bias': torch.zeros(2)}
    made |= {'rope.freqs_cos': torch.zeros(196, 64), 'blocks.0.attn.rope.freqs_sin': torch.zeros(2)}
    return made


def mae(weights):
    """With its decoder."""
    made = {k: v for k, v in weights.items() if not k.startswith('head.')}
    made |= {'mask_token': torch.zeros(1, 1, 512), 'decoder_pos_embed': torch.zeros(1, 197, 512)}
    made |= {f'decoder_{k}.weight': torch.zeros(2, 2) for k in ('embed', 'blocks.0.attn.qkv')}
    made |= {f'decoder_{k}.bias': torch.zeros(2) for k in ('norm', 'pred')}
    return made


def transformers(weights):
    """Dinov2Model's names, query, key and value apart."""
    made = {'embeddings.mask_token': torch.zeros(1, 8)}
    top = {'cls_token': 'embeddings.cls_token', 'pos_embed': 'embeddings.position_embeddings'}
    for key, value in weights.items():
        if key in top:
            made[top[key]] = value
        elif key.startswith('patch_embed.proj.'):
            made[f'embeddings.patch_embeddings.projection.{key.split(".")[-1]}'] = value
        elif key.startswith('norm.'):
            made[f'layernorm.{key.split(".")[-1]}'] = value
        elif '.attn.qkv.' in key:
            block = f'encoder.layer.{key.split(".")[1]}.attention.attention'
            for part, third in zip(('query', 'key', 'value'), value.chunk(3), strict=True):
                made[f'{block}.{part}.{key.split(".")[-1]}'] = third.clone()
        elif key.startswith('blocks.'):
            key = key.replace('blocks.', 'encoder.layer.').replace(
                'attn.proj', 'attention.output.dense'
            )
            key = re.sub(r'ls([12])\.gamma', r'layer_scale\1.lambda1', key)
            made[key] = value
    return made


def under(prefix, *more):
    """All but the classifier under a prefix, with parts of the same model next to it."""

    def publish(weights):
        kept = {k: v for k, v in weights.items() if not k.startswith(('classifier', 'head.fc'))}
        return {f'{prefix}{k}': v for k, v in kept.items()} | {k: torch.zeros(2) for k in more}

    return publish


PUBLISH = dict(
    torchxrayvision_densenet121=lambda weights: weights | {'op_threshs': torch.zeros(18)},
    torchxrayvision_resnet50=dict,
    ark_swin_base=swin,
    ark_plus_swin_large=swin,
    eva_x_tiny=eva,
    eva_x_small=eva,
    eva_x_base=eva,
    medical_mae_vit_small=mae,
    medical_mae_vit_base=mae,
    medical_mae_densenet121=under(
        'model.encoder.', 'model.decoder.blocks.0.conv1.0.weight', 'model.segmentation_head.0.bias'
    ),
    rad_dino=transformers,
    jfhealthcare=under('backbone.', 'backbone.classifier.bias', 'fc_0.weight', 'bn_4.running_var'),
    cxr_lt_2026=under('backbone.', 'bn.weight', 'head.classifier.weight', 'head.conv_att.weight'),
)


def write(name, model, folder):
    """A safetensors file as published, of timm's model."""
    path = folder / f'{name}.safetensors'
    weights = PUBLISH[name](dict(model.state_dict()))
    save_file({k: v.contiguous() for k, v in weights.items()}, path)
    return path


def backbone(name, path, **changes):
    small = {k: v for k, v in SMALL[name].items() if k != 'in_chans'}
    if 'depth' in small:
        small['out_indices'] = (1,)
    return dict(
        type='mmpretrain.TIMMBackbone',
        features_only=True,
        **{**XRAY_SOURCES[name].network, **small, **changes},
        init_cfg=dict(type='mlrfnet_mm.XrayPretrained', source=name, checkpoint=str(path)),
    )


def filled(config):
    torch.manual_seed(1)
    net = MODELS.build(config)
    net.init_weights()
    net.eval()  # mmpretrain's ResNet.eval() returns None
    return net


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(timm_pretrained, 'print_log', lambda text, logger: lines.append(text))
    return lines


@pytest.mark.parametrize('name', XRAY_SOURCES)
def test_features_are_those_of_the_network_that_was_published(name, tmp_path):
    model = donor(name)
    net = filled(backbone(name, write(name, model, tmp_path)))
    side = SMALL[name].get('img_size', 64)
    gray = torch.randn(2, 1, side, side)
    with torch.no_grad():
        ours = net(gray.expand(-1, 3, -1, -1))[-1]
        image = gray if 'in_chans' in SMALL[name] else gray.expand(-1, 3, -1, -1)
        theirs = model.forward_intermediates(image, intermediates_only=True)[-1]
    assert ours.std() > 0.01
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


# From the authors' code: a key of the file, its shape, and the name and shape in timm's network.
PUBLISHED = [
    ('torchxrayvision_densenet121', 'features.denseblock4.denselayer16.conv2.weight',
     (32, 128, 3, 3), 'features.denseblock4.denselayer16.conv2.weight'),
    ('torchxrayvision_resnet50', 'layer4.2.conv3.weight', (2048, 512, 1, 1),
     'layer4.2.conv3.weight'),
    ('ark_swin_base', 'layers.2.downsample.reduction.weight', (1024, 2048),
     'layers.3.downsample.reduction.weight'),
    ('ark_plus_swin_large', 'layers.2.blocks.17.attn.relative_position_bias_table', (529, 24),
     'layers.2.blocks.17.attn.relative_position_bias_table'),
    ('eva_x_tiny', 'blocks.11.mlp.w12.weight', (1024, 192), 'blocks.11.mlp.fc1.weight'),
    ('eva_x_small', 'blocks.11.attn.q_bias', (384,), 'blocks.11.attn.q_bias'),
    ('eva_x_base', 'pos_embed', (1, 197, 768), 'pos_embed'),
    ('eva_x_base', 'blocks.11.attn.v_bias', (768,), 'blocks.11.attn.v_proj.bias'),
    ('eva_x_base', 'blocks.0.mlp.ffn_ln.weight', (2048,), 'blocks.0.mlp.norm.weight'),
    ('medical_mae_vit_small', 'patch_embed.proj.weight', (384, 3, 16, 16),
     'patch_embed.proj.weight'),
    ('medical_mae_vit_base', 'blocks.11.mlp.fc2.weight', (768, 3072), 'blocks.11.mlp.fc2.weight'),
    ('medical_mae_densenet121', 'model.encoder.features.norm5.weight', (1024,),
     'features.norm5.weight'),
    ('rad_dino', 'embeddings.position_embeddings', (1, 1370, 768), 'pos_embed'),
    ('rad_dino', 'encoder.layer.11.layer_scale2.lambda1', (768,), 'blocks.11.ls2.gamma'),
    ('jfhealthcare', 'backbone.features.conv0.weight', (64, 3, 7, 7), 'features.conv0.weight'),
    ('cxr_lt_2026', 'backbone.stages.2.blocks.26.mlp.grn.weight', (2048,),
     'stages.2.blocks.26.mlp.grn.weight'),
]  # fmt: skip


@pytest.mark.parametrize(('name', 'key', 'shape', 'own'), PUBLISHED)
def test_the_configured_network_has_the_published_shapes(name, key, shape, own):
    with torch.device('meta'):
        model = timm.create_model(**network(name))
    assert map_names([key], XRAY_SOURCES[name]) == ({own: [key]}, [])
    assert tuple(model.state_dict()[own].shape) == shape


@pytest.mark.parametrize('version', [4, 5])
def test_query_key_and_value_are_joined_in_this_order_by_the_names_of_both_versions(version):
    parts = ('value', 'query', 'key') if version == 4 else ('v_proj', 'k_proj', 'q_proj')
    middle = 'attention.attention.' if version == 4 else 'attention.'
    keys = [f'encoder.layer.3.{middle}{part}.bias' for part in parts]
    names, _ = map_names(keys, XRAY_SOURCES['rad_dino'])
    assert [[k.split('.')[-2][0] for k in v] for v in names.values()] == [['q', 'k', 'v']]
    assert list(names) == ['blocks.3.attn.qkv.bias']


@pytest.mark.parametrize('channels', [1, 3])
def test_a_stem_of_other_channels_gives_the_same_for_gray_images(channels):
    torch.manual_seed(0)
    weight = torch.randn(8, 4 - channels, 7, 7, dtype=torch.float64)
    gray = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    folded = fold_channels(weight, channels)
    assert folded.shape == (8, channels, 7, 7)
    torch.testing.assert_close(
        F.conv2d(gray.expand(-1, channels, -1, -1), folded),
        F.conv2d(gray.expand(-1, 4 - channels, -1, -1), weight),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize('name', ['torchxrayvision_densenet121', 'jfhealthcare'])
def test_a_backbone_of_one_channel_keeps_or_sums_the_stem(name, tmp_path):
    model = donor(name)
    net = filled(backbone(name, write(name, model, tmp_path), in_channels=1))
    stem = model.features.conv0.weight
    torch.testing.assert_close(net.timm_model.features_conv0.weight, stem.sum(1, keepdim=True))


def test_channels_with_ranges_of_their_own_do_not_become_one(tmp_path):
    path = write('cxr_lt_2026', donor('cxr_lt_2026'), tmp_path)
    with pytest.raises(ValueError, match=r'cannot become one: in_channels=3'):
        filled(backbone('cxr_lt_2026', path, in_channels=1))


def test_mmpretrains_resnet_takes_them_too(tmp_path):
    name = 'torchxrayvision_resnet50'
    model = donor(name, layers=(3, 4, 6, 3))
    path = write(name, model, tmp_path)
    net = filled(
        dict(type='mmpretrain.ResNet', depth=50, init_cfg=backbone(name, path)['init_cfg'])
    )
    gray = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        theirs = model.forward_features(gray)
        torch.testing.assert_close(
            net(gray.expand(-1, 3, -1, -1))[-1], theirs, rtol=1e-5, atol=1e-5
        )


def test_a_position_embedding_is_resampled_and_the_class_token_s_kept(tmp_path):
    name = 'medical_mae_vit_small'
    model = donor(name)  # 4 x 4 patches
    path = write(name, model, tmp_path)
    got = filled(backbone(name, path, img_size=96)).timm_model.model.pos_embed
    grid = model.pos_embed[:, 1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (6, 6), mode='bicubic', antialias=True)
    torch.testing.assert_close(got[:, 1:], grid.flatten(2).transpose(1, 2), rtol=1e-5, atol=1e-5)
    assert torch.equal(got[:, :1], model.pos_embed[:, :1])


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        ('missing', r'do not fit TIMMBackbone[\s\S]*features_denseblock2\.denselayer1\.conv1'),
        ('shape', r'do not fit TIMMBackbone[\s\S]*denselayer1\.conv1'),
        ('unexpected', r'do not fit TIMMBackbone[\s\S]*denselayer9'),
        ('unknown', r'not a file of torchxrayvision_densenet121 \(https.*1 keys.*: segmentor\.w'),
    ],
)
def test_files_that_do_not_fit_are_refused(fault, message, tmp_path):
    name, key = 'torchxrayvision_densenet121', 'features.denseblock2.denselayer1.conv1.weight'
    weights = PUBLISH[name](dict(donor(name).state_dict()))
    if fault == 'missing':
        del weights[key]
    elif fault == 'shape':
        weights[key] = torch.zeros(3, 5, 1, 1)
    else:
        more = key.replace('layer1', 'layer9') if fault == 'unexpected' else 'segmentor.w'
        weights[more] = torch.zeros(1)
    save_file(weights, tmp_path / 'w.safetensors')
    with pytest.raises(ValueError, match=message):
        filled(backbone(name, tmp_path / 'w.safetensors'))


def test_the_file_of_another_source_is_refused(tmp_path):
    path = write('jfhealthcare', donor('jfhealthcare'), tmp_path)
    with pytest.raises(
        ValueError, match=r'not a file of rad_dino.*backbone\.features.* and \d+ more'
    ):
        filled(backbone('rad_dino', path))


def test_unknown_names_and_missing_files():
    with pytest.raises(ValueError, match=r"no chest X-ray weights 'chexzero' .* rad_dino"):
        XrayPretrained('chexzero', 'w.pth')
    with pytest.raises(
        FileNotFoundError, match=r'from https://github.com/mlmed.*Apache-2\.0.*None'
    ):
        filled(backbone('torchxrayvision_densenet121', 'nowhere.pth'))


def test_the_log_has_numbers_names_range_and_license(tmp_path, log):
    name = 'torchxrayvision_densenet121'
    filled(backbone(name, write(name, donor(name), tmp_path)))
    own = len(donor(name).state_dict()) - 2
    assert log == [
        f'{name}: {own} tensors of {tmp_path}/{name}.safetensors loaded; left out: 3, '
        'classifier (2), op_threshs; cut off with the backbone: 0; dropped by name: 0; not in them '
        "and new: 0. Normalized by mean (127.5,), std (0.12451171875,). License: the package's is "
        'Apache-2.0; none is stated for the weights (https://github.com/mlmed/torchxrayvision)'
    ]


def test_parts_that_a_backbone_has_not_or_has_of_its_own_are_named(tmp_path, log):
    name = 'jfhealthcare'
    model = donor(name, block_config=(6, 12, 24, 16))
    init_cfg = dict(type='mlrfnet_mm.XrayPretrained', source=name)
    init_cfg.update(checkpoint=str(write(name, model, tmp_path)), new=('norm',))
    config = dict(type='mlrfnet_mm.TruncatedDenseNet', init_cfg=init_cfg)
    with pytest.raises(ValueError, match=r'do not fit TruncatedDenseNet[\s\S]*denseblock4'):
        filled(config)
    init_cfg.update(drop=('features.denseblock4', 'features.norm5'))
    net = filled(config)
    assert torch.equal(net.features.conv0.weight, model.features.conv0.weight)
    assert 'new: 5, norm (5). Norm' in log[0] and 'features.denseblock4 (' in log[0]
    assert 'before that, histogram equalization' in log[0]


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('ark_swin_base', lambda w: dict(epoch=3, state_dict={}, teacher=w, lossMIN=[0.1])),
        ('medical_mae_vit_small', lambda w: dict(model=w, epoch=800)),
        ('eva_x_tiny', lambda w: dict(module=w)),
        ('jfhealthcare', lambda w: w),
        ('jfhealthcare', lambda w: dict(state_dict={f'module.{k}': v for k, v in w.items()})),
    ],
)
def test_checkpoints_of_trainings_have_the_weights_in_their_place(name, content, tmp_path):
    model = donor(name)
    weights = PUBLISH[name](dict(model.state_dict()))
    torch.save(content(weights), tmp_path / 'w.pth.tar')
    expected = filled(backbone(name, write(name, model, tmp_path))).state_dict()
    ours = filled(backbone(name, tmp_path / 'w.pth.tar')).state_dict()
    assert all(torch.equal(ours[key], value) for key, value in expected.items())


def test_a_checkpoint_without_the_teacher_is_refused(tmp_path):
    torch.save(dict(epoch=3, state_dict={'norm.weight': torch.ones(1)}), tmp_path / 'w.pth')
    with pytest.raises(ValueError, match=r'no weights under teacher, .* but epoch, state_dict'):
        filled(backbone('ark_swin_base', tmp_path / 'w.pth'))


@pytest.mark.parametrize('content', ['module', 'namespace', 'evil'])
def test_a_pickle_of_more_than_weights_is_refused_and_not_run(content, tmp_path):
    path, called = tmp_path / 'w.pth', tmp_path / 'called'
    made = dict(module=nn.Linear(2, 2), evil=dict(model=Evil(called)))
    made['namespace'] = dict(model={}, args=argparse.Namespace())
    torch.save(made[content], path)
    with pytest.raises(ValueError, match='pickle of more than weights') as error:
        filled(backbone('medical_mae_vit_small', path))
    assert not called.exists()
    assert 'weights_only=False' in str(error.value) and 'that may be lost' in str(error.value)
    assert 'arbitrary code' not in str(error.value)  # torch's own text, which advises to read it


@pytest.mark.parametrize('name', ['torchxrayvision_densenet121', 'medical_mae_vit_small'])
def test_the_conversion_that_is_told_gives_a_file_that_loads(name, tmp_path, monkeypatch):
    """Run as told; torchxrayvision's file is a whole model."""
    model = donor(name)
    net = model if 'densenet' in name else None
    content = net or dict(model=mae(dict(model.state_dict())), args=argparse.Namespace(lr=1e-3))
    torch.save(content, tmp_path / 'w.pth')
    with pytest.raises(ValueError, match='was not read') as error:
        filled(backbone(name, tmp_path / 'w.pth'))
    lines = re.search(r'run\n\n(.*)\n\nand give', str(error.value), re.S)[1]
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, 'conversion', 'exec'), {})
    ours = filled(backbone(name, tmp_path / 'w.safetensors')).state_dict()
    expected = filled(backbone(name, write(name, model, tmp_path))).state_dict()
    assert all(torch.equal(ours[key], value) for key, value in expected.items())


@pytest.mark.parametrize('content', [b'not torch', b'PK\x03\x04 broken', b''])
def test_damage_is_told(content, tmp_path):
    (tmp_path / 'w.pth').write_bytes(content)
    with pytest.raises(ValueError, match='w.pth is damaged, or not a file of weights'):
        filled(backbone('rad_dino', tmp_path / 'w.pth'))


def test_a_broken_safetensors_file_and_unequal_parts_are_told(tmp_path):
    path = tmp_path / 'w.safetensors'
    path.write_bytes(b'not a header of anything')
    with pytest.raises(ValueError, match='w.safetensors is damaged, get it again'):
        filled(backbone('rad_dino', path))
    weights = transformers(dict(donor('rad_dino').state_dict()))
    weights['encoder.layer.1.attention.attention.key.weight'] = torch.zeros(96, 95)
    save_file(weights, path)
    with pytest.raises(ValueError, match=r'parts of blocks\.1\.attn\.qkv\.weight.*\(96, 95\)'):
        filled(backbone('rad_dino', path))


# The authors' own arithmetic on gray values x of 0 to 255.
RANGES = dict(
    torchxrayvision_densenet121=lambda x: (2 * x / 255 - 1) * 1024,
    torchxrayvision_resnet50=lambda x: (2 * x / 255 - 1) * 1024,
    eva_x_base=lambda x: (x / 255 - 0.49185243) / 0.28509309,
    medical_mae_vit_base=lambda x: (x / 255 - 0.5056) / 0.252,
    rad_dino=lambda x: (x / 255 - 0.5307) / 0.2583,
    jfhealthcare=lambda x: (x - 128.0) / 64.0,
)


@pytest.mark.parametrize('name', RANGES)
def test_the_preprocessor_takes_a_source_s_range(name):
    gray = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor', source=name))
    result = ours(dict(inputs=gray))['inputs']
    expected = RANGES[name](gray.double()).float().expand(-1, 3, -1, -1)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('name', ['ark_swin_base', 'cxr_lt_2026'])
def test_sources_of_imagenet_s_range_have_the_default(name):
    default, ours = XrayDataPreprocessor(), XrayDataPreprocessor(source=name)
    assert torch.equal(default.mean, ours.mean) and torch.equal(default.std, ours.std)


@pytest.mark.parametrize('numbers', [dict(mean=[1.0]), dict(std=[1.0])])
def test_numbers_next_to_a_source_are_refused(numbers):
    with pytest.raises(ValueError, match=r"source='rad_dino' has its own .*1\.0"):
        XrayDataPreprocessor(source='rad_dino', **numbers)
    with pytest.raises(ValueError, match="no chest X-ray weights 'imagenet'"):
        XrayDataPreprocessor(source='imagenet')


class Model(nn.Module):
    def __init__(self, source, preprocessor):
        super().__init__()
        self.data_preprocessor = MODELS.build(preprocessor)
        self.backbone = nn.Identity()
        self.backbone.init_cfg = dict(type='mlrfnet_mm.XrayPretrained', source=source)


OURS = dict(type='mlrfnet_mm.XrayDataPreprocessor')
XRV = 'torchxrayvision_resnet50'


@pytest.mark.parametrize(
    ('source', 'preprocessor'),
    [
        (XRV, dict(OURS, source='torchxrayvision_densenet121')),
        (XRV, dict(OURS, mean=[127.5], std=[0.12451171875])),
        (XRV, dict(OURS, mean=[127.5] * 3, std=[0.12451171875] * 3)),
        ('cxr_lt_2026', OURS),
        ('eva_x_base', dict(OURS, mean=[125.42237] * 3, std=[72.698738] * 3)),
    ],
)
def test_a_preprocessor_with_the_source_s_numbers_passes(source, preprocessor):
    check_input_range(Model(source, preprocessor))


@pytest.mark.parametrize(
    ('source', 'preprocessor'),
    [
        (XRV, OURS),
        (XRV, dict(OURS, source='jfhealthcare')),
        (XRV, dict(OURS, mean=[127.5], std=[127.5])),
        ('cxr_lt_2026', dict(OURS, mean=[123.675], std=[58.395])),
        (XRV, dict(type='mmpretrain.ClsDataPreprocessor')),
    ],
)
def test_another_range_is_refused_with_what_to_write(source, preprocessor):
    with pytest.raises(ValueError, match=rf"takes images normalized by .*source='{source}'\)"):
        check_input_range(Model(source, preprocessor))


def test_other_weights_and_models_without_a_preprocessor_pass():
    model = Model(XRV, OURS)
    model.backbone.init_cfg = [dict(type='mlrfnet_mm.TimmPretrained', checkpoint='x')]
    check_input_range(model)
    check_input_range(nn.Linear(1, 1))


def test_a_model_of_one_channel_finds_its_neck_s_channels(tmp_path):
    config = dict(
        type='ImageClassifier',
        backbone=dict(backbone(XRV, 'x.pth', in_channels=1), init_cfg=None),
        head=dict(type='mlrfnet_mm.MRFCHead', num_classes=2, in_channels=None, lam=(0.1,) * 5),
    )
    assert build_model(config)(torch.zeros(1, 1, 64, 64)) is not None


@DATASETS.register_module()
class WideNoise(Noise):
    def __getitem__(self, index):
        item = super().__getitem__(index)
        return {**item, 'inputs': item['inputs'].repeat(1, 8, 8)}


def small_config(path):
    config = dict(backbone('cxr_lt_2026', path), out_indices=(3,))
    head = dict(type='mlrfnet_mm.MRFCHead', num_classes=2, in_channels=(32,), lam=(0.1,))
    normalize = dict(type='mmpretrain.ClsDataPreprocessor', mean=IMAGENET.mean, std=IMAGENET.std)
    return dict(backbone=config, head=head, data_preprocessor=normalize)


def test_a_training_checks_the_range_and_its_checkpoints_carry_source_and_license(tmp_path):
    path = write('cxr_lt_2026', donor('cxr_lt_2026'), tmp_path)
    model = small_config(path)
    options = {f'model.{key}': dict(model[key], _delete_=True) for key in ('backbone', 'head')}
    options['model.data_preprocessor'] = model['data_preprocessor']
    wrong = {**options, 'model.data_preprocessor.std': [1.0, 1.0, 1.0]}
    with pytest.raises(ValueError, match=r'cxr_lt_2026 takes images .*\[1\.0, 1\.0, 1\.0\]'):
        small_runner(tmp_path / 'wrong', **wrong).train()
    for stage in ('train', 'val', 'test'):
        options[f'{stage}_dataloader.dataset.type'] = 'WideNoise'
    runner = small_runner(tmp_path / 'right', **options, **{'train_cfg.max_epochs': 1})
    runner.train()
    stamp = load_model(tmp_path / 'right/epoch_1.pth').stamp
    assert stamp['started_from'] == 'cxr_lt_2026 (license: research purposes only)'


def test_names_are_found_wherever_a_config_has_them():
    start = dict(type='mlrfnet_mm.XrayPretrained', source='rad_dino', checkpoint='x')
    other = dict(type='XrayPretrained', source='of_a_later_version', checkpoint='x')
    found = started_from(
        dict(backbone=dict(init_cfg=[None, start, start]), neck=(dict(init_cfg=other),))
    )
    assert [name.split()[0] for name in found] == ['rad_dino', 'of_a_later_version']
    assert found[1].endswith('(license: not known here)')
    assert started_from(dict(backbone=dict(init_cfg=dict(type='mlrfnet_mm.TimmPretrained')))) == []


def test_the_documents_table_says_what_the_sources_say():
    text = (ROOT / 'docs/weights.md').read_text()
    rows = re.findall(r'^\| \[`(\w+)`\]\((.*?)\) \| (.*) \|$', text, re.M)
    assert [name for name, *_ in rows] == list(XRAY_SOURCES)
    for name, url, rest in rows:
        source, (net, license, numbers, _, tried) = XRAY_SOURCES[name], rest.split(' | ')
        assert (url, license, tried) == (source.url, source.license, 'no')
        assert eval(f'dict({net[1:-1]})') == source.network
        mean, std = (list(map(float, part.split(', '))) for part in numbers.split('; '))
        assert mean == pytest.approx(source.takes.mean, rel=1e-5)
        assert std == pytest.approx(source.takes.std, rel=1e-5)
        assert len(mean) == len(std) in (1, 3)
