"""A server in a thread of the test, for what needs real sockets, and requests by hand."""

import socket
import threading
from contextlib import contextmanager


@contextmanager
def running(app):
    """Yield the port."""
    import uvicorn

    config = uvicorn.Config(app, log_level='error', access_log=False, lifespan='on', ws='none')
    server = uvicorn.Server(config)
    with socket.create_server(('127.0.0.1', 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs=dict(sockets=[listening]))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), 'the server did not start'
                thread.join(0.02)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


def form(*files, boundary=b'xxBOUNDARYxx'):
    """Body of a multipart form from (name, bytes), written by hand."""
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n'
        % (boundary, name.encode(), data)
        for name, data in files
    ]
    return b''.join(parts) + b'--%s--\r\n' % boundary


FORM = 'multipart/form-data; boundary=xxBOUNDARYxx'


def head_of(length, host='localhost'):
    """Head of a request to /predict whose body has so many bytes."""
    return (
        f'POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FORM}\r\n'
        f'Content-Length: {length}\r\n\r\n'
    ).encode()
