"""mlrfnet node, from the words of the command line to the report in the archive."""

import signal
import sqlite3
from io import BytesIO

import pytest
from builders import small_checkpoint
from node_parts import FakeOrthanc, Model, make_xray

import mlrfnet_mm
from mlrfnet_mm.commands import call
from mlrfnet_mm.commands.node import parse_args
from mlrfnet_mm.node.predictor import Predictor
from mlrfnet_mm.xrays.files import Limits

for package in ('pydicom', 'highdicom', 'pynetdicom', 'requests'):
    pytest.importorskip(package)


@pytest.fixture(autouse=True)
def signals():
    """The command takes over those that end it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.slow
def test_a_checkpoint_next_to_an_archive(phantom, tmp_path, capsys):
    import highdicom

    checkpoint = small_checkpoint(tmp_path / 'model', phantom)
    data = make_xray(tmp_path / 'x.dcm', 1)
    (tmp_path / 'same.dcm').write_bytes(data)
    inferencer = mlrfnet_mm.CXRInferencer(weights=checkpoint, limits=Limits(32))
    (expected,) = inferencer(tmp_path / 'same.dcm')['predictions']
    with FakeOrthanc() as fake:
        fake.add(data)
        words = ['--model', str(checkpoint), '--orthanc', fake.url, '--once', '--device', 'cpu']
        call('node', [*words, '--least-side', '32', '--state', str(tmp_path / 'state')])
        files = [fake.files[fake.uids[uid]] for uid in fake.results()]
    said = capsys.readouterr().out
    assert mlrfnet_mm.NOTICE in said and '1   done' in said and 'Doe' not in said
    report = highdicom.sr.srread(BytesIO(files[0]))
    scores = {
        group.tracking_identifier: group.get_measurements()[0].value
        for group in report.content.get_image_measurement_groups()
    }
    wanted = {name: row['score'] for name, row in expected['findings'].items()}
    assert scores == pytest.approx(wanted, abs=1e-9) and len(scores) == 14
    assert len(files) == 2


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('--orthanc http://a --listen A:1', 'not allowed with argument'),
        ('', 'one of the arguments --orthanc --listen is required'),
        ('--listen A:1', '--listen and --send go together'),
        ('--orthanc http://a --send B@c:1', '--listen and --send go together'),
        ('--orthanc http://a --tls-cert x', '--tls-cert and --tls-key go together'),
        ('--orthanc http://a --tls-ca nowhere.pem', '--tls-ca: no file nowhere.pem'),
    ],
)
def test_words_that_do_not_go_together(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_args(['--model', 'm', *words.split()], 'mlrfnet node')
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_a_state_that_cannot_be_written_ends_it_in_one_line(monkeypatch, capsys, tmp_path):
    def full(*_):
        raise sqlite3.OperationalError('database or disk is full')

    monkeypatch.setattr('mlrfnet_mm.commands.node.make_predictor', lambda args: Predictor(Model()))
    monkeypatch.setattr('mlrfnet_mm.commands.node.run', full)
    with pytest.raises(SystemExit) as stop:
        call('node', ['--model', 'm', '--orthanc', 'http://a', '--state', str(tmp_path)])
    lines = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and lines == [f'mlrfnet node: {tmp_path}: database or disk is full']


def test_sigterm_ends_it_after_the_image_at_hand(monkeypatch, capsys, tmp_path):
    def work(args, predictor, journal, stop):
        signal.raise_signal(signal.SIGTERM)
        assert stop.wait(5)
        journal.record('1.2', 'a', 'done')

    monkeypatch.setattr('mlrfnet_mm.commands.node.make_predictor', lambda args: Predictor(Model()))
    monkeypatch.setattr('mlrfnet_mm.commands.node.run', work)
    call('node', ['--model', 'm', '--orthanc', 'http://a', '--state', str(tmp_path)])
    assert '1   done' in capsys.readouterr().out


def test_an_extra_that_is_not_installed(monkeypatch, capsys):
    monkeypatch.setattr('mlrfnet_mm.commands.node.PACKAGES', ('pydicom', 'no_such_package'))
    with pytest.raises(SystemExit) as stop:
        call('node', ['--model', 'm', '--orthanc', 'http://a'])
    message = "a node needs no_such_package: pip install 'mlrfnet-mm[node]'"
    assert stop.value.code == 2 and message in capsys.readouterr().err
