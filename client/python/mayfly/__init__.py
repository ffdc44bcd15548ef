"""A small client of Mayfly, for tests and scripts: one connection, blocking, no threads.

    import mayfly
    with mayfly.connect("/run/mayfly.sock") as m:
        m.add("books", [{"id": 1, "title": "Water"}], wait="searchable")
        for hit in m.search("books", "water").hits:
            print(hit.score, hit.document)

`mayfly_pb2` is generated from proto/mayfly.proto (CMake puts it in build/*/client/python).
"""
from .client import Client, Closed, Failure, Hit, Result, Written, connect, pack_operations
from .wire import MAX_ANSWER, MAX_ENVELOPE, MAX_TOTAL, frame

__all__ = ["Client", "Closed", "Failure", "Hit", "MAX_ANSWER", "MAX_ENVELOPE", "MAX_TOTAL", "Result", "Written", "connect",
           "frame", "pack_operations"]
