"""What a node has done and has to do: one SQLite file, whole after a kill at any moment.

It is the audit log, too: rows are only added. It names nobody: instances are known by a keyed
digest (HMAC) of their UIDs, and the key lies in a file of its own next to it.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from mlrfnet_mm.evaluation.files.whole_files import replacing

FILE_NAME, KEY_NAME, LOCK_NAME = 'node.sqlite', 'node.key', 'node.lock'
DONE = 'done'
TABLES = """
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, time TEXT NOT NULL, input TEXT NOT NULL, model TEXT NOT NULL,
    outcome TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_input ON audit (input, model);
CREATE TABLE IF NOT EXISTS waiting (
    archive TEXT NOT NULL, item TEXT NOT NULL, number INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (archive, item));
CREATE TABLE IF NOT EXISTS place (archive TEXT PRIMARY KEY, since INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
"""


class Journal:
    """The journal of one node.

    Threads may share it; of processes, one has it at a time.

    Args:
        folder: where it is kept; made if it is not there, for the node's user alone.

    Raises:
        OSError: the folder cannot be written, or another process has it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = FileLock(self.folder / LOCK_NAME)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise OSError(
                f'{folder} is the state of a node that runs: stop it, or give another --state'
            ) from None
        self._key = self._read_key()
        self._mutex = threading.RLock()
        self._db = sqlite3.connect(
            self.folder / FILE_NAME, isolation_level=None, check_same_thread=False
        )
        try:
            self._db.execute('PRAGMA journal_mode=WAL')
            self._db.execute('PRAGMA synchronous=FULL')  # a row that is there survives a power cut
            self._db.executescript(TABLES)
        except sqlite3.DatabaseError as error:
            self.close()
            raise OSError(f'{self.folder / FILE_NAME}: {error}') from error

    def _read_key(self) -> bytes:
        path = self.folder / KEY_NAME
        if not path.is_file():
            with replacing(path) as part:
                handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(handle, 'w') as file:
                    file.write(secrets.token_hex(32))
        try:
            key = bytes.fromhex(path.read_text())
        except ValueError:
            key = b''
        if len(key) != 32:
            raise OSError(f'{path} is damaged: remove it, and what was done is not recognized')
        return key

    def close(self) -> None:
        """Leave the folder to another process."""
        self._db.close()
        self._lock.release()

    def digest(self, text: str) -> str:
        """Keyed digest of a UID, the same in one journal only."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is there as a whole or not at all."""
        with self._mutex:
            self._db.execute('BEGIN IMMEDIATE')
            try:
                yield
            except BaseException:
                if self._db.in_transaction:  # a full disk has ended it already
                    self._db.execute('ROLLBACK')
                raise
            self._db.execute('COMMIT')

    def done(self, uid: str, model: str) -> bool:
        """Whether an instance has the results of a model."""
        words = (self.digest(uid), model, DONE)
        with self._mutex:
            query = 'SELECT 1 FROM audit WHERE input = ? AND model = ? AND outcome = ? LIMIT 1'
            return self._db.execute(query, words).fetchone() is not None

    def record(self, uid: str, model: str, outcome: str) -> None:
        """Add a line to the audit log.

        Args:
            uid: of the instance; only its digest is kept.
            model: its digest.
            outcome: ``'done'``, or why not, without a word of the patient.
        """
        now = datetime.now(timezone.utc).isoformat(timespec='milliseconds')
        with self._mutex:
            self._db.execute(
                'INSERT INTO audit (time, input, model, outcome) VALUES (?, ?, ?, ?)',
                (now, self.digest(uid), model, outcome),
            )

    def outcomes(self) -> dict[str, int]:
        """How often each outcome is in the audit log."""
        with self._mutex:
            query = 'SELECT outcome, COUNT(*) FROM audit GROUP BY outcome ORDER BY outcome'
            return dict(self._db.execute(query).fetchall())

    def since(self, archive: str) -> int:
        """Number of the last change of an archive that was taken over; 0: none."""
        with self._mutex:
            query = 'SELECT since FROM place WHERE archive = ?'
            row = self._db.execute(query, (archive,)).fetchone()
        return int(row[0]) if row else 0

    def take(self, archive: str, items: list[str], since: int) -> None:
        """Put the instances of an archive's changes on the list, and note how far that was."""
        with self.together():
            for place, item in enumerate(items):
                self._db.execute(
                    'INSERT OR IGNORE INTO waiting (archive, item, number) VALUES (?, ?, ?)',
                    (archive, item, since * 1000 + place),
                )
            self._db.execute(
                'INSERT OR REPLACE INTO place (archive, since) VALUES (?, ?)', (archive, since)
            )

    def next(self, archive: str) -> str | None:
        """What waits: fewest tries first, so that one that fails holds up no other."""
        with self._mutex:
            query = 'SELECT item FROM waiting WHERE archive = ? ORDER BY tries, number LIMIT 1'
            row = self._db.execute(query, (archive,)).fetchone()
        return row[0] if row else None

    def waiting(self, archive: str) -> int:
        """How many wait."""
        with self._mutex:
            query = 'SELECT COUNT(*) FROM waiting WHERE archive = ?'
            return int(self._db.execute(query, (archive,)).fetchone()[0])

    def drop(self, archive: str, item: str) -> None:
        """Take one off the list."""
        with self._mutex:
            query = 'DELETE FROM waiting WHERE archive = ? AND item = ?'
            self._db.execute(query, (archive, item))

    def failed(self, archive: str, item: str) -> None:
        """Put one behind those that were tried less often."""
        with self._mutex:
            query = 'UPDATE waiting SET tries = tries + 1 WHERE archive = ? AND item = ?'
            self._db.execute(query, (archive, item))
