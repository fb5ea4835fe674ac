"""One line of a config brings the numbers of a training to TensorBoard or MLflow as well."""

import pytest
from builders import EARLY, small_runner
from conftest import ROOT
from mmengine.registry import VISBACKENDS

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.reports.output.curves import last_course, read_scalars

pytestmark = pytest.mark.slow

EMA = dict(type='mlrfnet_mm.ExactEMAHook', momentum=0.1)


ONE_LINE = "_base_.visualizer.vis_backends.append(dict(type='TensorboardVisBackend'))"


def test_the_line_of_the_documents_adds_one(tmp_path):
    assert ONE_LINE in (ROOT / 'docs/training.md').read_text()
    config = tmp_path / 'mine.py'
    config.write_text(f"_base_ = 'mlrfnet_mm::mlrfnet_xray14.py'\n\n{ONE_LINE}\n")
    kinds = [backend['type'] for backend in read_config(config).visualizer.vis_backends]
    assert kinds == ['LocalVisBackend', 'TensorboardVisBackend']


def train(folder, **backend):
    """A config whose one line adds the backend; returns what our own log holds."""
    local = read_config(ROOT / 'configs/_base_/default_runtime.py').visualizer.vis_backends
    backends = [*local, backend]
    runner = small_runner(
        folder,
        [dict(EARLY, patience=5), EMA],
        **{'visualizer.vis_backends': backends, 'default_hooks.logger.interval': 1},
    )
    runner.train()
    return last_course(read_scalars(folder))


def by_step(records, key):
    return [(record['step'], record[key]) for record in records]


def test_tensorboard_has_the_numbers_of_our_log(tmp_path):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train_log, val_log = train(tmp_path, type='TensorboardVisBackend')
    (file,) = tmp_path.rglob('events.out.tfevents.*')
    events = EventAccumulator(str(file.parent))
    events.Reload()
    for key, records in [('loss', train_log), ('val/loss', val_log), ('auc/mean', val_log)]:
        found = [(event.step, event.value) for event in events.Scalars(key)]
        expected = by_step(records, key)
        assert len(expected) == (12 if key == 'loss' else 2)
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in expected]


@pytest.fixture(params=['file', 'sqlite'])
def mlflow(request, tmp_path, monkeypatch):
    """MLflow, and the address of a store in a folder of its own."""
    module = pytest.importorskip('mlflow')
    monkeypatch.setenv('MLFLOW_DISABLE_TELEMETRY', 'true')  # no test asks a server
    if request.param == 'file':
        monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')  # asked for since MLflow 3
        uri = f'file://{tmp_path}/store'
    else:
        pytest.importorskip('sqlalchemy')
        pytest.importorskip('alembic')
        monkeypatch.chdir(tmp_path)  # artifacts
        uri = f'sqlite:///{tmp_path}/mlflow.db'
    before = module.get_tracking_uri()
    yield module, uri
    if module.active_run():
        module.end_run()
    module.set_tracking_uri(before)


def only_run(mlflow, uri):
    client = mlflow.MlflowClient(uri)
    (experiment,) = client.search_experiments()
    (run,) = client.search_runs([experiment.experiment_id])
    return client, run


def test_mlflow_s_local_store_has_the_numbers_and_the_config(tmp_path, mlflow):
    module, uri = mlflow
    work_dir = tmp_path / 'w'
    train_log, val_log = train(work_dir, type='MLflowVisBackend', tracking_uri=uri)
    client, run = only_run(module, uri)
    for key, records in [('loss', train_log), ('val/loss', val_log), ('auc/mean', val_log)]:
        history = client.get_metric_history(run.info.run_id, key)
        found = sorted((metric.step, metric.value) for metric in history)
        expected = by_step(records, key)
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in expected]
    assert run.info.status == 'FINISHED'
    assert run.data.params['custom_hooks.1.momentum'] == '0.1'


def test_mlflow_takes_the_config_of_a_real_training(tmp_path, mlflow):
    """Its lengths of values and its characters in names have limits."""
    module, uri = mlflow
    backend = VISBACKENDS.build(
        dict(type='MLflowVisBackend', save_dir=str(tmp_path / 'v'), tracking_uri=uri)
    )
    cfg = read_config('recipes/eva02_small_518')
    cfg.work_dir = str(tmp_path / 'v')
    backend.add_config(cfg)
    backend.close()
    _, run = only_run(module, uri)
    assert run.data.params['model.head.type'] == 'mlrfnet_mm.MRFCHead'
