"""Kills a process exactly between its fork and what it does next: ptrace(2) stops it there."""
import ctypes
import os
import signal

import pytest

SEIZE, GETEVENTMSG, CONTINUE, DETACH = 0x4206, 0x4201, 7, 17
TRACE_FORK, FORK_EVENT = 0x02, signal.SIGTRAP | 1 << 8
ANY_KIND = 0x40000000  # __WALL

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def kill_at_fork(parent, begin):
    """begin() makes `parent` fork sooner or later. It is killed once it has; the pid of its child, which goes on."""
    if libc.ptrace(SEIZE, parent, None, TRACE_FORK) < 0:
        pytest.skip(f"no ptrace here: {os.strerror(ctypes.get_errno())}")
    begin()
    while (status := os.waitpid(parent, ANY_KIND)[1]) >> 8 != FORK_EVENT:
        assert os.WIFSTOPPED(status), status
        assert libc.ptrace(CONTINUE, parent, None, os.WSTOPSIG(status)) == 0  # a signal, as of an earlier child's end
    child = ctypes.c_ulong()
    assert libc.ptrace(GETEVENTMSG, parent, None, ctypes.addressof(child)) == 0
    os.waitpid(child.value, ANY_KIND)  # it is stopped before its first instruction
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, ANY_KIND)  # for us; its real parent hears of it now
    assert libc.ptrace(DETACH, child.value, None, None) == 0
    return child.value
