"""What both transports do with an instance, and how they wait for one who does not answer."""

import threading
from collections.abc import Callable
from typing import Protocol

from mlrfnet_mm.node.journal import DONE, Journal
from mlrfnet_mm.node.predictor import Predictor, read_instance

LONGEST_WAIT = 60.0  # seconds between two tries


class Unavailable(Exception):
    """Whoever takes the results cannot do so now: to be tried again. The text names no patient."""


class Refused(Exception):
    """Whoever takes the results will never take this one. The text names no patient."""


class Receiver(Protocol):
    """Where results go."""

    def send(self, file: bytes) -> None:
        """Hand over a DICOM file.

        Raises:
            Unavailable: not now.
            Refused: never.
        """

    def holds(self, uid: str) -> bool:
        """Whether an instance that was sent is still there, as far as one can ask."""


class Worker:
    """Predicts an instance once per model, whatever happens in between.

    Results are sent, then the journal says so. A kill in between leads to a repeat, which has the
    same UIDs and so replaces what it finds.

    Args:
        predictor: the model.
        journal: what was done.
        receiver: where results go.
        say: takes a line for whoever runs the node; it names no patient.
    """

    def __init__(
        self,
        predictor: Predictor,
        journal: Journal,
        receiver: Receiver,
        say: Callable[[str], None] = print,
    ) -> None:
        self.predictor, self.journal, self.receiver, self.say = predictor, journal, receiver, say

    def outcome(self, data: bytes) -> tuple[str, str]:
        """Predict a file and send its results.

        Returns:
            UID of the instance, and what to write of it into the journal; ``''``: nothing, as it
            is there already or is the node's own.

        Raises:
            Unavailable: see :class:`Receiver`; all is to be done again.
        """
        instance = read_instance(data)
        if instance.own:
            return instance.uid, ''
        if instance.refused:
            return instance.uid, self._left(instance.refused)
        uids = self.predictor.uids(instance)
        if self.journal.done(instance.uid, self.predictor.digest) and all(
            map(self.receiver.holds, uids)
        ):
            return instance.uid, ''
        try:
            files, why = self.predictor(instance)
        except (KeyboardInterrupt, ImportError):
            raise
        except Exception as error:  # one image must not end the node, nor begin it for ever
            files, why = [], f'no result could be made ({type(error).__name__})'
        if why:
            return instance.uid, self._left(why)
        refused = ''
        for file in files:
            try:
                self.receiver.send(file)
            except Refused as error:  # the other one may be taken
                refused = f'results refused: {error}'
        return instance.uid, refused or DONE

    @staticmethod
    def _left(why: str) -> str:
        return f'left: {why}'

    def write(self, uid: str, outcome: str) -> None:
        """Write an outcome into the journal, and say it."""
        if outcome:
            self.journal.record(uid, self.predictor.digest, outcome)
            self.say(f'{self.journal.digest(uid)[:12]}  {outcome}')


class Patience:
    """Waits longer after each failure, and says the first of a row and its end.

    Args:
        say: takes a line.
        stop: set when the node is to end, which ends a wait, too.
    """

    def __init__(self, say: Callable[[str], None], stop: threading.Event) -> None:
        self._say, self._stop = say, stop
        self._failures, self._said = 0, ''

    def failed(self, error: Exception) -> None:
        """Say a failure that is not the last one's, and wait."""
        if str(error) != self._said:
            self._said = str(error)
            self._say(f'WAITING     {error}; nothing is lost, it is tried again')
        self._stop.wait(min(2.0**self._failures, LONGEST_WAIT))
        self._failures += 1

    def succeeded(self) -> None:
        """Forget the failures."""
        if self._said:
            self._say('going on')
        self._failures, self._said = 0, ''
