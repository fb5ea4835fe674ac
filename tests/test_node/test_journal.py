"""The journal of a node: whole, only added to, and without a word of the patient."""

import os
import sqlite3
import stat

import pytest

from mlrfnet_mm.node.journal import DONE, Journal

UID = '1.2.840.99.1'


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / 'state')
    yield journal
    journal.close()


def test_what_was_done_is_known_after_a_restart(tmp_path):
    journal = Journal(tmp_path)
    journal.record(UID, 'a', DONE)
    journal.record('2', 'a', 'left: view is not frontal')
    journal.close()
    journal = Journal(tmp_path)
    assert journal.done(UID, 'a')
    assert not journal.done(UID, 'b'), 'another model'
    assert not journal.done('2', 'a'), 'left is not done'
    assert journal.outcomes() == {DONE: 1, 'left: view is not frontal': 1}
    journal.close()


def test_no_uid_is_in_any_file(journal):
    journal.record(UID, 'a', DONE)
    for path in journal.folder.iterdir():
        assert UID.encode() not in path.read_bytes(), path
    assert journal.digest(UID) == journal.digest(UID) != journal.digest(UID + '1')


def test_another_journal_has_another_key(journal, tmp_path):
    other = Journal(tmp_path / 'other')
    assert other.digest(UID) != journal.digest(UID)
    other.close()


def test_the_key_is_for_the_user_alone(journal):
    assert stat.S_IMODE(os.stat(journal.folder / 'node.key').st_mode) == 0o600
    assert stat.S_IMODE(os.stat(journal.folder).st_mode) == 0o700


def test_a_damaged_key_is_said(tmp_path):
    (tmp_path / 'node.key').write_text('no key')
    with pytest.raises(OSError, match='node.key is damaged'):
        Journal(tmp_path)


def test_a_damaged_file_is_said(tmp_path):
    (tmp_path / 'node.sqlite').write_text('no database' * 99)
    with pytest.raises(OSError, match='node.sqlite: file is not a database'):
        Journal(tmp_path)


@pytest.mark.parametrize('change', ['UPDATE audit SET outcome = "x"', 'DELETE FROM audit'])
def test_the_audit_log_is_only_added_to(journal, change):
    journal.record(UID, 'a', DONE)
    with pytest.raises(sqlite3.IntegrityError, match='only added to'):
        journal._db.execute(change)
    assert journal.outcomes() == {DONE: 1}


def test_two_nodes_do_not_share_a_folder(journal):
    with pytest.raises(OSError, match='is the state of a node that runs'):
        Journal(journal.folder)


def test_all_or_nothing(journal):
    journal.take('url', ['x'], 7)
    with pytest.raises(ZeroDivisionError), journal.together():
        journal.record(UID, 'a', DONE)
        journal.drop('url', 'x')
        1 / 0  # noqa: B018
    assert not journal.outcomes() and journal.next('url') == 'x' and journal.since('url') == 7


def test_fewest_tries_first_then_the_oldest(journal):
    journal.take('url', ['b', 'a'], 2)
    journal.take('url', ['c', 'a'], 4)
    journal.take('other', ['z'], 1)
    seen = []
    for _ in range(4):
        seen.append(journal.next('url'))
        journal.failed('url', seen[-1])
    assert seen == ['b', 'a', 'c', 'b'] and journal.waiting('url') == 3
    assert journal.since('url') == 4 and journal.since('nowhere') == 0


def test_a_full_disk_loses_nothing(tmp_path):
    journal = Journal(tmp_path)
    pages = journal._db.execute('PRAGMA page_count').fetchone()[0]
    journal._db.execute(f'PRAGMA max_page_count = {pages + 1}')
    with pytest.raises(sqlite3.OperationalError, match='full'):
        for number in range(10_000):
            with journal.together():
                journal.record(str(number), 'a', DONE)
    journal.close()
    journal = Journal(tmp_path)
    assert all(journal.done(str(n), 'a') for n in range(number)) and not journal.done('-1', 'a')
    journal.close()
