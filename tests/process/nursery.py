"""A nursery alone, the test being its coordinator: tickets, regions, reports; and what tests of workers share."""
import ctypes
import ctypes.util
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import subprocess
import time

import pytest

from conftest import BIN, START_LIMIT
from crc import crc32c

SOCKET_FD, WORDS_FD, WORDS_SIZE = 3, 4, 4096
STAGES = ["none", "born", "reading", "indexing", "writing", "committing", "done", "serving", "waiting"]
REASONS = ["killed", "done", "retired", "superseded", "cap", "kernel_cap", "corrupt", "write_failed", "disk_full", "orphaned"]
PUT, DELETE, PATCH, LOST, FILTER = range(5)
SETTINGS = {"fields": {}, "searchable": [], "filterable": [], "sortable": [], "language": "en", "stop_words": None,
            "synonyms": {}, "displayed": [], "distinct": None}
F_ADD_SEALS, SEALS = 1033, 0xf
HAS_ARENA = not os.environ.get("MAYFLY_SANITIZE")
MIB = 1 << 20
xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
xxhash.XXH64.restype = ctypes.c_uint64
xxhash.XXH64.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]


def slot(key):
    """Of a document's id."""
    name = str(key).encode()
    return xxhash.XXH64(name, len(name), 0) >> 54


def operation(kind, document_id, body, stamp, position=0):
    """The bytes of proto/batch.h."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body, ensure_ascii=False)
    if isinstance(body, str):
        body = body.encode()
    name = document_id.encode()
    size = (40 + len(name) + len(body) + 7) // 8 * 8
    head = struct.pack("<IBBHQQQII", size, kind, 0, len(name), stamp, xxhash.XXH64(name, len(name), 0), position,
                       len(body), 0)
    return (head + name + body).ljust(size, b"\0")


def region(operations, first, place=(1, 1, 0), task=7):
    payload = b"".join(operations)
    head = struct.pack("<IIIIIIQQQ16x", 0x3142464d, len(operations), *place, crc32c(payload), first, len(payload), task)
    return sealed(head + payload)


def puts(documents, first=1, key="id"):
    """A region that adds documents, stamps rising with sequence numbers."""
    return region([operation(PUT, str(d[key]), d, 1000 + first + i, i) for i, d in enumerate(documents)], first)


def sealed(data):
    fd = os.memfd_create("region", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, F_ADD_SEALS, SEALS)
    return fd


class Words:
    def __init__(self):
        self.fd = os.memfd_create("words", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, WORDS_SIZE)
        self.page = mmap.mmap(self.fd, WORDS_SIZE)

    def close_fd(self):
        os.close(self.fd)  # the mapping stays

    def read(self):
        names = ["used", "peak", "cap", "documents", "documents_total", "bytes", "sequence", "input_segment",
                 "generation"]
        magic, stage, reason, pid = struct.unpack_from("<IIII", self.page, 0)
        found = dict(zip(names, struct.unpack_from("<9Q", self.page, 16)))
        text = self.page[16 + 72 + 48:][:512].split(b"\0")[0].decode()
        return {"magic": magic, "stage": STAGES[stage], "reason": REASONS[reason], "pid": pid, "text": text, **found}


class Worker:
    """A job under way, from the coordinator's side."""

    def __init__(self, job, lifeline, words):
        self.job, self.lifeline, self.words = job, lifeline, words
        self.reports = []
        self.pid = self.pidfd = self.status = None

    def outcome(self):
        """The report that says committed or superseded (its last part), or None."""
        said = [r for r in self.reports if r.committed or r.superseded]
        return said[-1] if said else None

    def refused(self):
        return {r.id: r for report in self.reports for r in report.refused}


class Nursery:
    def __init__(self, internal, data, environment=None):
        self.internal, self.data = internal, data
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.words = Words()
        self.process = self.spawn(theirs.fileno(), environment or {})
        theirs.close()
        self.workers = {}
        self.last_job = 0

    def spawn(self, sock, environment):
        def place_descriptors():
            spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (sock, self.words.fd)]
            os.dup2(spare[0], SOCKET_FD)
            os.dup2(spare[1], WORDS_FD)

        return subprocess.Popen([str(BIN / "mayfly-worker")], cwd=self.data, preexec_fn=place_descriptors,
                                pass_fds=(SOCKET_FD, WORDS_FD), stdin=subprocess.DEVNULL,
                                env={**os.environ, **environment})

    def event(self, limit=START_LIMIT):
        self.socket.settimeout(limit)
        data, fds, _, _ = socket.recv_fds(self.socket, 4096, 4)
        assert data, "the nursery closed its socket"
        return self.internal.NurseryEvent.FromString(data), fds

    def await_ready(self):
        event, _ = self.event()
        assert event.kind == self.internal.NurseryEvent.READY and event.pid == self.process.pid

    def start(self, region_fds=(), cap=256 << 20, urgent=False, **fields):
        self.last_job += 1
        job = self.internal.Job(job=self.last_job, memory_cap=cap, max_document_size=16 << 20, **fields)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = Worker(self.last_job, ours, Words())
        job_fd = sealed(job.SerializeToString())
        fds = [job_fd, worker.words.fd, theirs.fileno(), *region_fds]
        ticket = self.internal.JobTicket(job=self.last_job, urgent=urgent)
        socket.send_fds(self.socket, [ticket.SerializeToString()], fds)
        theirs.close()
        os.close(job_fd)
        worker.words.close_fd()
        self.workers[self.last_job] = worker
        return worker

    def ahead(self, cap=256 << 20, more_fds=()):
        """A worker that waits for its job."""
        self.last_job += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        worker = Worker(self.last_job, ours, Words())
        ticket = self.internal.JobTicket(job=self.last_job, urgent=True, ahead_memory=cap)
        socket.send_fds(self.socket, [ticket.SerializeToString()], [worker.words.fd, theirs.fileno(), *more_fds])
        theirs.close()
        worker.words.close_fd()
        self.workers[self.last_job] = worker
        return worker

    def give(self, worker, documents, first, cap=256 << 20):
        """Its job: to add these."""
        i = self.internal
        job = i.Job(job=worker.job, memory_cap=cap, max_document_size=16 << 20, kind=i.Job.BUILD, epoch=1, segment=worker.job,
                    primary_key="id", place=i.Place(index=1, edition=1, shard=0), settings=json.dumps(SETTINGS).encode(),
                    regions=[i.Range(first=first, end=first + len(documents))])
        fd = puts(documents, first)
        socket.send_fds(worker.lifeline, [job.SerializeToString()], [fd])
        os.close(fd)

    def build(self, region_fds, ranges, segment=1, place=(1, 1, 0), settings=SETTINGS, epoch=1, **fields):
        i = self.internal
        return self.start(region_fds, kind=i.Job.BUILD, epoch=epoch, segment=segment, primary_key="id",
                          place=i.Place(index=place[0], edition=place[1], shard=place[2]),
                          settings=json.dumps(settings).encode(),
                          regions=[i.Range(first=a, end=b) for a, b in ranges], **fields)

    def merge(self, inputs, segment, place=(1, 1, 0), epoch=1, **fields):
        i = self.internal
        return self.start((), kind=i.Job.MERGE, epoch=epoch, segment=segment, inputs=inputs,
                          place=i.Place(index=place[0], edition=place[1], shard=place[2]), **fields)

    def reanalyze(self, segment, stop, resume=1, place=(1, 2, 0), from_edition=1, settings=SETTINGS, epoch=1, **fields):
        i = self.internal
        return self.start((), kind=i.Job.REANALYZE, epoch=epoch, segment=segment, primary_key="id", resume=resume,
                          stop=stop, from_edition=from_edition, settings=json.dumps(settings).encode(),
                          place=i.Place(index=place[0], edition=place[1], shard=place[2]), **fields)

    def survey(self, *places):
        i = self.internal
        return self.start((), kind=i.Job.SURVEY, survey=[i.Place(index=p[0], edition=p[1], shard=p[2]) for p in places])

    def take_event(self, limit):
        event, fds = self.event(limit)
        worker = self.workers.get(event.job)
        if worker and event.kind == self.internal.NurseryEvent.FORKED:
            worker.pid, worker.pidfd = event.pid, fds[0]
        elif worker and event.kind == self.internal.NurseryEvent.REAPED:
            worker.status = event.status
            if worker.pidfd is not None:
                os.close(worker.pidfd)
        return event

    def take_report(self, worker):
        data = worker.lifeline.recv(1 << 17)
        if data:
            assert len(data) <= 64 << 10
            worker.reports.append(self.internal.JobReport.FromString(data))
        return bool(data)

    def run(self, worker, limit=START_LIMIT):
        """Until the worker is reaped and all that it said is read."""
        end, open_end = time.monotonic() + limit, True
        while worker.status is None or open_end:
            left = end - time.monotonic()
            assert left > 0, f"the worker is not done: {worker.words.read()}"
            waits = [self.socket] if worker.status is None else []
            ready, _, _ = select.select(waits + ([worker.lifeline] if open_end else []), [], [], left)
            if self.socket in ready:
                self.take_event(left)
            if worker.lifeline in ready:
                open_end = self.take_report(worker)
        worker.lifeline.close()
        return worker.words.read()

    def close(self):
        self.socket.close()
        return self.process.wait(START_LIMIT)


@pytest.fixture
def make_nursery(internal, directory):
    made = []

    def make(environment=None):
        nursery = Nursery(internal, directory, environment)
        made.append(nursery)
        nursery.await_ready()
        return nursery

    yield make
    for nursery in made:
        if nursery.process.poll() is None:
            assert nursery.close() == 0


@pytest.fixture
def nursery(make_nursery):
    return make_nursery()


def documents(count, first=0, words=12):
    return [{"id": i, "title": f"title {i}", "body": " ".join(f"w{(i * 7 + k * k) % 5000}" for k in range(words))}
            for i in range(first, first + count)]


def segments(worker):
    """(id, is an image) of each live one."""
    return [(s.id, s.image) for s in worker.outcome().state.segments]


def segment_files(directory, place="1/1/0"):
    return sorted(p.name for p in (directory / "indexes" / place).glob("seg-*.mdb"))


def surveyed(nursery, place=(1, 1, 0)):
    worker = nursery.survey(place)
    assert nursery.run(worker)["reason"] == "done"
    assert worker.reports[-1].last
    states = [s for r in worker.reports for s in r.surveyed]
    assert states and not states[-1].more and not states[-1].failed, states
    return states
