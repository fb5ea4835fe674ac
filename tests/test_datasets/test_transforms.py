"""Grey loading, geometry and contrast against mmpretrain's and mmcv's own functions."""

import itertools
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.datasets.draws import CONTRAST, GEOMETRY, generator
from mlrfnet_mm.datasets.transforms import LoadXray, XrayContrast, XrayGeometry, read_grey
from mlrfnet_mm.datasets.transforms import load_xray as load_module
from mlrfnet_mm.datasets.transforms.xray_contrast import contrast_table
from mlrfnet_mm.datasets.transforms.xray_geometry import Placement

SAMPLE = Path(__file__).resolve().parents[2].parent / 'shared/data/ChestX-ray14-sample'


def xray(height=96, width=96, seed=0):
    """Smooth grey levels with some noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 6)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


def save(path, array):
    Image.fromarray(array).save(path)
    return path


# Loading


def test_grey_png_is_read_as_it_is(tmp_path):
    image = xray()
    grey = read_grey(save(tmp_path / 'a.png', image))
    assert grey.notes == ()
    np.testing.assert_array_equal(grey.image, image)


@pytest.mark.parametrize(('channels', 'note'), [(3, 'is in colour'), (4, 'has an alpha channel')])
def test_equal_channels_are_the_grey_image(tmp_path, channels, note):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colours = np.repeat(image[..., None], channels, -1)
    if channels == 4:
        colours[..., 3] = 7  # dropped, not blended
    grey = read_grey(save(tmp_path / 'a.png', colours))
    assert grey.notes == (note,)
    np.testing.assert_array_equal(grey.image, image)


def test_colours_by_luma(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    expected = colours @ np.array([0.299, 0.587, 0.114])
    grey = read_grey(save(tmp_path / 'a.png', colours)).image
    np.testing.assert_allclose(grey, expected, atol=0.51)


@pytest.mark.parametrize(
    ('top', 'bits'), [(65535, 16), (40000, 16), (4095, 12), (4096, 13), (1023, 10), (200, 8)]
)
def test_16_bits_by_their_true_range(tmp_path, top, bits):
    image = np.linspace(0, top, 64).astype(np.uint16).reshape(8, 8)
    grey = read_grey(save(tmp_path / 'a.png', image))
    np.testing.assert_allclose(grey.image, image * 255.0 / (2**bits - 1), atol=0.51)
    assert grey.notes == (f'has 16 bits, of which {bits} are used',)


def test_jpeg_named_png(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(xray()).save(path, format='JPEG', quality=100)
    grey = read_grey(path)
    assert grey.notes == ('is no PNG in spite of its name',)
    np.testing.assert_allclose(grey.image.astype(int), xray(), atol=3)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda content: b'', 'the file is empty'),
        (lambda content: content[: len(content) // 2], 'ends before its last chunk'),
        (lambda content: content[:-20], 'ends before its last chunk'),
        (lambda content: b'<html>not found</html>', "begin with b'<html>no'"),
        (
            lambda content: content[:60] + bytes(200) + content[260:],
            'no image that OpenCV can decode',
        ),
    ],
)
def test_bad_files_are_refused(tmp_path, damage, message):
    path = save(tmp_path / 'a.png', xray())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        read_grey(path)


def test_truncated_jpeg(tmp_path):
    path = save(tmp_path / 'a.jpg', xray(200, 200))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match='the JPEG has no end marker'):
        read_grey(path)


def test_other_pixel_types_are_refused(tmp_path):
    path = save(tmp_path / 'a.tiff', np.ones((8, 8), np.float32))
    with pytest.raises(ValueError, match='pixels of type float32'):
        read_grey(path)


def test_each_conversion_is_said_once(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(load_module, 'print_log', lambda line, logger: lines.append(line))
    load = LoadXray()
    colours = np.repeat(xray()[..., None], 3, -1)
    for name in ('a.png', 'b.png'):
        load(dict(img_path=str(save(tmp_path / name, colours))))
    load(dict(img_path=str(save(tmp_path / 'c.png', xray().astype(np.uint16)))))
    assert len(lines) == 2
    assert 'a.png is in colour' in lines[0] and 'c.png has 16 bits' in lines[1]


def test_an_image_from_a_store_stays():
    image = xray()
    assert LoadXray()(dict(img_path='/nowhere.png', img=image))['img'] is image


# Geometry

SIZES = [(96, 96), (64, 64), (100, 75), (40, 50), (256, 256)]


@pytest.mark.parametrize('shape', SIZES)
def test_centre_crop_equals_mmpretrain(shape):
    image = xray(*shape)
    ours = XrayGeometry(scale=64, crop_size=57)(dict(img=image))['img']
    stock = dict(img=image, img_shape=image.shape)
    for transform in (
        dict(type='Resize', scale=(64, 64), interpolation='area'),
        dict(type='CenterCrop', crop_size=57),
    ):
        stock = TRANSFORMS.build(transform)(stock)
    np.testing.assert_array_equal(ours, stock['img'])


@pytest.mark.parametrize('shape', SIZES)
@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('angle', [0.0, 3.3, -5.0, 40.0])
def test_equals_the_stock_chain_with_the_same_parameters(shape, flip, angle):
    image = xray(*shape)
    geometry = XrayGeometry(scale=64, crop_size=50, crop='random', flip=0.5, rotate=45)
    place = Placement(x=3, y=9, flip=flip, angle=angle)
    ours = geometry.apply(cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA), place)
    stock = mmcv.imresize(image, (64, 64), interpolation='area')[9:59, 3:53]
    if flip:
        stock = mmcv.imflip(stock)
    stock = mmcv.imrotate(stock, angle, interpolation='bilinear')
    np.testing.assert_allclose(ours.astype(int), stock, atol=1 if angle in (0, 3.3, -5) else 3)


def test_zoom_and_translation_against_opencv():
    image = xray(64, 64)
    geometry = XrayGeometry(scale=64, crop_size=64, zoom=0.5, translate=0.5)
    place = Placement(0, 0, zoom=1.25, shift_x=4.0, shift_y=-6.0)
    matrix = np.array([[1.25, 0, 4 - 0.25 * 31.5], [0, 1.25, -6 - 0.25 * 31.5]])
    expected = cv2.warpAffine(image, matrix, (64, 64), flags=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(geometry.apply(image, place), expected)


@pytest.mark.parametrize('corners', ['pad', 'image'])
def test_corners(corners):
    image = np.full((64, 64), 200, np.uint8)
    geometry = XrayGeometry(64, 40, rotate=10, corners=corners, pad_val=5)
    corner = geometry.apply(image, Placement(12, 12, angle=10))[0, 0]
    assert corner == (200 if corners == 'image' else 5)


CASES = list(itertools.product(
    [(128, 128), (64, 64), (150, 110)], [0.0, 0.5], [0.0, 8.0], [0.0, 0.2], ['pad', 'image'],
))  # fmt: skip


@pytest.mark.parametrize(('shape', 'flip', 'rotate', 'zoom', 'corners'), CASES)
def test_the_matrix_says_where_a_dot_goes(shape, flip, rotate, zoom, corners):
    """A planted square's centre of mass is where the matrix maps the middle of the square."""
    image = np.zeros(shape, np.uint8)
    top, left = int(shape[0] * 0.45), int(shape[1] * 0.55)
    side = shape[0] // 10
    image[top : top + side, left : left + side] = 255
    middle = np.array([left + (side - 1) / 2, top + (side - 1) / 2, 1])
    geometry = XrayGeometry(
        64, 50, 'random', flip=flip, rotate=rotate, zoom=zoom, translate=zoom / 4, corners=corners
    )
    for index in range(4):
        result = geometry(dict(img=image, draw=(0, 0, index)))
        weights = result['img'].astype(float)
        y, x = np.indices(weights.shape)
        found = [(weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum()]
        np.testing.assert_allclose(result['geometry'] @ middle, found, atol=0.25)


def test_ten_crop():
    image = xray(64, 64)
    result = XrayGeometry(64, 40, 'ten')(dict(img=image))
    crops = result['img']
    assert crops.shape == (10, 1, 40, 40) and result['geometry'].shape == (10, 2, 3)
    centre, *corners = crops[:5, 0]
    np.testing.assert_array_equal(centre, image[12:52, 12:52])
    expected = [image[:40, :40], image[:40, 24:], image[24:, :40], image[24:, 24:]]
    np.testing.assert_array_equal(corners, expected)
    np.testing.assert_array_equal(crops[5:], crops[:5, ..., ::-1])


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(crop='center'), "crop='center'"),
        (dict(scale=200), 'crop_size=224'),
        (dict(flip=1.5), 'flip=1.5'),
        (dict(rotate=-1), 'rotate=-1'),
        (dict(corners='black'), "corners='black'"),
        (dict(crop='ten', rotate=5), "crop='ten' is for tests"),
    ],
)
def test_parameters_out_of_range(kwargs, message):
    with pytest.raises(ValueError, match=message):
        XrayGeometry(**kwargs)


def test_colour_images_are_refused():
    with pytest.raises(ValueError, match='load them with mlrfnet_mm.LoadXray'):
        XrayGeometry()(dict(img=np.zeros((300, 300, 3), np.uint8)))


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


# Contrast


@pytest.mark.parametrize('factor', [0.0, 0.5, 0.9, 1.0, 1.1, 2.0])
def test_contrast_equals_mmcv(factor):
    image = xray()
    ours = cv2.LUT(image, contrast_table(image.mean(), factor, 1.0))
    stock = mmcv.adjust_contrast(np.repeat(image[..., None], 3, -1), factor)[..., 0]
    np.testing.assert_allclose(ours.astype(int), stock, atol=1)


@pytest.mark.parametrize('factor', [0.0, 0.7, 1.0, 1.3])
def test_brightness_equals_mmcv(factor):
    image = xray()
    ours = cv2.LUT(image, contrast_table(image.mean(), 1.0, factor))
    np.testing.assert_allclose(ours.astype(int), mmcv.adjust_brightness(image, factor), atol=1)


def test_contrast_range():
    with pytest.raises(ValueError, match=r'got 0.1 and -0.1'):
        XrayContrast(0.1, -0.1)


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
        return generator({}, GEOMETRY).random()

    np.random.seed(1)
    first = [draw(), draw()]
    np.random.seed(1)
    assert [draw(), draw()] == first and first[0] != first[1]


def test_streams_are_independent():
    item = dict(draw=(0, 0, 0))
    values = {generator(item, purpose).random() for purpose in (GEOMETRY, CONTRAST)}
    for draw in [(0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        values.add(generator(dict(draw=draw), GEOMETRY).random())
    assert len(values) == 5


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f'no real images in {SAMPLE}')
def test_real_originals_equal_the_colour_chain():
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
