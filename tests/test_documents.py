"""What the documents and the files next to them promise is there."""

import re
import subprocess

import numpy as np
import pytest
import yaml
from builders import make_predictions
from conftest import ROOT, Evil

import mlrfnet_mm
from mlrfnet_mm.evaluation.files.pairing import load_predictions


def tracked():
    process = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True)
    if process.returncode:
        pytest.skip('not a git checkout')
    return [ROOT / name for name in process.stdout.splitlines() if (ROOT / name).is_file()]


def test_pictures_in_git_are_small_and_have_no_twins():
    files = tracked()
    pictures = [path for path in files if path.suffix in ('.png', '.jpg', '.webp')]
    assert pictures and not [path for path in pictures if path.stat().st_size > 100_000]
    assert not [path for path in files if path.suffix == '.svg']


def test_every_picture_of_the_documents_is_shown():
    text = '\n'.join(path.read_text() for path in (ROOT / 'docs').rglob('*.md'))
    for path in (ROOT / 'docs').rglob('*.png'):
        assert path.name in text, path


def test_the_site_has_an_api_page_for_every_package():
    pages = {path.stem: path.read_text() for path in (ROOT / 'docs/api').glob('*.md')}
    packages = {path.parent.name for path in (ROOT / 'mlrfnet_mm').glob('*/__init__.py')}
    assert set(pages) == packages
    nav = (ROOT / 'mkdocs.yml').read_text()
    for name, page in pages.items():
        assert f'\n::: mlrfnet_mm.{name}\n' in page and f'api/{name}.md' in nav


def test_security_promises_name_tests_that_exist():
    rows = re.findall(r'^\| (?!promise|-).*$', (ROOT / 'SECURITY.md').read_text(), re.M)
    assert len(rows) >= 7
    source = '\n'.join(path.read_text() for path in (ROOT / 'tests').rglob('test_*.py'))
    for row in rows:
        tests = re.findall(r'`(test_\w+)`', row)
        assert tests, row
        for test in tests:
            assert f'def {test}(' in source, test


def test_a_prediction_file_with_a_pickle_is_refused(tmp_path):
    path, called = tmp_path / 'p.npz', tmp_path / 'called'
    make_predictions().save(path)
    with np.load(path) as arrays:
        content = dict(arrays)
    content['images'] = np.array([Evil(called)] * len(content['images']), dtype=object)
    np.savez(path, **content)
    with pytest.raises(ValueError, match='p.npz is not a prediction file'):
        load_predictions(path)
    assert not called.exists()


def test_citation():
    """The fields that CFF 1.2.0 requires, and the version of the package."""
    cff = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert cff['cff-version'] == '1.2.0' and cff['version'] == mlrfnet_mm.__version__
    assert (
        cff['title']
        and cff['message']
        and cff['authors'] == [{'name': 'The mlrfnet-mm maintainers'}]
    )
    paper = cff['preferred-citation']
    assert paper['type'] == 'article' and paper['year'] == 2023
    families = [author['family-names'] for author in paper['authors']]
    bibtex = (ROOT / 'docs/index.md').read_text()
    assert re.findall(r'(\w+), \w+', re.search('author += {(.*?)}', bibtex)[1]) == families
