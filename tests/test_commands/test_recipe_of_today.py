"""A recipe of today from training to the averages of a test, sized down to a small phantom.

Flips and sizes are averaged as the documents say, and compared with averaging by hand.
"""

import numpy as np
import pytest
import torch

from mlrfnet_mm import CXRInferencer
from mlrfnet_mm.commands import ensemble
from mlrfnet_mm.commands import test as testing
from mlrfnet_mm.commands import train as training
from mlrfnet_mm.datasets import ChestXray14
from mlrfnet_mm.evaluation import Predictions

pytestmark = pytest.mark.slow

RECIPE = 'recipes/eva02_small_518'
SIZE = 56  # 4 x 4 patches


def options(phantom, size=SIZE, **more):
    values = {
        f'{part}_dataloader.{key}': value
        for part in ('train', 'val', 'test')
        for key, value in {
            'dataset.data_root': phantom,
            'dataset.indices': 8,
            'batch_size': 4,
            'num_workers': 0,
        }.items()
    }
    values['model.backbone.model_name'] = 'eva02_tiny_patch14_224'
    values |= {'model.backbone.init_cfg': None, 'model.backbone.img_size': SIZE}
    values |= {'image_size': size, 'train_cfg.max_epochs': 1, 'param_scheduler': '[]', **more}
    return ['--cfg-options', *(f'{key}={value}' for key, value in values.items())]


def call(module, function, *words):
    function(module.make_parser('mlrfnet').parse_args([str(word) for word in words]))


@pytest.fixture(scope='module')
def trained(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp('recipe') / 'w'
    call(training, training.train, RECIPE, '--work-dir', folder, *options(phantom))
    return folder


@pytest.fixture
def scores(trained, phantom, tmp_path):
    def scores(name, *flags, **more):
        out = tmp_path / f'{name}.npz'
        words = [RECIPE, trained, '--work-dir', tmp_path, '--out', out, *flags]
        call(testing, testing.test, *words, *options(phantom, **more))
        return Predictions.load(out).scores

    return scores


def test_the_best_checkpoint_holds_the_average(trained):
    (best,) = trained.glob('best_auc_mean_epoch_1.pth')
    checkpoint = torch.load(best, weights_only=True)
    assert checkpoint['ema_state_dict']['steps'] == 2
    key = 'head.classifiers.0.weight'
    assert not torch.equal(
        checkpoint['state_dict'][key], checkpoint['ema_state_dict'][f'module.{key}']
    )


def test_a_flip_is_the_mean_of_image_and_mirror_image(scores):
    plain = scores('plain')
    mirrored = scores('mirrored', **{'test_dataloader.dataset.pipeline.1.flip': 1.0})
    both = scores('both', '--flip')
    assert np.abs(plain - mirrored).max() > 1e-4
    np.testing.assert_allclose(both, (plain + mirrored) / 2, atol=1e-6)
    with pytest.raises(SystemExit):
        scores('neither', '--flip', '--ten-crop')


def test_several_sizes_are_averaged_by_ensemble(scores, tmp_path, capsys):
    by_size = [scores(str(size), size=size) for size in (SIZE, SIZE + 14)]
    assert np.abs(by_size[0] - by_size[1]).max() > 1e-4
    files = [tmp_path / f'{size}.npz' for size in (SIZE, SIZE + 14)]
    ensemble.main([*map(str, files), '--out', str(tmp_path / 'all.npz')])
    together = Predictions.load(tmp_path / 'all.npz').scores
    np.testing.assert_allclose(together, sum(by_size) / 2, atol=1e-6)
    assert 'mean of the probability of 2' in capsys.readouterr().out


def test_a_checkpoint_of_a_recipe_predicts_by_itself(trained, scores, phantom):
    """Config and weights out of the file: the scores of ``mlrfnet test`` on the same images."""
    plain = scores('plain')
    dataset = ChestXray14(str(phantom), split='test', indices=8)
    images = [dataset[i]['img_path'] for i in range(len(dataset))]
    results = CXRInferencer(weights=str(trained))(images)['predictions']
    found = [[f['score'] for f in each['findings'].values()] for each in results]
    np.testing.assert_allclose(found, plain, atol=1e-5)
