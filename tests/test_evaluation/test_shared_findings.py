import numpy as np
import pytest
import torch

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS as NIH
from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS as CHEXPERT
from mlrfnet_mm.datasets.published.chexpert.tables import SCORED
from mlrfnet_mm.evaluation import Predictions, roc_auc
from mlrfnet_mm.evaluation.metrics import SharedAUC, SharedStudyAUC, shared_findings

SEVEN = {
    'Atelectasis',
    'Cardiomegaly',
    'Consolidation',
    'Edema',
    'Pneumonia',
    'Pneumothorax',
}


@pytest.mark.parametrize(
    ('model', 'data', 'effusion'),
    [(NIH, CHEXPERT, 'Pleural Effusion'), (CHEXPERT, NIH, 'Effusion')],
)
def test_seven_are_shared(model, data, effusion):
    shared = shared_findings(model, data)
    assert set(shared.names) == SEVEN | {effusion}
    assert [data[k] for k in shared.data] == list(shared.names)
    for name, i in zip(shared.names, shared.model, strict=True):
        assert model[i] == name or {model[i], name} == {'Effusion', 'Pleural Effusion'}


def test_nothing_shared_is_refused():
    with pytest.raises(ValueError, match=r'the model \(Hernia\) and the data set \(Edema\) share'):
        shared_findings(['Hernia'], ['Edema'])


def samples(n, outputs, classes, seed=0):
    rng = np.random.default_rng(seed)
    return [
        dict(
            pred_score=torch.tensor(rng.random(outputs)),
            gt_score=torch.tensor((rng.random(classes) < 0.5).astype(np.float32)),
            img_path=f'p/s{i}/v{i}.jpg',
            patient_id=f'p{i}',
            study_id=f's{i}',
            view='Frontal',
        )
        for i in range(n)
    ]


@pytest.mark.parametrize('metric', [SharedAUC, SharedStudyAUC])
def test_scores_and_labels_are_matched_by_name_and_the_stamp_says_both(metric, tmp_path):
    out = tmp_path / 'p.npz'
    evaluator = metric(model_classes=NIH, trained_on='ChestX-ray14 official/train', out=str(out))
    meta = dict(dataset='CheXpert', protocol='held-out', split='valid', classes=CHEXPERT)
    evaluator.dataset_meta = meta | dict(scored=SCORED)
    data = samples(40, len(NIH), len(CHEXPERT))
    evaluator.process({}, data)
    values = evaluator.evaluate(40)
    saved = Predictions.load(out)
    assert saved.stamp == 'CheXpert (model of ChestX-ray14 official/train) held-out/valid'
    assert saved.scored is None  # the mean is over all seven
    scores = np.stack([s['pred_score'].numpy() for s in data])
    labels = np.stack([s['gt_score'].numpy() for s in data])
    expected = {}
    for name in saved.classes.tolist():
        column = NIH.index('Effusion' if name == 'Pleural Effusion' else name)
        pair = scores[:, [column]], labels[:, [CHEXPERT.index(name)]]
        expected[name] = roc_auc(*pair)[0]
        assert values[f'auc/{name}'] == pytest.approx(expected[name])
    assert len(expected) == 7
    assert values['auc/mean'] == pytest.approx(np.mean(list(expected.values())))


def test_outputs_that_are_not_the_checkpoint_s_are_refused():
    evaluator = SharedAUC(model_classes=NIH, trained_on='x')
    evaluator.dataset_meta = dict(dataset='d', protocol='p', split='s', classes=CHEXPERT)
    with pytest.raises(ValueError, match='has 5 outputs, its checkpoint names 14 classes'):
        evaluator.process({}, samples(1, 5, 14))
