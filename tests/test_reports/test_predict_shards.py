"""Shards against one run: the same files byte for byte, whatever is killed and when."""

import json
import os
import sys
from pathlib import Path

import pytest
from builders import NoNetwork

from mlrfnet_mm.reports.predictions.machines.predict_shard import predict_shard
from mlrfnet_mm.reports.predictions.machines.shards import FOLDER, Shards
from mlrfnet_mm.reports.predictions.predict_files import Options, predict_files
from mlrfnet_mm.reports.predictions.writing import pictures

NAMES = ('a-1', 'b', 'bad_1', 'a-2', 'c', 'd-1', 'e', 'a-3', 'bad_2', 'f', 'd-2')
FILES = [Path(f'{name}.png') for name in NAMES]
OPTIONS = Options(scores=True, batch_size=2)


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """Pictures that cost nothing: the scores as text."""

    class Figure:
        def __init__(self, findings):
            self.text = json.dumps(findings)

        def savefig(self, path, dpi):
            path.write_text(self.text)

    monkeypatch.setattr(pictures, 'scores_figure', lambda xray, findings, *_: Figure(findings))


def tree(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob('*')
        if path.is_file() and FOLDER not in path.parts
    }


@pytest.fixture
def expected(tmp_path):
    predict_files(NoNetwork(), FILES, tmp_path / 'one', OPTIONS)
    return tree(tmp_path / 'one')


def shards_of(out, n, files=FILES, options=OPTIONS, **settings):
    return Shards(out, files, n, options, settings)


def run_all(out, n, inferencer=None, order=None, files=FILES):
    inferencer = inferencer or NoNetwork()
    for i in order or range(1, n + 1):
        own, whole = predict_shard(inferencer, shards_of(out, n, files), i)
    return own, whole


@pytest.mark.parametrize('n', [1, 2, 3, 6, 20])  # more than there are batches, too
def test_shards_give_what_one_run_gives(expected, tmp_path, n):
    out = tmp_path / 'out'
    _, whole = run_all(out, n, order=range(n, 0, -1))
    assert tree(out) == expected
    assert whole.count == 11 and [e['file'] for e in whole.errors] == ['bad_1.png', 'bad_2.png']
    assert {path.relative_to(out).as_posix() for path in whole.written} == set(expected)
    ranges = [shards_of(out, n).range(i) for i in range(1, n + 1)]
    assert [k for places in ranges for k in places] == list(range(11))
    assert all(places.start % 2 == 0 for places in ranges if places)


def test_nothing_is_there_before_the_last(tmp_path):
    out, inferencer = tmp_path / 'out', NoNetwork()
    for i in (1, 3):
        own, whole = predict_shard(inferencer, shards_of(out, 3), i)
        assert own.count == len(shards_of(out, 3).range(i)) and whole is None and not tree(out)
    assert shards_of(out, 3).missing() == [2]


def test_what_is_done_is_not_done_again(expected, tmp_path):
    out, inferencer, seen = tmp_path / 'out', NoNetwork(), []
    for i in (1, 1, 2, 3, 3, 1):
        own, whole = predict_shard(inferencer, shards_of(out, 3), i, seen.append)
    assert own is None and whole.count == 11  # joined
    assert sorted(inferencer.predicted) == sorted(f'{name}.png' for name in NAMES)
    assert tree(out) == expected and sum(seen) == 11 + len(shards_of(out, 3).range(1))


def test_two_with_the_same_shard(expected, tmp_path):
    """A job that was thought dead and started again: the first that is done counts."""
    out, inferencer = tmp_path / 'out', NoNetwork()
    shards = shards_of(out, 2)
    with shards.writing(1) as part:
        (part / 'late').touch()
        predict_shard(inferencer, shards_of(out, 2), 1)
    assert not (shards.spool(1) / 'late').exists() and len(list(shards.folder.iterdir())) == 2
    late, joined = Late(out), []
    joined.append(predict_shard(late, shards_of(out, 2), 2)[1])  # the whole is joined meanwhile
    assert joined[0].count == 11 and tree(out) == expected


class Late(NoNetwork):
    """Another process does the same work while this one reads."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def __call__(self, items, **options):
        predict_shard(NoNetwork(), shards_of(self.out, 2), 2)
        return super().__call__(items, **options)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(files=FILES[:-1]), 'files 11, now 10; list '),
        (dict(options=Options(batch_size=2)), 'scores True, now False'),
        (dict(sha256='f00'), "sha256 None, now 'f00'"),
        (dict(n=4), 'shards 3, now 4'),
    ],
)
def test_shards_of_two_calls_are_not_mixed(tmp_path, change, message):
    predict_shard(NoNetwork(), shards_of(tmp_path, 3), 1)
    with pytest.raises(ValueError, match=f'holds shards of another call, with {message}'):
        shards_of(tmp_path, **{'n': 3, **change})


def test_after_the_join_another_call_may_come(tmp_path):
    run_all(tmp_path, 3)
    assert len(list(tmp_path.glob(f'{FOLDER}/*/*'))) == 1  # joined.json
    fewer = shards_of(tmp_path, 1, files=FILES[:3])
    predict_shard(NoNetwork(), fewer, 1)
    assert len(json.loads((tmp_path / 'predictions.json').read_text())['predictions']) == 3
    assert not list(tmp_path.glob('scores/0004*'))  # of the first call
    inferencer = NoNetwork()
    run_all(tmp_path, 3, inferencer)  # the first again: its result was replaced
    assert len(inferencer.predicted) == 11 and (tmp_path / 'scores/0004_a-2.png').is_file()


def test_tables_of_others_are_not_replaced(tmp_path):
    (tmp_path / 'predictions.csv').write_text('mine')
    with pytest.raises(FileExistsError, match='this command did not write'):
        shards_of(tmp_path, 2)


def test_no_digest_by_which_a_study_could_be_found(tmp_path):
    """Its key is another in every call, and gone with the shards."""
    keys = set()
    for name in ('x', 'y'):
        shards = shards_of(tmp_path / name, 2)
        predict_shard(NoNetwork(), shards, 1)
        lines = (shards.spool(1) / 'scratch/records.jsonl').read_text().splitlines()
        keys.add(json.loads(lines[0])['key'])
        run_all(tmp_path / name, 2)
    assert len(keys) == 2 and None not in keys
    left = [path.read_text() for path in tmp_path.rglob('*.json')]
    assert not any(key in text for key in keys for text in left)


EVENTS = {'os.rename', 'os.link', 'os.remove', 'os.rmdir', 'os.mkdir', 'open'}


def dies_at(moment, out, n, files):
    """Run all shards in a child that is gone, as by SIGKILL, at a change of the folder."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    left = [moment]

    def count(event, args):
        if event not in EVENTS or str(out) not in str(args[0]):
            return
        if event == 'open' and not (isinstance(args[1], str) and 'w' in args[1]):
            return
        left[0] -= 1
        if not left[0]:
            os._exit(9)

    sys.addaudithook(count)
    run_all(out, n, files=files)
    os._exit(0)


def test_a_kill_at_any_moment_loses_nothing(tmp_path):
    """At each rename, link, removal, new folder and file that is opened for writing."""
    few = FILES[2:6]
    predict_files(NoNetwork(), few, tmp_path / 'one', OPTIONS)
    expected, moment, status = tree(tmp_path / 'one'), 0, 9
    while status:
        moment += 1
        out = tmp_path / str(moment)
        predict_files(NoNetwork(), few[:2], out, OPTIONS)  # an earlier result
        before = tree(out)
        status = dies_at(moment, out, 2, few)
        for name in ('predictions.json', 'predictions.csv'):
            assert tree(out)[name] in (before[name], expected[name]), moment
        inferencer, shards = NoNetwork(), shards_of(out, 2, few)
        done = shards.joined() is not None
        missing = [] if done else [k for i in shards.missing() for k in shards.range(i)]
        _, whole = run_all(out, 2, inferencer, files=few)
        assert inferencer.predicted == [few[k].name for k in missing], moment
        assert tree(out) == expected and whole.count == 4, moment
        assert not list(out.glob('.predictions.part*')) and not list(shards.folder.glob('*of*'))
    assert moment > 40
