"""Frames on a socket, as proto/frame.h draws them."""
import struct

import mayfly_pb2

MAX_ENVELOPE = 1 << 20
MAX_TOTAL = 16 << 20  # to the server
MAX_ANSWER = 4 + MAX_ENVELOPE + (1 << 30)  # from it: one document of any size that a server accepts


class Closed(Exception):
    """The server closed the connection."""


def frame(envelope, body=b""):
    """The bytes of one frame; `envelope` is an Envelope or, for what must go wrong, any bytes."""
    packed = envelope if isinstance(envelope, bytes) else envelope.SerializeToString()
    return struct.pack("<II", 4 + len(packed) + len(body), len(packed)) + packed + body


def read_exactly(sock, size):
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise Closed("the server closed the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame(sock):
    """(Envelope, body) of the next frame."""
    total, length = struct.unpack("<II", read_exactly(sock, 8))
    if length > total - 4 or length > MAX_ENVELOPE or total > MAX_ANSWER:
        raise ValueError(f"not a frame: total {total}, envelope {length}")
    envelope = mayfly_pb2.Envelope.FromString(read_exactly(sock, length))
    return envelope, read_exactly(sock, total - 4 - length)
