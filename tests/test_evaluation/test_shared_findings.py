import numpy as np
import pytest
import torch

from mlrfnet_mm.datasets.published.chestx_det.tables import FINDINGS as DET
from mlrfnet_mm.datasets.published.chestxray14.radiologists import RADIOLOGISTS
from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS as NIH
from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS as CHEXPERT
from mlrfnet_mm.datasets.published.chexpert.tables import SCORED
from mlrfnet_mm.datasets.published.padchest.labels import LABELS
from mlrfnet_mm.datasets.published.vindr_cxr.tables import ALL_FINDINGS as VINDR
from mlrfnet_mm.evaluation import Predictions, roc_auc
from mlrfnet_mm.evaluation.metrics import SharedAUC, SharedStudyAUC, shared_findings
from mlrfnet_mm.evaluation.metrics.synonyms import NEAR, SAME, are_near, finding, spelled

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
    for name, (i,) in zip(shared.names, shared.model, strict=True):
        assert model[i] == name or {model[i], name} == {'Effusion', 'Pleural Effusion'}


def test_nothing_shared_is_refused():
    with pytest.raises(ValueError, match=r'the model \(Hernia\) and the data set \(Edema\) share'):
        shared_findings(['Hernia'], ['Edema'])


@pytest.mark.parametrize(
    ('one', 'other', 'same', 'near'),
    [
        ('Pleural_Thickening', 'pleural  thickening', True, False),
        ('Effusion', 'pleural effusion', True, False),
        ('Fibrosis', 'Pulmonary fibrosis', True, False),
        ('Mass', 'pulmonary mass', True, False),
        ('Infiltration', 'infiltrates', True, False),
        ('Nodule or mass', 'Nodule/Mass', True, False),
        ('Edema', 'pulmonary edema', True, False),
        ('pulmonary mass', 'Nodule or mass', False, True),
        ('Hernia', 'hiatal hernia', False, True),
        ('Lung Opacity', 'Airspace opacity', False, True),
        ('emphysema', 'subcutaneous emphysema', False, False),
        ('Nodule', 'Mass', False, False),
        ('Pneumonia', 'Consolidation', False, False),
        ('Hernia', 'Edema', False, False),
    ],
)
def test_pairs(one, other, same, near):
    for pair in ((one, other), (other, one)):
        assert (finding(pair[0]) == finding(pair[1])) == same
        assert are_near(*pair) == near


def test_every_entry_is_one_claim_about_names_that_some_set_has():
    sets = [NIH, CHEXPERT, VINDR, LABELS, DET, RADIOLOGISTS, ('Infiltrate',)]
    names = {spelled(name) for classes in sets for name in classes}
    pairs = [frozenset((finding(e.name), finding(e.other))) for e in NEAR]
    assert len(set(pairs)) == len(pairs) and all(len(pair) == 2 for pair in pairs)
    for entry in (*SAME, *NEAR):
        assert spelled(entry.name) in names and spelled(entry.other) in names, entry
        assert spelled(entry.name) != spelled(entry.other) and entry.reason
    # one step leads to the common name: no chains
    assert not {spelled(e.other) for e in SAME} & {spelled(e.name) for e in SAME}


def test_near_ones_take_the_greatest_score_and_say_so():
    names = ('Nodule/Mass (near Mass, Nodule)', 'Pneumothorax')
    shared = shared_findings(NIH, ('Nodule/Mass', 'Pneumothorax'), near=True)
    assert shared.names == names
    places = [[NIH.index('Mass'), NIH.index('Nodule')], [NIH.index('Pneumothorax')]]
    assert [sorted(columns) for columns in shared.model] == places
    assert shared_findings(NIH, ('Nodule/Mass', 'Pneumothorax')).data == [1]
    with pytest.raises(ValueError, match='--near takes those that are only near: Nodule/Mass'):
        shared_findings(NIH, ('Nodule/Mass',))
    evaluator = SharedAUC(NIH, 'x', near=True)
    evaluator.dataset_meta = dict(dataset='d', protocol='p', split='s', classes=('Nodule/Mass',))
    data = samples(30, len(NIH), 1)
    evaluator.process({}, data)
    scores = np.stack([s['pred_score'].numpy()[places[0]].max() for s in data])[:, None]
    labels = np.stack([s['gt_score'].numpy() for s in data])
    assert evaluator.evaluate(30)[f'auc/{names[0]}'] == pytest.approx(roc_auc(scores, labels)[0])


def test_labels_that_are_packed_apart_are_those_that_count():
    evaluators = [SharedAUC(NIH, 'x') for _ in range(2)]
    data = samples(30, len(NIH), 2)
    apart = [{**s, 'gt_score': 1 - s['gt_score'], 'other_score': s['gt_score']} for s in data]
    values = []
    for evaluator, part in zip(evaluators, (data, apart), strict=True):
        evaluator.dataset_meta = dict(
            dataset='d', protocol='p', split='s', classes=('Mass', 'Edema')
        )
        evaluator.process({}, part)
        values.append(evaluator.evaluate(30))
    assert values[0] == values[1] and len(values[0]) == 3


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
