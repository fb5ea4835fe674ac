import numpy as np
import pytest
import torch
from conftest import Evil
from mmpretrain.structures import DataSample
from sklearn.metrics import roc_auc_score

from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.evaluation.files.pairing import load_predictions
from mlrfnet_mm.evaluation.metrics import MeanLoss, MultiLabelAUC

META = dict(
    classes=('Edema', 'Hernia', 'Mass'), dataset='ChestX-ray14', protocol='official', split='test'
)


def make_samples(n=60):
    generator = torch.Generator().manual_seed(0)
    samples = []
    for i in range(n):
        meta = dict(img_path=f'/data/images/{i:08}_000.png', patient_id=i // 3)
        sample = DataSample(metainfo=meta)
        sample.set_pred_score(torch.rand(3, generator=generator))
        label = (torch.rand(3, generator=generator) < 0.4).float()
        label[1] = 0  # no Hernia at all
        samples.append(sample.set_gt_score(label).to_dict())
    return samples


def evaluate(metric, samples):
    metric.dataset_meta = META
    for i in range(0, len(samples), 16):  # the last batch has 12
        metric.process(None, samples[i : i + 16])
    return metric.evaluate(len(samples))


def test_keys_and_values(tmp_path):
    samples = make_samples()
    result = evaluate(MultiLabelAUC(out=str(tmp_path / 'sub' / 'p.npz')), samples)
    scores = np.stack([s['pred_score'].numpy() for s in samples])
    labels = np.stack([s['gt_score'].numpy() for s in samples])
    assert set(result) == {'auc/mean', 'auc/Edema', 'auc/Hernia', 'auc/Mass'}
    assert np.isnan(result['auc/Hernia'])
    assert result['auc/Edema'] == pytest.approx(roc_auc_score(labels[:, 0], scores[:, 0]))
    assert result['auc/mean'] == pytest.approx((result['auc/Edema'] + result['auc/Mass']) / 2)
    assert all(type(v) is float for v in result.values())

    saved = Predictions.load(tmp_path / 'sub' / 'p.npz')
    np.testing.assert_array_equal(saved.scores, scores)
    np.testing.assert_array_equal(saved.labels, labels)
    assert saved.images[7] == '00000007_000.png'
    assert saved.patients[7] == '2'
    assert saved.classes.tolist() == list(META['classes'])
    assert saved.stamp == 'ChestX-ray14 official/test'


def test_sex_and_age_are_saved_where_they_are_known(tmp_path):
    samples = make_samples(6)
    samples[1] |= dict(sex='F', age=63)
    samples[4] |= dict(sex='M', age=0.5)
    evaluate(MultiLabelAUC(out=str(tmp_path / 'p.npz')), samples)
    saved = load_predictions(tmp_path / 'p.npz')
    assert saved.sexes.tolist() == ['', 'F', '', '', 'M', '']
    np.testing.assert_array_equal(saved.ages, [np.nan, 63, np.nan, np.nan, 0.5, np.nan])
    kept = saved.rows(np.array([4, 1]))
    assert kept.sexes.tolist() == ['M', 'F'] and kept.ages.tolist() == [0.5, 63]
    assert kept.views is None

    evaluate(MultiLabelAUC(out=str(tmp_path / 'q.npz')), make_samples(4))
    assert Predictions.load(tmp_path / 'q.npz').sexes is None
    assert Predictions.load(tmp_path / 'q.npz').ages is None


def test_an_image_evaluated_twice_is_an_error():
    samples = make_samples(4)
    with pytest.raises(ValueError, match='00000000_000.png was evaluated 2 times'):
        evaluate(MultiLabelAUC(), [*samples, samples[0]])


def test_predictions_are_npz_only(tmp_path):
    with pytest.raises(ValueError, match=r'saved as \.npz, got .*p\.pkl'):
        evaluate(MultiLabelAUC(out=str(tmp_path / 'p.pkl')), make_samples(4))


def test_mean_loss_is_over_images_and_needs_its_loop():
    samples = [dict(loss=float(i)) for i in range(5)]
    metric = MeanLoss()
    metric.process(None, samples[:4])
    metric.process(None, samples[4:])
    assert metric.evaluate(5) == {'val/loss': 2.0}
    with pytest.raises(ValueError, match='LossValLoop'):
        metric.process(None, [dict()])


def test_half_precision_scores_are_taken():
    sample = dict(make_samples(1)[0])
    sample['pred_score'] = sample['pred_score'].bfloat16()
    metric = MultiLabelAUC()
    metric.process(None, [sample])
    assert metric.results[0][0].dtype == np.float32


def test_predictions_with_a_pickle_are_refused(tmp_path):
    np.savez(tmp_path / 'evil.npz', scores=np.array([Evil(tmp_path / 'called')], object))
    with pytest.raises(ValueError, match='allow_pickle'):
        Predictions.load(tmp_path / 'evil.npz')
    assert not (tmp_path / 'called').exists()


def test_the_checkpoint_is_saved(tmp_path):
    metric = MultiLabelAUC(out=str(tmp_path / 'p.npz'), checkpoint='0123456789ab')
    evaluate(metric, make_samples())
    checkpoint = Predictions.load(tmp_path / 'p.npz').checkpoint
    assert isinstance(checkpoint, str) and checkpoint == '0123456789ab'
