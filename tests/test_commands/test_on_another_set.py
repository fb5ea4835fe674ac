"""``mlrfnet test --on`` from a checkpoint to a made folder of one finding, as a user runs it."""

import sys

import numpy as np
import pytest
import torch
from public_sets import write_image, write_table

from mlrfnet_mm.datasets.published.chestxray14.tables import FINDINGS
from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.evaluation import Predictions
from mlrfnet_mm.inference.loaded_model import load_model
from mlrfnet_mm.inference.pipeline import compose
from mlrfnet_mm.models import build_model

POSITIVE = [name == 'n1' for name in (f'n{i}' for i in range(6))]


def test_a_model_of_fourteen_findings_on_a_set_of_one(tmp_path, run):
    pytest.importorskip('pydicom')
    root = tmp_path / 'rsna'
    rows = [f'n{i},1,2,3,4,1' if yes else f'n{i},,,,,0' for i, yes in enumerate(POSITIVE)]
    header = 'patientId,x,y,width,height,Target'
    write_table(root / 'stage_2_train_labels.csv', [header, *rows])
    for i in range(len(rows)):
        write_image(root / 'stage_2_train_images' / f'n{i}.dcm', i, shape=(72, 72))
    cfg = read_config('mlrfnet_phantom')
    cfg.model.backbone = dict(type='mmpretrain.ResNet', depth=18, out_indices=(1, 2, 3))
    model = build_model(cfg.model)
    meta = dict(dataset='ChestX-ray14', protocol='official', split='train', classes=FINDINGS)
    meta = dict(cfg=cfg.pretty_text, dataset_meta=meta)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), tmp_path / 'c.pth')
    (tmp_path / 'c.py').write_text(cfg.pretty_text)
    command = [sys.executable, '-m', 'mlrfnet_mm', 'test', tmp_path / 'c.py', tmp_path / 'c.pth']
    command += ['--on', 'rsna', '--out', tmp_path / 'p.npz', '--work-dir', tmp_path / 'w']
    done = run(*command, env=dict(RSNA_PNEUMONIA_ROOT=str(root)))
    assert (
        'RSNA Pneumonia image-hash/all has images of ChestX-ray14, and so has'
        in done.stderr + done.stdout
    )
    saved = Predictions.load(tmp_path / 'p.npz')
    assert saved.stamp == (
        'RSNA Pneumonia (model of ChestX-ray14 official/train; same images) image-hash/all'
    )
    assert saved.classes.tolist() == ['Pneumonia'] and saved.labels[:, 0].tolist() == POSITIVE
    loaded = load_model(tmp_path / 'c.pth', cfg, 'cpu')
    steps = compose(cfg.test_dataloader.dataset.pipeline[:2])
    for i, score in enumerate(saved.scores[:, 0]):
        image = steps(dict(img_path=str(root / f'stage_2_train_images/n{i}.dcm')))['img']
        batch = dict(inputs=[torch.from_numpy(np.ascontiguousarray(image))[None]])
        inputs = loaded.model.data_preprocessor(batch, False)['inputs']
        with torch.no_grad():
            logits = loaded.model.head(loaded.model.extract_feat(inputs))[0]
        own = float(logits.sigmoid()[FINDINGS.index('Pneumonia')])
        assert score == pytest.approx(own, abs=1e-5)
