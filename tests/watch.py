"""Waiting for what other processes do to files: inotify(7), which Python has not."""
import ctypes
import os
import select
import time

MODIFIED, CLOSED, GONE = 0x002, 0x008 | 0x010, 0x400  # IN_MODIFY, IN_CLOSE_WRITE | IN_CLOSE_NOWRITE, IN_DELETE_SELF
NONBLOCK, CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC

libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """What happens to these files (or in these directories) from now on."""

    def __init__(self, *paths, events=MODIFIED | CLOSED | GONE):
        self.fd = libc.inotify_init1(NONBLOCK | CLOEXEC)
        assert self.fd >= 0, os.strerror(ctypes.get_errno())
        for path in paths:
            if libc.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(events)) < 0:
                raise OSError(ctypes.get_errno(), f"{path} cannot be watched")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def wait(self, claim, limit=120.0):
        """Until claim() holds: looked at now, and again whenever something has happened."""
        end = time.monotonic() + limit
        while not claim():
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"not within {limit} s"
            os.read(self.fd, 1 << 16)
