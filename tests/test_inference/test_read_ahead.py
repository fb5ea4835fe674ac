"""Reading ahead against a loop, and how far ahead it goes."""

import threading
import time

import pytest

from mlrfnet_mm.reports.predictions.writing.read_ahead import read_ahead


@pytest.mark.parametrize('threads', [1, 3])
@pytest.mark.parametrize('ahead', [1, 2, 8])
@pytest.mark.parametrize('count', [0, 1, 2, 9])
def test_it_gives_what_a_loop_gives(count, ahead, threads):
    def slow_at_first(i):
        time.sleep(0.002 * (count - i))  # the later ones are ready sooner
        return i * i

    expected = [i * i for i in range(count)]
    assert list(read_ahead(slow_at_first, range(count), ahead, threads)) == expected


def test_no_more_is_taken_than_asked_for():
    begun = []
    results = read_ahead(begun.append, range(100), 5, threads=4)
    for taken in range(1, 20):
        next(results)
        assert len(begun) <= taken + 5
    results.close()
    assert len(begun) <= 25


def test_it_reads_while_the_other_works():
    """The second is read before the first is given back: else this would wait for ever."""
    second = threading.Event()
    results = read_ahead(lambda i: second.set() if i else None, range(2), 2)
    next(results)
    assert second.wait(10)
    results.close()


def test_an_error_comes_in_its_turn():
    results = read_ahead(lambda i: 1 // i, [1, 0, 1], 3)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_stop_begins_nothing_more():
    release, begun = threading.Event(), []

    def read(i):
        begun.append(i)
        release.wait(10) if i else None

    results = read_ahead(read, range(50), 8, threads=1)
    next(results)  # the thread is in the second
    threading.Timer(0.05, release.set).start()
    results.close()
    assert begun[:1] == [0] and len(begun) <= 2
