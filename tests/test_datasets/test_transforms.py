"""Gray loading, geometry and contrast against mmpretrain's, mmcv's and torchvision's functions."""

import io
import itertools
import os
import struct
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from scipy import stats
from torchvision.transforms.functional import ten_crop

from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.datasets.transforms import (
    LoadXray,
    XrayContrast,
    XrayGeometry,
)
from mlrfnet_mm.datasets.transforms.contrast import contrast_table
from mlrfnet_mm.datasets.transforms.draws import CONTRAST, GEOMETRY, LABELS, uniforms
from mlrfnet_mm.xrays import gray
from mlrfnet_mm.xrays.geometry import Placement, fit, place
from mlrfnet_mm.xrays.gray import read_gray

SAMPLE = Path(__file__).resolve().parents[2].parent / 'shared/data/ChestX-ray14-sample'


def xray(height=96, width=96, seed=0):
    """Smooth gray levels with some noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 6)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


def save(path, array):
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def said(monkeypatch):
    """The warnings of a test, as if its process were new."""
    lines = []
    monkeypatch.setattr(gray, '_said', set())
    monkeypatch.setattr(
        'mmengine.logging.print_log', lambda line, logger, level: lines.append(line)
    )
    return lines


# Loading


@pytest.mark.parametrize('form', ['str', 'Path', 'bytes', 'file://'])
def test_gray_png_is_read_as_it_is(tmp_path, form, said):
    path = save(tmp_path / 'a.png', xray())
    source = {'str': str(path), 'Path': path, 'bytes': path.read_bytes()}.get(
        form, f'file://{path}'
    )
    backend = dict(backend='local') if form == 'file://' else None
    source = str(path) if backend else source
    np.testing.assert_array_equal(read_gray(source, backend_args=backend), xray())
    assert said == [] or form == 'bytes'


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGB', 'RGBA', 'P', 'L, transparent'])
def test_equal_channels_are_the_gray_image(tmp_path, mode, said):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(image)
    alpha = Image.fromarray(np.ascontiguousarray(image.T))  # dropped, not blended
    picture = picture.convert(mode[:4].rstrip(',').strip() if ',' not in mode else 'L')
    if mode in ('LA', 'RGBA'):
        picture.putalpha(alpha)
    picture.save(tmp_path / 'a.png', **(dict(transparency=5) if ',' in mode else {}))
    np.testing.assert_array_equal(read_gray(tmp_path / 'a.png'), image)
    expected = ['alpha'] * (mode in ('LA', 'RGBA')) + ['color'] * (mode in ('RGB', 'RGBA', 'P'))
    assert len(said) == len(expected)
    assert all(word in line for word, line in zip(expected, said, strict=True))


def test_one_bit_is_black_and_white(tmp_path):
    image = xray() > 128
    Image.fromarray(image).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(read_gray(tmp_path / 'a.png'), image * 255)


def test_colors_by_luma(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    expected = colors @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(read_gray(save(tmp_path / 'a.png', colors)), expected, atol=0.51)


@pytest.mark.parametrize(
    ('top', 'bits'),
    [(65535, 16), (40000, 16), (4095, 12), (4096, 13), (1023, 10), (200, 8), (0, 8)],
)
def test_16_bits_by_their_true_range(tmp_path, top, bits, said):
    image = np.linspace(0, top, 64).astype(np.uint16).reshape(8, 8)
    gray = read_gray(save(tmp_path / 'a.png', image))
    assert gray.dtype == np.uint8
    np.testing.assert_allclose(gray, image * 255.0 / (2**bits - 1), atol=0.51)
    assert len(said) == 1 and 'a.png: an image of 16 bits' in said[0]


def test_16_bit_color(tmp_path):
    image = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    cv2.imwrite(str(tmp_path / 'a.png'), cv2.merge([image] * 3))
    np.testing.assert_allclose(read_gray(tmp_path / 'a.png'), image * 255.0 / 4095, atol=0.51)


@pytest.mark.parametrize('suffix', ['.png', '.PNG', '.jpg'])
def test_the_content_decides(tmp_path, suffix, said):
    other = 'PNG' if suffix == '.jpg' else 'JPEG'
    Image.fromarray(xray()).save(tmp_path / f'a{suffix}', format=other)
    content = (tmp_path / f'a{suffix}').read_bytes()
    expected = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_allclose(read_gray(tmp_path / f'a{suffix}').astype(int), expected, atol=1)
    assert len(said) == 1 and 'of another format' in said[0]


def change(position, value):
    def damage(content):
        position_ = position if position >= 0 else len(content) + position
        return content[:position_] + value + content[position_ + len(value) :]

    return damage


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda content: b'', r'empty \(0 bytes\)'),
        (
            lambda content: content[: len(content) // 2],
            'the PNG is truncated: no end marker in its',
        ),
        (lambda content: content[:-12], 'the PNG is truncated'),
        (lambda content: content[:8], 'the PNG is truncated'),
        (lambda content: content[:500] + content[-12:], 'damaged data'),
        (
            lambda content: b'<html>not found</html>',
            r'not an image of a kind that is read \(22 bytes\)',
        ),
        (change(60, bytes(200)), 'damaged data'),
        (change(29, b'????'), 'damaged data'),  # CRC of the header
        (change(-16, b'????'), 'damaged data'),  # CRC of the last pixels
    ],
)
def test_bad_files_are_refused(tmp_path, damage, message):
    path = save(tmp_path / 'a.png', xray())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        read_gray(path)


@pytest.mark.parametrize('cut', [2, 500])
def test_truncated_jpeg(tmp_path, cut):
    path = save(tmp_path / 'a.jpg', xray(200, 200))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match='the JPEG is truncated'):
        read_gray(path)


def test_other_pixel_types_are_refused(tmp_path):
    path = save(tmp_path / 'a.tiff', np.ones((8, 8), np.float32))
    with pytest.raises(ValueError, match='pixels of type float32'):
        read_gray(path)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('white_is_zero', [False, True])
def test_a_tiff_s_white_may_be_zero(tmp_path, dtype, white_is_zero):
    ramp = np.arange(256).repeat(4).reshape(32, 32).astype(dtype) * (
        257 if dtype == np.uint16 else 1
    )
    tags = {262: 0} if white_is_zero else {}  # PhotometricInterpretation of TIFF 6.0
    Image.fromarray(ramp).save(tmp_path / 'x.tiff', tiffinfo=tags)
    with Image.open(tmp_path / 'x.tiff') as file:
        assert file.tag_v2[262] == 1 - white_is_zero
    found = read_gray(tmp_path / 'x.tiff')
    expected = np.arange(256).repeat(4).reshape(32, 32)
    # Pillow itself inverts the 8-bit values that it writes with this tag, and not those of 16 bits
    inverted = white_is_zero and dtype == np.uint16
    np.testing.assert_array_equal(found, 255 - expected if inverted else expected)


@pytest.mark.parametrize(('dtype', 'magic'), [('u1', b'II*'), ('>u2', b'MM\0*')])
def test_a_tiff_of_several_pages_is_refused(tmp_path, dtype, magic):
    page = Image.fromarray(np.zeros((8, 8), dtype))
    page.save(tmp_path / 'x.tiff', save_all=True, append_images=[page])
    assert (tmp_path / 'x.tiff').read_bytes().startswith(magic)
    with pytest.raises(ValueError, match='the TIFF has 2 pages'):
        read_gray(tmp_path / 'x.tiff')


@pytest.mark.skipif(os.geteuid() == 0, reason='root reads every file')
def test_no_permission(tmp_path):
    path = save(tmp_path / 'a.png', xray())
    path.chmod(0)
    with pytest.raises(PermissionError, match='a.png'):
        read_gray(path)


def test_a_folder_and_no_file(tmp_path):
    with pytest.raises(IsADirectoryError):
        read_gray(tmp_path)
    with pytest.raises(FileNotFoundError, match='none.png'):
        read_gray(tmp_path / 'none.png')


def test_each_kind_is_said_once(tmp_path, said):
    colors = np.repeat(xray()[..., None], 3, -1)
    for name in ('a.png', 'b.png'):
        LoadXray()(dict(img_path=str(save(tmp_path / name, colors))))
    LoadXray()(dict(img_path=str(save(tmp_path / 'c.png', xray().astype(np.uint16)))))
    assert len(said) == 2
    assert 'a.png: a color image' in said[0] and 'c.png: an image of 16 bits' in said[1]


def test_an_image_from_a_store_stays():
    image = xray(64, 64)
    result = LoadXray()(dict(img_path='/nowhere.png', img=image, ori_shape=(1024, 1024)))
    assert result['img'] is image
    assert result['ori_shape'] == (1024, 1024) and result['img_shape'] == (64, 64)


# Geometry

SHRUNK = [(96, 96), (64, 64), (100, 75), (256, 256), (65, 130)]


@pytest.mark.parametrize('shape', SHRUNK)
def test_fit_shrinks_as_mmcv(shape):
    expected = mmcv.imresize(xray(*shape), (64, 64), interpolation='area')
    np.testing.assert_array_equal(fit(xray(*shape), 64), expected)


def test_fit_enlarges_as_mmcv():
    expected = mmcv.imresize(xray(40, 50), (64, 64), interpolation='bilinear')
    np.testing.assert_array_equal(fit(xray(40, 50), 64), expected)


def test_fit_of_one_long_side():
    expected = mmcv.imresize(xray(40, 200), (64, 40), interpolation='area')
    expected = mmcv.imresize(expected, (64, 64), interpolation='bilinear')
    np.testing.assert_array_equal(fit(xray(40, 200), 64), expected)


def test_a_checkerboard_does_not_alias():
    board = np.indices((512, 512)).sum(0) % 2 * 255
    assert np.ptp(fit(board.astype(np.uint8), 64)) == 0  # bilinear would give 0, 255 or a moire


@pytest.mark.parametrize('shape', [(1024, 1024), (400, 300)])
def test_from_the_file_or_from_a_store_bit_for_bit(shape):
    steps = [XrayGeometry(64, 50, 'random', 0.5, 5.0, 0.1, 0.1), XrayContrast(0.1, 0.1)]
    image = xray(*shape)
    stored = fit(image, 64)
    stored.setflags(write=False)
    for index in range(5):
        one, two = dict(img=image), dict(img=stored, ori_shape=shape)
        for step in steps:
            one, two = step(one | dict(draw=(0, 0, index))), step(two | dict(draw=(0, 0, index)))
        np.testing.assert_array_equal(one['img'], two['img'])
        np.testing.assert_array_equal(one['geometry'], two['geometry'])


@pytest.mark.parametrize('shape', SHRUNK)
@pytest.mark.parametrize(('scale', 'size'), [(64, 57), (64, 64), (33, 8)])
def test_center_crop_equals_mmpretrain(shape, scale, size):
    ours = XrayGeometry(scale, size)(dict(img=xray(*shape)))
    stock = dict(img=xray(*shape), img_shape=shape)
    for transform in (
        dict(type='Resize', scale=(scale, scale), interpolation='area'),
        dict(type='CenterCrop', crop_size=size),
    ):
        stock = TRANSFORMS.build(transform)(stock)
    np.testing.assert_array_equal(ours['img'], stock['img'])
    assert ours['img_shape'] == stock['img_shape'][:2] == (size, size)
    assert ours['ori_shape'] == shape and ours['flip'] is False


def assert_alike(ours, stock, levels):
    """Within so many gray levels; seldom more by OpenCV 4, which interpolates at 1/32 pixel."""
    gaps = np.abs(ours.astype(int) - stock)
    if int(cv2.__version__.split('.')[0]) < 5 and levels:
        assert np.mean(gaps > levels) < 0.002 and gaps.max() <= 8
    else:
        assert gaps.max() <= levels


@pytest.mark.parametrize('size', [50, 51])
@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('angle', [0.0, 0.1, 3.3, -5.0, 40.0])
@pytest.mark.parametrize('pad_val', [0, 90])
def test_equals_the_stock_chain_with_the_same_parameters(size, flip, angle, pad_val):
    """Within one gray level: the stock chain flips first, ours samples the mirrored places."""
    image = xray(64, 64)
    ours = place(image, size, Placement(3, 9, flip, angle), pad_val)
    stock = mmcv.imcrop(image, np.array([3, 9, 3 + size - 1, 9 + size - 1]))
    if flip:
        stock = mmcv.imflip(stock)
    if angle:
        stock = mmcv.imrotate(stock, angle, interpolation='bilinear', border_value=pad_val)
    assert_alike(ours, stock, 1 if angle else 0)


def test_whole_chain_equals_mmpretrains_transforms(monkeypatch):
    """The drawn parameters, handed to mmpretrain's own transforms."""
    geometry = XrayGeometry(64, 50, 'random', flip=0.5, rotate=5.0)
    for index in range(8):
        item = dict(img=xray(256, 256, index), draw=(1, 2, index))
        p = geometry.draw(item)
        crop = TRANSFORMS.build(dict(type='RandomCrop', crop_size=50))
        crop.rand_crop_params = lambda img, p=p: (p.top, p.left, 50, 50)
        steps = [
            TRANSFORMS.build(dict(type='Resize', scale=(64, 64), interpolation='area')),
            crop,
            TRANSFORMS.build(dict(type='RandomFlip', prob=float(p.flip))),
            TRANSFORMS.build(
                dict(type='Rotate', angle=abs(p.angle), prob=1.0, pad_val=0,
                     random_negative_prob=float(p.angle < 0), interpolation='bilinear')
            ),
        ]  # fmt: skip
        stock = dict(img=item['img'])
        for step in steps:
            stock = step(stock)
        assert_alike(geometry(item)['img'], stock['img'], 1)


def test_zoom_and_translation_against_opencv():
    matrix = np.array([[1.25, 0, 4 - 0.25 * 31.5], [0, 1.25, -6 - 0.25 * 31.5]])
    expected = cv2.warpAffine(xray(64, 64), matrix, (64, 64), flags=cv2.INTER_LINEAR)
    ours = place(xray(64, 64), 64, Placement(0, 0, zoom=1.25, dx=4.0, dy=-6.0))
    np.testing.assert_allclose(ours.astype(int), expected, atol=1)


def test_corners_are_padded():
    image = np.full((64, 64), 200, np.uint8)
    assert place(image, 40, Placement(12, 12, angle=10), 5)[0, 0] == 5


def test_the_input_is_never_the_output():
    image = xray(64, 64)
    result = XrayGeometry(64, 64)(dict(img=image))['img']
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image) and result.flags.c_contiguous


CASES = list(itertools.product(
    [(128, 128), (64, 64), (150, 110), (50, 40)],
    [0.0, 0.5], [0.0, 8.0], [0.0, 0.2], [0.0, 0.1],
))  # fmt: skip


@pytest.mark.parametrize(('shape', 'flip', 'rotate', 'zoom', 'translate'), CASES)
def test_the_matrix_says_where_a_dot_goes(shape, flip, rotate, zoom, translate):
    """A planted square's center of mass is where the matrix maps the middle of the square."""
    image = np.zeros(shape, np.uint8)
    top, left = int(shape[0] * 0.45), int(shape[1] * 0.55)
    side = shape[0] // 10
    image[top : top + side, left : left + side] = 255
    middle = np.array([left + (side - 1) / 2, top + (side - 1) / 2, 1])
    geometry = XrayGeometry(64, 50, 'random', flip, rotate, zoom, translate)
    for index in range(4):
        result = geometry(dict(img=image, draw=(0, 0, index)))
        found = center_of_mass(result['img'])
        np.testing.assert_allclose(result['geometry'] @ middle, found, atol=0.25)


def center_of_mass(image):
    weights = image.astype(float)
    y, x = np.indices(weights.shape)
    return [(weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum()]


@pytest.mark.parametrize('size', [40, 41])
def test_ten_crop_equals_torchvision(size):
    image = xray(128, 128)
    result = XrayGeometry(64, size, 'ten')(dict(img=image))
    expected = ten_crop(torch.from_numpy(fit(image, 64))[None], size)
    np.testing.assert_array_equal(result['img'], torch.stack(expected))
    packed = TRANSFORMS.build(dict(type='PackInputs', meta_keys=()))(result)
    assert packed['inputs'].shape == (10, 1, size, size)


@pytest.mark.parametrize('size', [40, 41, 64])
def test_two_crops_are_the_center_and_its_mirror_image(size):
    image = xray(128, 96)
    result = XrayGeometry(64, size, 'two')(dict(img=image))
    center = XrayGeometry(64, size)(dict(img=image))['img']
    whole = XrayGeometry(64, size)(dict(img=fit(image, 64)[:, ::-1].copy()))['img']
    assert result['img'].shape == (2, 1, size, size)
    np.testing.assert_array_equal(result['img'][0, 0], center)
    if size % 2 == 0:  # else the center of the mirror image lies a pixel to the side
        np.testing.assert_array_equal(result['img'][1, 0], center[:, ::-1])
    np.testing.assert_array_equal(result['img'][1, 0], whole)


@pytest.mark.parametrize('crop', ['two', 'ten'])
def test_the_matrices_of_several_crops(crop):
    image = np.zeros((128, 128), np.uint8)
    image[60:66, 70:74] = 255
    result = XrayGeometry(64, 44, crop)(dict(img=image))
    for matrix, crop in zip(result['geometry'], result['img'][:, 0], strict=True):
        np.testing.assert_allclose(matrix @ [71.5, 62.5, 1], center_of_mass(crop), atol=1e-6)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(crop='centre'), "crop must be one of random, center, two, ten, got 'centre'"),
        (dict(scale=200), 'crop_size must be 1 to scale=200, got 224'),
        (dict(flip=1.5), 'flip must be 0 to 1, got 1.5'),
        (dict(rotate=-1), 'rotate must be 0 to 180, got -1'),
        (dict(zoom=1.0), 'zoom must be'),
        (dict(pad_val=256), 'pad_val must be 0 to 255, got 256'),
        (dict(crop='two', flip=0.5), "crop='two' takes nothing random: .* flip=0.5"),
        (dict(crop='ten', rotate=5), "crop='ten' takes nothing random: .* rotate=5"),
    ],
)
def test_parameters_out_of_range(kwargs, message):
    with pytest.raises(ValueError, match=message):
        XrayGeometry(**kwargs)


@pytest.mark.parametrize('image', [np.zeros((300, 300, 3), np.uint8), np.zeros((9, 9)), None])
def test_other_images_are_refused(image):
    for transform in (LoadXray(), XrayGeometry()):
        with pytest.raises(TypeError, match='gray uint8 array .* mlrfnet_mm.LoadXray'):
            transform(dict(img=image))


def test_draws_cover_their_ranges():
    geometry = XrayGeometry(64, 50, 'random', flip=0.3, rotate=5, zoom=0.1, translate=0.2)
    places = [geometry.draw(dict(draw=(0, 0, i))) for i in range(3000)]
    x, y, flip, angle, zoom, right, down = np.array(places).T
    for value in (x, y):
        np.testing.assert_allclose(np.bincount(value.astype(int)) / 3000, 1 / 15, atol=0.025)
    assert abs(flip.mean() - 0.3) < 0.03
    for value, low, high in (
        (angle, -5, 5), (zoom, 0.9, 1.1), (right, -10, 10), (down, -10, 10),
    ):  # fmt: skip
        assert low <= value.min() < value.max() <= high
        np.testing.assert_allclose(
            np.quantile(value, [0.1, 0.5, 0.9]), np.array([0.1, 0.5, 0.9]) * (high - low) + low,
            atol=0.04 * (high - low),
        )  # fmt: skip


def test_switching_one_on_leaves_the_others():
    item = dict(draw=(0, 0, 7))
    few = XrayGeometry(64, 50, 'random').draw(item)
    many = XrayGeometry(64, 50, 'random', flip=0.5, rotate=5, zoom=0.1).draw(item)
    assert (few.left, few.top) == (many.left, many.top)


# Contrast

FACTORS = [0.0, 0.5, 0.9, 0.99, 1.0, 1.1, 2.0]


@pytest.mark.parametrize('factor', FACTORS)
@pytest.mark.parametrize('seed', [0, 1])
def test_contrast_equals_mmcv(factor, seed):
    image = xray(seed=seed)
    ours = cv2.LUT(image, contrast_table(image.mean(), factor, 1.0))
    stock = mmcv.adjust_contrast(np.repeat(image[..., None], 3, -1), factor)[..., 0]
    np.testing.assert_allclose(ours.astype(int), stock, atol=1)
    assert (ours == stock).mean() > 0.99


@pytest.mark.parametrize('contrast', FACTORS)
@pytest.mark.parametrize('brightness', [0.0, 0.7, 1.0, 1.3])
def test_both_equal_mmcv(contrast, brightness):
    image = xray()
    ours = cv2.LUT(image, contrast_table(image.mean(), contrast, brightness))
    stock = mmcv.adjust_contrast(np.repeat(image[..., None], 3, -1), contrast)
    stock = mmcv.adjust_brightness(stock, brightness)[..., 0]
    np.testing.assert_allclose(ours.astype(int), stock, atol=1)


def test_no_change_changes_nothing():
    np.testing.assert_array_equal(contrast_table(77.7, 1.0, 1.0), np.arange(256))
    np.testing.assert_array_equal(XrayContrast(0, 0)(dict(img=xray()))['img'], xray())


def test_ten_crops_share_one_table():
    crops = np.stack([xray(20, 30, seed) for seed in range(10)])[:, None]
    item = dict(draw=(0, 0, 3))
    result = XrayContrast(0.5, 0.2)(item | dict(img=crops))['img']
    high = XrayContrast(0.5, 0.2)(item | dict(img=crops.reshape(-1, 30)))['img']
    np.testing.assert_array_equal(result, high.reshape(crops.shape))


@pytest.mark.parametrize('kwargs', [dict(contrast=-0.1), dict(brightness=1.5)])
def test_contrast_range(kwargs):
    with pytest.raises(ValueError, match='must be 0 to 1, got'):
        XrayContrast(**kwargs)


def test_contrast_of_floats_is_refused():
    with pytest.raises(TypeError, match='uint8, got float64'):
        XrayContrast()(dict(img=np.zeros((4, 4))))


# Draws

PIPELINE = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=40, crop_size=32, crop='random', flip=0.5, rotate=5),
    dict(type='mlrfnet_mm.XrayContrast', contrast=0.1),
    dict(type='mmpretrain.PackInputs', meta_keys=('img_path',)),
]


def epoch(dataset, workers):
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    loader = DataLoader(dataset, 8, num_workers=workers, collate_fn=pseudo_collate)
    return np.stack([image.numpy() for batch in loader for image in batch['inputs']])


def test_the_same_for_any_number_of_workers(phantom):
    dataset = ChestXray14(str(phantom), pipeline=PIPELINE, indices=24)
    dataset.set_draws(seed=3, epoch=1)
    first = epoch(dataset, 0)
    assert first.shape == (24, 1, 32, 32) and first.dtype == np.uint8
    for workers in (1, 2):
        np.testing.assert_array_equal(epoch(dataset, workers), first)
    dataset.set_draws(seed=3, epoch=2)
    assert (epoch(dataset, 0) != first).any(axis=(1, 2, 3)).all()


def test_living_workers_see_the_next_epoch(phantom):
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    dataset = ChestXray14(str(phantom), pipeline=PIPELINE, indices=8)
    loader = DataLoader(
        dataset, 8, num_workers=1, persistent_workers=True, collate_fn=pseudo_collate
    )
    for number in range(3):
        dataset.set_draws(seed=0, epoch=number)
        (batch,) = loader
        np.testing.assert_array_equal(np.stack(batch['inputs']), epoch(dataset, 0))


def test_without_a_hook_the_draws_follow_numpys_state():
    def draw():
        return uniforms({}, GEOMETRY, 3)

    np.random.seed(1)
    first = [draw(), draw()]
    np.random.seed(1)
    assert [draw(), draw()] == first and first[0] != first[1]


def test_streams_are_independent():
    item = dict(draw=(0, 0, 0))
    values = {*uniforms(item, GEOMETRY, 1), *uniforms(item, CONTRAST, 1)}
    for draw in [(0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        values.update(uniforms(dict(draw=draw), GEOMETRY, 1))
    assert len(values) == 5


def test_draws_are_uniform_over_images_and_epochs():
    """One number of every image is a column; columns are uniform and uncorrelated."""
    keys = [(seed, epoch, index) for seed in (0, 1) for epoch in range(5) for index in range(400)]
    u = np.array([uniforms(dict(draw=key), LABELS, 14) for key in keys])
    assert u.shape == (4000, 14) and u.min() >= 0 and u.max() < 1
    assert min(stats.kstest(column, 'uniform').pvalue for column in u.T) > 1e-4
    everything = np.concatenate([u, np.roll(u, 1, axis=0)], axis=1)  # with the neighbor's numbers
    off_diagonal = np.corrcoef(everything.T) - np.eye(28)
    assert abs(off_diagonal).max() < 4.5 / np.sqrt(len(u))


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f'no real images in {SAMPLE}')
def test_real_originals_equal_the_color_chain():
    stock = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(256, 256), interpolation='area'),
        dict(type='CenterCrop', crop_size=224),
    ]
    transforms = [TRANSFORMS.build(transform) for transform in stock]
    for path in sorted((SAMPLE / 'originals').glob('*.png'))[:6]:
        ours = XrayGeometry()(LoadXray()(dict(img_path=str(path))))['img']
        theirs = dict(img_path=str(path))
        for transform in transforms:
            theirs = transform(theirs)
        np.testing.assert_array_equal(np.repeat(ours[..., None], 3, -1), theirs['img'])


def test_a_tiff_that_pillow_does_not_know_is_refused(tmp_path):
    """16 bits, the high byte first, and white as 0: OpenCV reads it, and black for white."""
    tags = [(256, 8), (257, 8), (258, 16), (259, 1), (262, 0), (273, 122), (277, 1), (278, 8)]
    entries = b''.join(struct.pack('>HHIHH', tag, 3, 1, value, 0) for tag, value in tags)
    entries += struct.pack('>HHII', 279, 4, 1, 128)
    data = b'MM\0*' + struct.pack('>IH', 8, 9) + entries + bytes(4)
    (tmp_path / 'x.tiff').write_bytes(data + np.arange(64, dtype='>u2').tobytes())
    with pytest.raises(ValueError, match='a kind that Pillow does not know'):
        read_gray(tmp_path / 'x.tiff')
