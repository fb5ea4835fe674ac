"""The page in a real Chromium: files, keys, narrow screens, two tabs, no other host."""

import json
import shutil
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

pytest.importorskip('fastapi')
pytest.importorskip('pydicom')
pytest.importorskip('playwright')
from playwright import sync_api as playwright
from servers import running

from mlrfnet_mm import NOTICE
from mlrfnet_mm.datasets.phantom import render
from mlrfnet_mm.inference.bundle.inferencer import BundleInferencer
from mlrfnet_mm.serving.app import Settings, make_app

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser'))), None)
if CHROMIUM is None:
    pytest.skip('no Chromium on this machine', allow_module_level=True)
EVIL = '<img src=x onerror=alert(1)>'
TOKEN = 'a token of many characters'


@pytest.fixture(scope='module')
def inferencer(bundle):
    return BundleInferencer(bundle)


@pytest.fixture(scope='module')
def server(inferencer):
    with running(make_app(inferencer, Settings())) as port:
        yield f'http://127.0.0.1:{port}'


@pytest.fixture(scope='module')
def browser():
    with playwright.sync_playwright() as driver:
        options = ['--no-sandbox']  # tests may run as root, in a container
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@contextmanager
def tab(browser, server, width=1280, height=900, **options):
    """A page that is ready; whatever it asks or complains of fails the test."""
    context = browser.new_context(viewport=dict(width=width, height=height), **options)
    page, asked, said = context.new_page(), [], []
    page.on('request', lambda request: asked.append(request.url))
    page.on('console', lambda message: said.append(message.text))
    page.on('pageerror', lambda error: said.append(str(error)))
    page.on('dialog', lambda dialog: said.append(dialog.message))
    page.goto(server)
    page.locator('#status', has_text='Ready.').wait_for()
    yield page
    assert [text for text in said if 'getImageData' not in text] == []  # that is the tests' own
    assert asked and all(url.startswith((f'{server}/', 'blob:')) for url in asked), asked
    assert context.cookies() == []
    assert page.evaluate('localStorage.length + sessionStorage.length') == 0
    context.close()


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('xrays')
    phantom = render(0, 1, 0, 96).image
    halves = np.repeat(np.uint8([[60, 180]]), 40, 1).repeat(80, 0)
    for name, pixels in ((f'{EVIL}.png', phantom), ('halves.png', halves)):
        (folder / name).write_bytes(cv2.imencode('.png', pixels)[1].tobytes())
    deep = phantom.astype(np.uint16) * 16
    tags = dict(PixelSpacing=[2.0, 1.0], PatientName=EVIL, ViewPosition=EVIL[:16])
    write_dicom(folder / 'x.dcm', deep, **tags)
    (folder / 'bad.png').write_bytes(b'no image')
    return folder


def choose(page, *paths):
    page.set_input_files('#files', paths)
    good = sum(path.name != 'bad.png' for path in paths)
    page.locator('#status', has_text=f'{good} of {len(paths)} files read.').wait_for()


PIXEL = """(canvas, [x, y]) => { const c = canvas.getContext('2d');
  return [...c.getImageData(canvas.width * x, canvas.height * y, 1, 1).data]; }"""


def pixel(page, x, y):
    """RGBA at a place of the first canvas, in shares of its size."""
    page.evaluate('() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))')
    return page.locator('canvas').first.evaluate(PIXEL, [x, y])


def test_a_file_a_finding_and_the_keyboard(server, browser, files, inferencer):
    with tab(browser, server) as page:
        choose(page, files / f'{EVIL}.png', files / 'bad.png')
        assert page.locator('#errors').inner_text() == (
            'bad.png: not an image of a kind that is read (8 bytes); give PNG or JPEG'
        )
        record = inferencer(files / f'{EVIL}.png')['predictions'][0]['findings']
        order = sorted(record, key=lambda name: -record[name]['probability'])
        rows = page.locator('#findings tr').all_inner_texts()
        assert len(rows) == 15
        for row, name in zip(rows[1:], order, strict=True):
            found = record[name]
            decision = found['decision'] or 'none'
            for text in (name.replace('_', ' '), f'{found["probability"]:.3f}', decision):
                assert text in row
            assert (f'{found["threshold"]:.3f}' if found['threshold'] else '–') in row
        assert any('none' in row for row in rows)
        before = pixel(page, 0.5, 0.5)
        page.locator('input[name=finding]').first.focus()
        page.keyboard.press('ArrowDown')
        canvas = page.locator('canvas').first
        label = f'Current: {EVIL}.png, heat map of {order[0].replace("_", " ")}'
        playwright.expect(canvas).to_have_attribute('aria-label', label)
        assert pixel(page, 0.5, 0.5) != before
        page.locator('#opacity').focus()
        page.keyboard.press('Home')
        assert pixel(page, 0.5, 0.5) == before
        page.keyboard.press('End')
        assert page.locator('#opacity-value').inner_text() == '100 %'
        page.locator('input[name=finding]:checked').press('ArrowDown')
        playwright.expect(canvas).to_have_attribute('aria-label', label.replace(order[0].replace(
            '_', ' '), order[1].replace('_', ' ')))  # fmt: skip
        assert page.locator('img').count() == 0 and page.locator('#views script').count() == 0


def test_window_level_zoom_and_inversion(server, browser, files):
    def shown(gray, width, level):
        return 255 * float(np.clip((gray - level + width / 2) / width, 0, 1))

    with tab(browser, server) as page:
        choose(page, files / 'halves.png')
        canvas, box = page.locator('canvas').first, page.locator('canvas').first.bounding_box()
        assert [pixel(page, x, 0.5)[0] for x in (0.3, 0.7)] == [60, 180]
        page.locator('.width').first.fill('200')
        page.locator('.level').first.fill('140')
        expected = [shown(gray, 200, 140) for gray in (60, 180)]
        found = [pixel(page, x, 0.5)[0] for x in (0.3, 0.7)]
        assert found == pytest.approx(expected, abs=0.51)
        page.get_by_role('button', name='Invert').first.click()
        found = [pixel(page, x, 0.5)[0] for x in (0.3, 0.7)]
        assert found == pytest.approx([255 - level for level in expected], abs=0.51)
        page.get_by_role('button', name='Start over').first.click()
        assert [pixel(page, x, 0.5)[0] for x in (0.3, 0.7)] == [60, 180]
        middle = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] - 100, middle[1] + 20)  # narrower, and the level goes down
        page.mouse.up()
        assert [page.locator(f'.{key}').first.input_value() for key in ('width', 'level')] == [
            '155', '118',
        ]  # fmt: skip
        assert pixel(page, 0.3, 0.5)[0] == pytest.approx(shown(60, 155, 118), abs=0.51)
        canvas.press('0')
        page.mouse.move(box['x'] + 0.45 * box['width'], middle[1])
        page.mouse.wheel(0, -800)  # about the mouse: the edge moves to the right
        assert [pixel(page, x, 0.5)[0] for x in (0.3, 0.7)] == [60, 180]
        assert pixel(page, 0.52, 0.5)[0] == 60
        canvas.press('0')
        assert pixel(page, 0.52, 0.5)[0] == 180
        canvas.press('ArrowLeft')
        assert pixel(page, 0.52, 0.5)[0] == 60


DROP = """([name, content]) => { const held = new DataTransfer();
  held.items.add(new File([Uint8Array.from(content)], name));
  dispatchEvent(new DragEvent('dragover', { dataTransfer: held }));
  dispatchEvent(new DragEvent('drop', { dataTransfer: held })); }"""


def test_a_file_is_dropped_and_measured(server, browser, files):
    with tab(browser, server) as page:
        page.evaluate(DROP, ['x.dcm', list((files / 'x.dcm').read_bytes())])
        page.locator('#status', has_text='1 of 1 files read.').wait_for()
        page.evaluate("""() => { const draw = CanvasRenderingContext2D.prototype.fillText;
          CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
            (window.texts ??= []).push(text); draw.call(this, text, ...place); }; }""")
        page.select_option('.drag >> nth=0', 'measure')
        box = page.locator('canvas').first.bounding_box()
        scale = min(box['width'], box['height']) / 96  # the image has 96 x 96 pixels
        page.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
        page.mouse.down()
        page.mouse.move(
            box['x'] + box['width'] / 2 + 30 * scale, box['y'] + box['height'] / 2 + 20 * scale
        )
        page.mouse.up()
        pixel(page, 0.5, 0.5)
        length = float(page.evaluate('texts.at(-1)').removesuffix(' mm'))
        expected = np.hypot(30 * 1.0, 20 * 2.0)  # columns are 1 mm, rows 2 mm apart
        assert length == pytest.approx(expected, abs=3 / scale)


def test_two_fingers_zoom(server, browser, files):
    with tab(browser, server, has_touch=True) as page:
        choose(page, files / 'halves.png')
        assert pixel(page, 0.45, 0.5)[0] == 60
        canvas = page.locator('canvas').first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        right, y = box['x'] + box['width'] * 0.75, box['y'] + box['height'] / 2
        touch = page.context.new_cdp_session(page)
        for kind, reach in (('Start', 50), ('Move', 100), ('Move', 200), ('End', None)):
            points = [dict(x=right, y=y, id=0), dict(x=right - (reach or 0), y=y, id=1)]
            touch.send(
                'Input.dispatchTouchEvent',
                dict(type=f'touch{kind}', touchPoints=points if reach else []),
            )
        # Four times as large around the right finger: the edge of both halves went to the left.
        assert pixel(page, 0.05, 0.5)[0] == pixel(page, 0.45, 0.5)[0] == 180


def test_two_images_millimeters_and_downloads(server, browser, files, inferencer):
    with tab(browser, server) as page:
        choose(page, files / 'x.dcm')
        notes = page.locator('#notes').inner_text()
        assert '96 × 96 pixels, 96 × 192 mm' in notes and f'view position {EVIL[:16]}' in notes
        assert page.locator('.view').nth(1).is_hidden()
        page.select_option('.drag >> nth=0', 'measure')
        page.click('#example')
        page.locator('#status', has_text='2 of 2 files read.').wait_for()
        page.select_option('#image-Prior', '0')
        heads = page.locator('#columns').inner_text().split()
        assert heads == ['Finding', 'Probability', 'Prior', 'Threshold', 'Decision']
        boxes = [page.locator('canvas').nth(i).bounding_box() for i in (0, 1)]
        assert boxes[0]['y'] == boxes[1]['y'] and boxes[0]['width'] == boxes[1]['width']
        with page.expect_download() as saved:
            page.click('#json')
        content = json.loads(saved.value.path().read_text())
        assert saved.value.suggested_filename == 'predictions.json'
        assert set(content) == {'notice', 'stamp', 'predictions'}
        assert content['stamp'] == inferencer.stamp
        expected = inferencer(files / 'x.dcm')['predictions'][0]
        assert content['predictions'][0] == expected | dict(file='x.dcm')
        with page.expect_download() as saved:
            page.click('#report')
        assert NOTICE in saved.value.path().read_text()


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_a_narrow_screen(server, browser, files, scheme):
    with tab(browser, server, 400, 700, color_scheme=scheme, has_touch=True) as page:
        ground = page.evaluate('getComputedStyle(document.body).backgroundColor')
        assert (sum(map(int, ground[4:-1].split(','))) < 200) == (scheme == 'dark')
        page.click('#example')
        page.locator('#status', has_text='2 of 2 files read.').wait_for()
        page.select_option('#image-Prior', '1')
        page.locator('details summary').click()
        assert page.evaluate('document.documentElement.scrollWidth') <= 400
        for place in (0, 1e6):
            page.evaluate('y => scrollTo(0, y)', place)
            notice = page.locator('.notice')
            assert notice.inner_text() == NOTICE and 0 <= notice.bounding_box()['y'] < 660
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, .button, select, th label')]
            .filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().height)"""
        )
        assert min(small) >= 28  # pixels, for fingers


def test_every_control_has_a_name(server, browser):
    with tab(browser, server) as page:
        page.click('#example')
        page.locator('#status', has_text='2 of 2 files read.').wait_for()
        assert page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, canvas, table')]
            .filter(e => !(e.labels?.length || e.ariaLabel || e.caption || e.textContent.trim()))
            .map(e => e.outerHTML)"""
        ) == ['<canvas tabindex="0" role="img" hidden=""></canvas>']
        assert page.locator('[role=status][aria-live=polite]').count() == 1


def test_two_tabs(server, browser, files):
    with tab(browser, server) as one, tab(browser, server) as two:
        for page in (one, two):
            page.set_input_files('#files', files / 'halves.png' if page is one else files / 'x.dcm')
        for page, name in ((one, 'halves.png'), (two, 'x.dcm')):
            page.locator('#status', has_text='1 of 1 files read.').wait_for()
            assert page.locator('#image-Current option').all_inner_texts() == [f'1: {name}']


def test_the_token_is_asked_for_and_not_kept(inferencer, browser, files):
    with running(make_app(inferencer, Settings(token=TOKEN))) as port:
        context = browser.new_context()
        page = context.new_page()
        for _ in range(2):  # again after reloading
            page.goto(f'http://127.0.0.1:{port}')
            page.locator('#status', has_text='give the token').wait_for()
            page.fill('#token', f'{TOKEN}x')
            with page.expect_response('**/model') as answer:
                page.keyboard.press('Enter')
            assert answer.value.status == 401
            page.locator('#status', has_text='give the token').wait_for()
            page.fill('#token', TOKEN)
            page.keyboard.press('Enter')
            page.locator('#status', has_text='Ready.').wait_for()
            assert page.locator('#token-form').is_hidden()
            choose(page, files / 'halves.png')
        assert page.evaluate('localStorage.length + sessionStorage.length') == 0
        assert context.cookies() == []
        context.close()
