"""What the tests of the node share: a model of numpy alone, X-rays, and an Orthanc of a dict."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import numpy as np
from dicom_files import write_dicom

from mlrfnet_mm import NOTICE
from mlrfnet_mm.evaluation import Calibration, Thresholds
from mlrfnet_mm.inference.decisions import Decisions, ranked
from mlrfnet_mm.inference.results import record
from mlrfnet_mm.node.predictor import Predictor
from mlrfnet_mm.node.results import derived_uid
from mlrfnet_mm.xrays.files import Limits, read_xray

FINDINGS = ('Effusion', 'Hernia', 'Pleural_Thickening')
CR, SC, SR = (f'1.2.840.10008.5.1.4.1.1.{end}' for end in ('1', '7', '88.33'))
CERTIFICATES = [  # openssl: a certificate for localhost that is its own authority
    'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj',
    '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
]  # fmt: skip


class Model:
    """Scores from the mean gray level; ``mapper`` and the call are those of an inferencer."""

    default_method = 'score_maps'

    def __init__(self, calibrated=True, maps=True, name='stub'):
        calibration = thresholds = None
        if calibrated:  # Hernia: one label value in validation, so nothing is known
            known = np.array([1.0, np.nan, 1.0])
            calibration = Calibration(FINDINGS, 'platt', 2 * known, 0 * known, 'made up')
            thresholds = Thresholds(FINDINGS, 'youden', 0.5 * known, 'calibrated', 'made up')
        self.decisions = Decisions(FINDINGS, calibration, thresholds)
        self.stamp = dict(
            model=name, sha256='0123456789ab', **self.decisions.stamp(), notice=NOTICE
        )
        self.maps, self.calls = maps, 0

    def mapper(self):
        if not self.maps:
            raise ValueError('no maps')

    def __call__(self, source, heatmap, top, map_side):
        self.calls += 1
        item = dict(source=source)
        try:
            item['xray'] = xray = read_xray(source, Limits(16))
        except Exception as error:
            return dict(
                predictions=[record(dict(item, error=f'{type(error).__name__}: {error}'), False)],
                visualization=[{}], images=[None], stamp=self.stamp,
            )  # fmt: skip
        scores = np.clip(xray.pixels.mean() / 255 + np.array([0.1, 0, -0.1]), 0.01, 0.99)
        item['findings'] = self.decisions.read(scores, ('image',))
        chosen = ranked(item['findings'])[:top] if heatmap else ()
        heats = {name: np.arange(64.0).reshape(8, 8).astype(np.float32) for name in chosen}
        return dict(
            predictions=[record(item, False)],
            visualization=[heats],
            images=[xray],
            stamp=self.stamp,
        )


def no_picture(*_):
    """In place of the drawing, which takes longest."""
    return np.zeros((8, 8, 3), np.uint8)


def make_xray(path, number=0, pixels=None, **tags):
    """A CR of its own study, with all that a hospital writes; bytes."""
    if pixels is None:
        pixels = np.random.default_rng(number).integers(0, 3000, (64, 48)).astype(np.uint16)
    default = dict(
        SOPClassUID=CR, Modality='CR', SOPInstanceUID=f'1.2.826.0.1.9.{number}',
        StudyInstanceUID=f'1.2.826.0.1.8.{number}', SeriesInstanceUID=f'1.2.826.0.1.7.{number}',
        PatientBirthDate='19500101', PatientSex='F', StudyDate='20200101', StudyTime='101010',
        AccessionNumber=f'A{number}', StudyID='7', ReferringPhysicianName='Roe^John',
        BodyPartExamined='CHEST', WindowCenter=1500, WindowWidth=3000,
    )  # fmt: skip
    tags = default | tags
    path = write_dicom(path, pixels, **tags)
    data = path.read_bytes()
    if tags['SOPClassUID'] != '1.2.840.10008.5.1.4.1.1.1.1' or 'SOPInstanceUID' in tags:
        import pydicom

        ds = pydicom.dcmread(BytesIO(data))  # the file's meta header follows the data set
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        stream = BytesIO()
        ds.save_as(stream, enforce_file_format=True)
        data = stream.getvalue()
    return data


def expected_results(numbers, digest=None):
    """SOP Instance UIDs that the X-rays of these numbers get."""
    digest = digest or Predictor(Model()).digest
    return {
        derived_uid(f'1.2.826.0.1.9.{n}', digest, kind)
        for n in numbers
        for kind in ('report', 'picture')
    }


class FakeOrthanc:
    """What a node asks of an Orthanc, with its faults on demand; closes as a context manager.

    Attributes:
        files: identifier → bytes.
        posts: SOP Instance UID of each instance that was sent to it, in order.
        fault: called with method and path before a request is answered; an HTTP status, or None.
    """

    def __init__(self, port=0, context=None):
        self.files, self.tags, self.changes, self.posts = {}, {}, [], []
        self.uids, self.asked = {}, threading.Event()
        self.fault, self.user = lambda method, path: None, None
        self._mutex, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize = 'HTTP/1.1', -1

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.answer(self, 'GET', b'')

            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                outer.answer(self, 'POST', body)

        self.server = ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client was killed
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f'http{"s" if context else ""}://127.0.0.1:{self.port}'
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, data):
        """Store a file as C-STORE would; return whether it is new."""
        import pydicom

        ds = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
        uid = str(ds.SOPInstanceUID)
        item = hashlib.sha1(uid.encode()).hexdigest()
        with self._mutex:
            new = item not in self.files
            if new:
                self.files[item] = data
                self.uids[uid] = item
                self.tags[item] = dict(
                    Modality=str(ds.Modality), Manufacturer=str(ds.get('Manufacturer', ''))
                )
                kinds = ('NewInstance', 'NewSeries')  # and others, which are not for the node
                for kind in kinds:
                    self.changes.append(dict(ChangeType=kind, ID=item, Seq=len(self.changes) + 1))
        return new

    def results(self):
        """SOP Instance UIDs of what a node made."""
        with self._mutex:
            own = {i for i, tags in self.tags.items() if tags['Manufacturer'] == 'mlrfnet-mm'}
            return [uid for uid, item in self.uids.items() if item in own]

    def answer(self, request, method, body):
        path = request.path
        self.asked.set()
        code, found = self.fault(method, path), b''
        if self.user and request.headers.get('Authorization') != self.user:
            code = 401
        if code is None:
            code, found = self.found(path, body)
        request.send_response(code)
        request.send_header('Content-Length', str(len(found)))
        request.end_headers()
        request.wfile.write(found)

    def found(self, path, body):
        parts = path.strip('/').split('/')
        if path == '/changes?last':
            return 200, json.dumps(dict(Changes=[], Done=True, Last=len(self.changes))).encode()
        if path.startswith('/changes?since='):
            since, limit = (int(part.split('=')[1]) for part in path.split('?')[1].split('&'))
            page = self.changes[since : since + limit]
            last = page[-1]['Seq'] if page else since
            done = last >= len(self.changes)
            return 200, json.dumps(dict(Changes=page, Done=done, Last=last)).encode()
        if path == '/instances':
            import pydicom

            ds = pydicom.dcmread(BytesIO(body), stop_before_pixels=True)
            self.posts.append(str(ds.SOPInstanceUID))
            self.add(body)
            return 200, b'{}'
        if path == '/tools/lookup':
            there = [dict(Type='Instance')] if body.decode() in self.uids else []
            return 200, json.dumps(there).encode()
        if parts[1] not in self.files:
            return 404, b'{}'
        if parts[2] == 'file':
            return 200, self.files[parts[1]]
        return 200, json.dumps(dict(MainDicomTags=self.tags[parts[1]])).encode()


def until(condition, seconds=20):
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.01)
