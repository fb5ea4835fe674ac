"""Heat maps: found again to the pixel; MRFC's against eq. 2; Grad-CAM against its formula."""

import copy

import numpy as np
import pytest
import torch
from builders import Itself
from conftest import ROOT
from mmpretrain.models import ConvNeXt, ResNetV1d
from scipy.ndimage import map_coordinates
from torch import nn

from mlrfnet_mm.datasets.transforms import XrayGeometry
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation.localisation import detect, localise, peak
from mlrfnet_mm.inference.heatmaps import (
    HeatMapper,
    default_method,
)
from mlrfnet_mm.inference.heatmaps.grad_cam import (
    TappedClassifier,
    find_layer,
    grad_cam,
    tokens_to_map,
)
from mlrfnet_mm.inference.heatmaps.receptive_field import (
    cell_shift,
    make_step,
    shrinking_steps,
)
from mlrfnet_mm.models import MRFCHead, ScoreMapHead, build_model
from mlrfnet_mm.xrays.heat import shrunk, spread, to_image
from mlrfnet_mm.xrays.regions import Box, box_in_image

BACKBONES = {
    'res2net': 'configs/mlrfnet_xray14.py',
    'resnet': 'configs/ablations/table10/resnet50.py',
    'densenet': 'configs/ablations/table10/densenet121.py',
    'convnext': 'configs/ablations/backbones/convnext.py',
    'swin': 'configs/ablations/backbones/swin.py',
    'efficientnet': 'configs/ablations/backbones/efficientnet.py',
    'timm lite0': 'configs/ablations/backbones/efficientnet_lite0.py',
    'vit': 'configs/recipes/vit_small_512.py',
    'without MRFC': 'configs/ablations/table9/no_mrfc.py',
}


def mapped(image, geometry, finding):
    """The map of ``Itself`` in the image's own pixels."""
    results = geometry.transform(dict(img=image))
    x = torch.from_numpy(results['img'])[None, None].float()
    (heat,) = HeatMapper(Itself().eval())(x, torch.tensor([[finding]]))[0]
    return to_image(heat, results['geometry'], image.shape)


@pytest.mark.parametrize(
    ('shape', 'scale', 'crop', 'square'),
    [
        ((1024, 1024), 256, 224, (400, 520, 80, 40)),  # whole pixels of the input: 1024 / 256 = 4
        ((1024, 1024), 256, 224, (64, 64, 4, 4)),  # the first pixel of the crop
        ((512, 1024), 256, 256, (600, 300, 200, 100)),  # not square, 4 across and 2 down
        ((128, 128), 256, 224, (30, 60, 20, 10)),  # enlarged
        ((256, 256), 256, 224, (100, 40, 1, 1)),
    ],
)
@pytest.mark.parametrize('finding', [0, 1])
def test_a_planted_square_is_found_to_the_pixel(shape, scale, crop, square, finding):
    image = np.full(shape, 30, np.uint8)
    x, y, w, h = square
    image[y : y + h, x : x + w] = 230
    image = 255 - image if finding else image
    heat = mapped(image, XrayGeometry(scale, crop), finding)
    # A ramp between two levels passes the middle of their range at the edge between the pixels.
    assert detect(heat, levels=[0.5]).tolist() == [list(square)]
    px, py = peak(heat)
    assert x < px < x + w and y < py < y + h
    frame = Box('', '', *np.array(square) * 1024 / np.array([*shape[::-1]] * 2), 0)
    result = localise(heat, box_in_image(frame, shape), levels=[0.5])
    assert result.hit and result.iou.tolist() == pytest.approx([1.0])


def test_flip_and_shift_lead_back():
    image = np.zeros((200, 200), np.uint8)
    image[50:70, 120:150] = 255
    step = XrayGeometry(200, 160, crop='random', flip=1.0)
    heat = mapped(image, step, 0)
    assert detect(heat, [0.5]).tolist() == [[120, 50, 30, 20]]


def test_beyond_the_crop_there_is_no_map():
    heat = mapped(np.zeros((1024, 1024), np.uint8), XrayGeometry(256, 224), 0)
    inside = ~np.isnan(heat)
    assert inside.sum() == (224 * 4) ** 2
    assert inside[64:960, 64:960].all()


@pytest.mark.parametrize(('shape', 'side'), [((300, 200), 100), ((64, 128), 640), ((99, 70), 33)])
def test_a_smaller_map_shows_the_same_places(shape, side):
    """A plane is the same plane: values at the centers of the larger pixels."""
    geometry = XrayGeometry(64, 64).transform(dict(img=np.zeros(shape, np.uint8)))['geometry']
    y, x = np.mgrid[:64, :64].astype(np.float32)
    matrix, size = shrunk(geometry, shape, side)
    assert max(size) == min(side, max(shape))
    rows, columns = ((np.arange(n) + 0.5) * (64 / n) - 0.5 for n in size)
    inner = np.s_[2:-2, 2:-2]
    # each axis by itself: in a sum of both the errors could cancel
    np.testing.assert_allclose(to_image(x, matrix, size)[inner] - columns[2:-2], 0, atol=0.05)
    np.testing.assert_allclose(to_image(y, matrix, size)[inner] - rows[2:-2, None], 0, atol=0.05)


def test_ten_crops_are_refused():
    results = XrayGeometry(64, 48, crop='ten').transform(dict(img=np.zeros((64, 64), np.uint8)))
    with pytest.raises(ValueError, match=r'\(10, 2, 3\)'):
        to_image(np.zeros((48, 48)), results['geometry'], (64, 64))


def build(config, **changes):
    cfg = read_config(ROOT / config)
    cfg.model.backbone.init_cfg = None
    cfg.merge_from_dict(changes)
    torch.manual_seed(0)
    return build_model(cfg.model).eval()


@pytest.fixture(scope='module')
def mlrfnet():
    model = build('configs/mlrfnet_xray14.py')
    nn.init.normal_(model.head.classifiers[1].weight, std=0.01)
    return model


CENTERED = ['res2net', 'resnet', 'densenet', 'efficientnet', 'timm lite0']


@pytest.mark.parametrize('name', CENTERED)
@pytest.mark.slow
def test_cells_lie_at_the_center_of_what_they_look_at(name):
    """With equal weights everywhere the gradient of a cell is what it looks at: its center."""
    pytest.importorskip('timm')
    model = build(BACKBONES[name])
    for module in model.backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
        for key, part in module.named_children():
            if isinstance(part, nn.MaxPool2d):  # of equal values it takes the first, not the middle
                setattr(module, key, nn.AvgPool2d(part.kernel_size, part.stride, part.padding))
    size = 384
    x = torch.full((1, 3, size, size), 1e-3, requires_grad=True)
    feats = model.backbone(x)
    steps = shrinking_steps(model.backbone, x)
    for feat in feats[:2]:  # the third looks at more than the image
        j = feat.shape[-1] // 2
        (grad,) = torch.autograd.grad(feat[0, :, j, j].sum(), x, retain_graph=True)
        weights = grad[0].sum(0)
        center = float((weights.sum(0) * torch.arange(size)).sum() / weights.sum())
        stride = size // feat.shape[-1]
        expected = (
            stride * j + (stride - 1) / 2 - cell_shift(steps, (size, size), feat.shape[-2:])[1]
        )
        assert center == pytest.approx(expected, abs=0.1 * stride)
    with pytest.warns(UserWarning, match='no chain of layers .* taken as tiles'):
        assert cell_shift(steps, (size, size), (5, 5)) == (0, 0)  # no such level


@pytest.mark.parametrize(
    ('name', 'expected'),
    [('res2net', (3.5, 7.5, 15.5)), ('densenet', (1.5, 1.5, 1.5)), ('convnext', (0, 0, 0)),
     ('swin', (0, 0, 0)), ('vit', (0, 0, 0)), ('efficientnet', (3.5, 7.5, 15.5))],
)  # fmt: skip
@pytest.mark.slow
def test_shift_of_the_levels(name, expected):
    """By hand: O is 0 for Res2Net, that of 2 + 2 even kernels for DenseNet; patches are tiles."""
    model = build(BACKBONES[name])
    x = torch.zeros(1, 3, 224, 224)
    steps = shrinking_steps(model.backbone, x)
    found = [cell_shift(steps, (224, 224), feat.shape[-2:]) for feat in model.backbone(x)]
    assert found == [(value, value) for value in expected]


def test_spread_without_shift_is_torch_s_interpolation():
    maps = torch.randn(2, 3, 5, 7)
    expected = nn.functional.interpolate(maps, size=(40, 63), mode='bilinear')
    expected = expected.numpy()
    np.testing.assert_allclose(spread(maps.numpy(), (40, 63)), expected, atol=1e-5)
    moved = spread(maps.numpy(), (40, 63), (3.0, 2.0))
    np.testing.assert_allclose(moved[..., :-3, :-2], expected[..., 3:, 2:], atol=1e-5)


def test_mrfc_maps_against_the_formula(mlrfnet):
    torch.manual_seed(1)
    x = torch.randn(2, 3, 64, 64)
    classes = torch.tensor([[3, 0], [13, 5]])
    with torch.no_grad():
        feats = mlrfnet.neck(mlrfnet.backbone(x))
        levels = []
        for conv, feat in zip(mlrfnet.head.classifiers, feats, strict=True):
            scores = torch.einsum('kc,nchw->nkhw', conv.weight[:, :, 0, 0], feat)
            # the centers of Res2Net's cells are at S·j, at 0, S, 2S, …
            stride = 64 // feat.shape[-1]
            place = np.clip(np.arange(64) / stride, 0, feat.shape[-1] - 1)
            grid = np.stack(np.meshgrid(place, place, indexing='ij'))
            maps = [[map_coordinates(m, grid, order=1) for m in one] for one in scores.numpy()]
            levels.append(torch.from_numpy(np.array(maps)))
    expected = 0.5 * levels[0] + 0.3 * levels[1] + 0.1 * levels[2]
    found = HeatMapper(mlrfnet, 'mrfc')(x, classes)
    for n in range(2):
        for m in range(2):
            want = expected[n, classes[n, m]].numpy()
            np.testing.assert_allclose(found[n, m], want, atol=1e-5)
    second = HeatMapper(mlrfnet, 'mrfc2')(x, classes)
    np.testing.assert_allclose(second[1, 0], levels[1][1, 13].numpy(), atol=1e-5)


def test_both_names_give_the_same_maps(mlrfnet):
    x, classes = torch.randn(1, 3, 64, 64), torch.tensor([[2]])
    assert default_method(mlrfnet) == 'score_maps'
    for level in ('', 1, 3):
        names = (f'score_maps{level}', f'mrfc{level}')
        one, other = (HeatMapper(mlrfnet, name)(x, classes) for name in names)
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('pool', ['mean', 'max', 'pcam', dict(name='lse', r=10.0)])
def test_a_head_of_the_family_has_maps_with_weight_1(mlrfnet, pool):
    x, classes = torch.randn(1, 3, 64, 64), torch.tensor([[2]])
    model = copy.copy(mlrfnet)
    model._modules = dict(mlrfnet._modules)
    model.head = ScoreMapHead(14, (512, 1024, 2048), pool)
    levels = [HeatMapper(model, f'score_maps{i}')(x, classes) for i in (1, 2, 3)]
    found = HeatMapper(model, default_method(model))(x, classes)
    np.testing.assert_allclose(found, sum(levels), atol=1e-5)
    if pool == 'mean':  # CAM: the mean of the last level's cells is the logit but for the bias
        with torch.no_grad():
            maps = model.head.score_maps(model.extract_feat(x))
            logits = sum(each.mean((2, 3)) for each in maps)
            torch.testing.assert_close(model.head(model.extract_feat(x)), logits)


def test_score_maps_need_their_head_its_levels_and_a_weight(mlrfnet):
    with pytest.raises(ValueError, match='mrfc4: the head has 3 levels'):
        HeatMapper(mlrfnet, 'mrfc4')
    with pytest.raises(ValueError, match="got 'cam'"):
        HeatMapper(mlrfnet, 'cam')
    with pytest.raises(ValueError, match='no target layer'):
        HeatMapper(mlrfnet, 'mrfc', layer='backbone.layer3')
    plain = build(BACKBONES['without MRFC'])
    with pytest.raises(ValueError, match='MultiLabelLinearClsHead'):
        HeatMapper(plain, 'mrfc')
    assert default_method(plain) == 'gradcam'
    flat = Itself().eval()
    flat.head = MRFCHead(2, in_channels=(1,), lam=0.0)
    with pytest.raises(ValueError, match=r'lam=\(0.0,\)'):
        HeatMapper(flat, 'mrfc')(torch.zeros(1, 1, 4, 4), torch.tensor([[0]]))


def test_grad_cam_against_the_formula(mlrfnet):
    pytest.importorskip('pytorch_grad_cam')
    torch.manual_seed(2)
    x, classes = torch.randn(3, 3, 96, 96), [2, 11, 7]  # another target for each image
    with torch.enable_grad():
        feats = mlrfnet.backbone(x)
        logits = mlrfnet.head(mlrfnet.neck(feats))
        total = sum(logits[n, k] for n, k in enumerate(classes))
        (grads,) = torch.autograd.grad(total, feats[-1])
    raw = (grads.mean((2, 3), keepdim=True) * feats[-1]).sum(1).relu().detach()
    found = grad_cam(mlrfnet, x, classes, 'gradcam')
    for heat, expected in zip(found, raw, strict=True):
        low, high = expected.min(), expected.max()
        scaled = (expected - low) / (high - low + 1e-7)
        up = nn.functional.interpolate(scaled[None, None], size=(96, 96), mode='bilinear')
        np.testing.assert_allclose(heat, (up / up.max())[0, 0], atol=1e-4)
    assert all(p.grad is None for p in mlrfnet.parameters())


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.slow
def test_every_backbone_has_a_fitting_layer(name):
    pytest.importorskip('pytorch_grad_cam')
    pytest.importorskip('timm')
    model = build(BACKBONES[name])
    x = torch.randn(2, 3, 224 if name == 'swin' else 64, 224 if name == 'swin' else 64)
    last = model.backbone(x)[-1]
    seen = []
    classifier = TappedClassifier(model)
    layer, _ = find_layer(classifier, x, None)
    handle = layer.register_forward_hook(lambda m, i, o: seen.append(o))
    torch.testing.assert_close(classifier(x), model.head(model.extract_feat(x)))
    handle.remove()
    torch.testing.assert_close(seen[0], last)
    heat = HeatMapper(model, 'layercam')(x, torch.tensor([[0], [1]]))
    assert heat.shape == (2, 1, *x.shape[2:])
    assert np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1


def test_backbone_that_pools_itself():
    """ConvNeXt's default gives a vector: the map before it is taken."""
    model = build(BACKBONES['convnext'])
    model.backbone = ConvNeXt(arch='tiny')
    model.backbone.eval()
    classifier = TappedClassifier(model)
    classifier.forward = lambda x: classifier.tap(model.backbone(x)[-1])
    layer, size = find_layer(classifier, torch.randn(1, 3, 64, 64), None)
    assert layer is model.backbone.stages[-1] and size == (2, 2)


def test_named_layer(mlrfnet):
    classifier = TappedClassifier(mlrfnet)
    x = torch.zeros(1, 3, 32, 32)
    assert find_layer(classifier, x, 'backbone.layer3') == (mlrfnet.backbone.layer3, (2, 2))
    with pytest.raises(ValueError, match=r"no layer 'layer9'.*backbone.layer4"):
        find_layer(classifier, x, 'layer9')
    with pytest.raises(ValueError, match='gives a tuple has no map'):
        find_layer(classifier, x, 'backbone')
    with pytest.raises(ValueError, match="'data_preprocessor' takes no part"):
        find_layer(classifier, x, 'data_preprocessor')


def test_tokens():
    tokens = torch.arange(2 * 9 * 5.0).view(2, 9, 5)
    grid = tokens_to_map(tokens)
    assert grid.shape == (2, 5, 3, 3) and grid[1, 4, 2, 1] == tokens[1, 7, 4]
    with_class = torch.cat([torch.zeros(2, 1, 5), tokens], 1)
    torch.testing.assert_close(tokens_to_map(with_class), grid)
    torch.testing.assert_close(tokens_to_map(grid.permute(0, 2, 3, 1)), grid)
    with pytest.raises(ValueError, match=r'\(2, 5\)'):
        tokens_to_map(torch.zeros(2, 5))
    with pytest.raises(ValueError, match='no map'):
        tokens_to_map(torch.zeros(2, 8, 5))


def test_a_dilated_kernel_reaches_further():
    step = make_step(nn.Conv2d(1, 1, 3, 2, padding=2, dilation=2), (64, 64), (32, 32))
    assert step.offset == (0, 0)


@pytest.mark.parametrize(
    'layer',
    [
        nn.Conv2d(4, 4, 5, padding='same'),
        nn.Conv2d(4, 4, 3, padding='same', dilation=3),
        nn.Conv2d(4, 4, 3, 2, padding='valid'),
        nn.AdaptiveAvgPool2d(16),
        nn.AdaptiveAvgPool2d((8, 16)),
        nn.PixelUnshuffle(2),
    ],
)
def test_layers_that_say_their_place_otherwise(layer):
    """By the gradient of one cell, with equal weights: the center of what it looks at."""
    net = nn.Sequential(nn.Conv2d(1, 4, 2, 2), layer)
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    x = torch.zeros(1, 1, 96, 64, requires_grad=True)
    feat = net(x)
    steps = shrinking_steps(net, x)
    shift = cell_shift(steps, (96, 64), feat.shape[-2:])
    (grad,) = torch.autograd.grad(feat[0, :, 3, 5].sum(), x)
    weights = grad[0, 0]
    for axis, (size, cells, j) in enumerate(zip((96, 64), feat.shape[-2:], (3, 5), strict=True)):
        center = float((weights.sum(1 - axis) * torch.arange(size)).sum() / weights.sum())
        stride = np.prod([step.stride[axis] for step in steps])
        assert center == pytest.approx(stride * j + (stride - 1) / 2 - shift[axis]), cells


def test_shortcuts_with_pooling_do_not_count():
    """ResNet-D's shortcuts pool 2 by 2, next to kernels of 3."""
    net = ResNetV1d(depth=50, out_indices=(1, 2, 3))
    net.eval()
    steps = shrinking_steps(net, torch.zeros(1, 3, 64, 64))
    assert cell_shift(steps, (64, 64), (2, 2)) == (15.5, 15.5)


def test_grad_cam_is_moved_from_tiles_to_centers(mlrfnet):
    pytest.importorskip('pytorch_grad_cam')
    torch.manual_seed(3)
    x = torch.randn(1, 3, 96, 96)
    tiles = grad_cam(mlrfnet, x, [2], 'gradcam')[0]
    moved = HeatMapper(mlrfnet, 'gradcam')(x, torch.tensor([[2]]))[0, 0]  # by 15.5 pixels
    between = (tiles[:-1, :-1] + tiles[1:, :-1] + tiles[:-1, 1:] + tiles[1:, 1:]) / 4
    np.testing.assert_allclose(moved[:-16, :-16], between[15:, 15:], atol=1e-5)


def test_the_layer_is_the_one_asked_for(mlrfnet):
    pytest.importorskip('pytorch_grad_cam')
    x = torch.randn(1, 3, 64, 64)
    steps = shrinking_steps(mlrfnet.backbone, x)
    expected = grad_cam(mlrfnet, x, [2], 'gradcam', 'backbone.layer3', steps)
    found = HeatMapper(mlrfnet, 'gradcam', 'backbone.layer3')(x, torch.tensor([[2]]))[:, 0]
    np.testing.assert_allclose(found, expected)


def test_a_mapper_takes_inputs_of_any_size_in_turn(mlrfnet):
    mapper, classes = HeatMapper(mlrfnet), torch.tensor([[2]])
    mapper(torch.randn(1, 3, 64, 64), classes)
    x = torch.randn(1, 3, 96, 96)
    np.testing.assert_array_equal(mapper(x, classes), HeatMapper(mlrfnet)(x, classes))


def test_beyond_the_outermost_cells_their_value_as_grid_sample_s_border():
    """Without torch's 'border' padding, which Apple's GPUs lack."""
    maps = torch.randn(2, 3, 4, 5)
    shift = (7.5, -3.0)
    places = [
        2 * (torch.arange(n) + 0.5 + by) / n - 1 for n, by in zip((32, 40), shift, strict=True)
    ]
    y, x = torch.meshgrid(*places, indexing='ij')
    grid = torch.stack([x, y], -1).expand(2, 32, 40, 2)
    expected = torch.nn.functional.grid_sample(
        maps, grid, padding_mode='border', align_corners=False
    )
    np.testing.assert_allclose(
        spread(maps.numpy(), (32, 40), shift), expected.numpy(), atol=1e-5, rtol=1e-5
    )
