#!/usr/bin/python3
"""Starts a server that stays, and returns when it is ready.

    start.py LOG PROGRAM [ARGUMENT...]

Prints its pid as soon as it has one; READY=1 on a notification socket says that it is ready, as it would to systemd. If it
ends before, what it logged is shown and the exit status is 1.
"""
import os
import select
import socket
import subprocess
import sys
import tempfile

LIMIT = 60  # seconds


def await_ready(server, notices):
    """None, or why it is not ready. A notice comes whole."""
    pidfd = os.pidfd_open(server.pid)
    while True:
        ready, _, _ = select.select([notices, pidfd], [], [], LIMIT)
        if notices in ready:
            if b"READY=1" in notices.recv(4096):
                return None
        elif pidfd in ready:
            return f"the server ended with status {server.wait()}"
        else:
            return f"the server was not ready after {LIMIT} s"


def main():
    log_path, *command = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        path = os.path.join(place, "notify")
        notices.bind(path)
        with open(log_path, "wb") as log:
            server = subprocess.Popen(command, env={**os.environ, "NOTIFY_SOCKET": path}, stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log, start_new_session=True)
        print(server.pid, flush=True)
        why = await_ready(server, notices)
    if why:
        with open(log_path, encoding="utf-8", errors="replace") as log:
            sys.exit(log.read() + why)


if __name__ == "__main__":
    main()
