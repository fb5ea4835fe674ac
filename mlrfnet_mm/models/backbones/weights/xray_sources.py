"""Published chest X-ray weights: whose they are, of which network, on which range of gray levels.

Names and shapes are read off the authors' code and, where it can be installed, compared with that
code's networks (torchxrayvision, segmentation-models-pytorch, transformers). No mapping was tried
on a published file: none could be had here. RAD-DINO's range is from memory.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Normalization:
    """``(x - mean) / std`` in gray levels, 0 to 255; one number for all channels, or three."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def of_three(self) -> 'Normalization':
        """The same with a number for each of three channels."""
        mean, std = (x * 3 if len(x) == 1 else x for x in (self.mean, self.std))
        return Normalization(mean, std)


IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@dataclass(frozen=True)
class XraySource:
    """Where weights come from, and how their names become timm's.

    Attributes:
        license: as its authors state it, or what they do not state.
        url: of the project.
        network: arguments of ``mmpretrain.TIMMBackbone`` for this network.
        takes: how its images were normalized.
        rules: (pattern, name) of whole keys. The first that matches counts; several keys with one
            name are its parts in the order of the rules, as query, key and value.
        leave: patterns of keys that are not of the backbone.
        parts: keys of a training's checkpoint under which the weights lie, the first found counts.
        also: what the authors do to an image next to normalization, that no preprocessor does here.
    """

    license: str
    url: str
    network: dict[str, Any]
    takes: Normalization
    rules: tuple[tuple[str, str], ...]
    leave: tuple[str, ...] = ()
    parts: tuple[str, ...] = ('state_dict', 'model')
    also: str = ''


def map_names(keys: Iterable[str], source: XraySource) -> tuple[dict[str, list[str]], list[str]]:
    """Group the keys of a file by the name that timm's network has for them.

    Returns:
        Name → its keys, in the order of their parts; and the keys that are left out.

    Raises:
        ValueError: keys that the source's files do not have.
    """
    names: dict[str, list[str]] = {}
    keys = list(keys)
    left = [key for key in keys if any(re.fullmatch(pattern, key) for pattern in source.leave)]
    open_keys = [key for key in keys if key not in set(left)]
    for pattern, name in source.rules:
        for key in [key for key in open_keys if re.fullmatch(pattern, key)]:
            names.setdefault(re.sub(pattern, name, key), []).append(key)
            open_keys.remove(key)
    if open_keys:
        raise ValueError(f'{len(open_keys)} keys are not of such a file: {head(open_keys)}')
    return names, left


def head(keys: Sequence[str], count: int = 5) -> str:
    """The first of some names, and how many more there are."""
    more = f' and {len(keys) - count} more' if len(keys) > count else ''
    return ', '.join(keys[:count]) + more


def source_of(name: str) -> XraySource:
    """Return a source by its name.

    Raises:
        ValueError: an unknown name.
    """
    if name not in XRAY_SOURCES:
        raise ValueError(
            f'no chest X-ray weights {name!r} are known; there are {", ".join(XRAY_SOURCES)}'
        )
    return XRAY_SOURCES[name]


def _gray(mean: float, std: float) -> Normalization:
    """Of all channels, given for gray values from 0 to 1."""
    return Normalization((mean * 255,), (std * 255,))


def _xrv(network: str, rule: str, leave: tuple[str, ...]) -> XraySource:
    return XraySource(
        license="the package's is Apache-2.0; none is stated for the weights",
        url='https://github.com/mlmed/torchxrayvision',
        network=dict(model_name=network),
        takes=Normalization((127.5,), (127.5 / 1024,)),  # 0 to 255 becomes -1024 to 1024
        rules=((rule, r'\g<0>'),),
        leave=leave,
    )


def _ark(network: str, size: int) -> XraySource:
    """Swin by timm's names before 0.9: a stage ends with its downsampling, which now begins one."""
    return XraySource(
        license='Arizona State University: academic and non-commercial research; patent pending',
        url='https://github.com/jlianglab/Ark',
        network=dict(model_name=network, img_size=size, feature_cls='getter'),  # (N, C, H, W)
        takes=IMAGENET,
        rules=(
            *((rf'layers\.{i}\.(downsample\..*)', rf'layers.{i + 1}.\1') for i in range(3)),
            (r'(patch_embed|layers|norm)\..*', r'\g<0>'),
        ),
        leave=(r'.*\.(attn_mask|relative_position_index)', r'(head|projector|omni_heads)\..*'),
        parts=('teacher',),
    )


def _eva_x(network: str, *more: tuple[str, str]) -> XraySource:
    return XraySource(
        license='MIT by the badge of its README; no license file was seen',
        url='https://github.com/hustvl/EVA-X',
        # patches of 16 pixels, and the grid that the rotary embedding counts in: 224 / 16
        network=dict(model_name=network, patch_size=16, ref_feat_shape=(14, 14)),
        takes=_gray(0.49185243, 0.28509309),
        rules=(*more, (r'cls_token|pos_embed|(patch_embed|blocks|norm|fc_norm)\..*', r'\g<0>')),
        leave=(r'.*rope\..*', r'mask_token|(lm_head|head)\..*'),
        parts=('model_ema', 'model', 'module', 'state_dict'),
    )


def _mae(
    network: str, rule: tuple[str, str], leave: tuple[str, ...], parts: tuple[str, ...] = ('model',)
) -> XraySource:
    return XraySource(
        license='Apache-2.0',
        url='https://github.com/lambert-x/medical_mae',
        network=dict(model_name=network),
        takes=_gray(0.5056, 0.252),
        rules=(rule,),
        leave=leave,
        parts=parts,
    )


_PACKED = ((r'(blocks\.\d+\.mlp)\.w12\.(.*)', r'\1.fc1.\2'),)
_SPLIT = (
    (r'(blocks\.\d+\.attn)\.([qv])_bias', r'\1.\2_proj.bias'),
    (r'(blocks\.\d+\.mlp)\.w1\.(.*)', r'\1.fc1_g.\2'),
    (r'(blocks\.\d+\.mlp)\.w2\.(.*)', r'\1.fc1_x.\2'),
    (r'(blocks\.\d+\.mlp)\.ffn_ln\.(.*)', r'\1.norm.\2'),
)
_FC2 = (r'(blocks\.\d+\.mlp)\.w3\.(.*)', r'\1.fc2.\2')
_VIT = (r'cls_token|pos_embed|(patch_embed|blocks|norm|fc_norm)\..*', r'\g<0>')
_MAE_DECODER = (r'mask_token|decoder_pos_embed|decoder_\w+\..*|head\..*',)
_BLOCK = r'encoder\.layer\.(\d+)'  # of transformers; the second names are those of its version 5

XRAY_SOURCES = dict(
    torchxrayvision_densenet121=_xrv(
        'densenet121', r'features\..*', (r'classifier\..*', 'op_threshs')
    ),
    torchxrayvision_resnet50=_xrv('resnet50', r'(conv1|bn1|layer[1-4])\..*', (r'fc\..*',)),
    ark_swin_base=_ark('swin_base_patch4_window7_224', 224),
    ark_plus_swin_large=_ark('swin_large_patch4_window12_384', 768),
    eva_x_tiny=_eva_x('eva02_tiny_patch14_224', *_PACKED, _FC2),
    eva_x_small=_eva_x('eva02_small_patch14_224', *_PACKED, _FC2),
    eva_x_base=_eva_x('eva02_base_patch14_224', *_SPLIT, _FC2),
    medical_mae_vit_small=_mae('vit_small_patch16_224', _VIT, _MAE_DECODER),
    medical_mae_vit_base=_mae('vit_base_patch16_224', _VIT, _MAE_DECODER),
    medical_mae_densenet121=_mae(
        'densenet121',
        (r'model\.encoder\.(features\..*)', r'\1'),
        (r'model\.(decoder|segmentation_head)\..*',),
        ('state_dict', 'model'),
    ),
    rad_dino=XraySource(
        license='MIT by its later model card, Microsoft Research License by the earlier; research',
        url='https://arxiv.org/abs/2401.10815',
        network=dict(model_name='vit_base_patch14_dinov2'),
        takes=_gray(0.5307, 0.2583),
        rules=(
            (r'embeddings\.cls_token', 'cls_token'),
            (r'embeddings\.position_embeddings', 'pos_embed'),
            (r'embeddings\.patch_embeddings\.projection\.(.*)', r'patch_embed.proj.\1'),
            (rf'{_BLOCK}\.attention\.(?:attention\.query|q_proj)\.(.*)', r'blocks.\1.attn.qkv.\2'),
            (rf'{_BLOCK}\.attention\.(?:attention\.key|k_proj)\.(.*)', r'blocks.\1.attn.qkv.\2'),
            (rf'{_BLOCK}\.attention\.(?:attention\.value|v_proj)\.(.*)', r'blocks.\1.attn.qkv.\2'),
            (rf'{_BLOCK}\.attention\.(?:output\.dense|o_proj)\.(.*)', r'blocks.\1.attn.proj.\2'),
            (rf'{_BLOCK}\.layer_scale([12])\.lambda1', r'blocks.\1.ls\2.gamma'),
            (rf'{_BLOCK}\.((?:norm1|norm2|mlp)\..*)', r'blocks.\1.\2'),
            (r'layernorm\.(.*)', r'norm.\1'),
        ),
        leave=(r'embeddings\.mask_token',),
    ),
    jfhealthcare=XraySource(
        license='Apache-2.0',
        url='https://github.com/jfhealthcare/Chexpert',
        network=dict(model_name='densenet121'),
        takes=Normalization((128.0,), (64.0,)),
        rules=((r'backbone\.(features\..*)', r'\1'),),
        leave=(r'(backbone\.classifier|fc_\d+|bn_\d+|attention_map|global_pool)\..*',),
        also='histogram equalization, then a Gaussian blur of 3 x 3',
    ),
    cxr_lt_2026=XraySource(
        license='research purposes only',
        url='https://github.com/hieuphamha19/CXR_LT',
        network=dict(model_name='convnextv2_base'),
        takes=IMAGENET,
        rules=((r'backbone\.(.*)', r'\1'),),
        leave=(r'(bn|head)\..*',),
        also='of images with more than 8 bits, the percentiles 0.5 to 99.5 become 0 to 255',
    ),
)
