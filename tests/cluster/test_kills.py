"""Twenty kills; kill_lab.py is the command for more."""
import os
import time

from conftest import note
from kill_lab import Lab

SLOW = 5 if os.environ.get("MAYFLY_SANITIZE") else 1


def test_nothing_acknowledged_is_lost_or_doubled_whatever_is_killed(make_server):
    seed = int(os.environ.get("MAYFLY_KILL_SEED", time.time()))
    print(f"MAYFLY_KILL_SEED={seed}")
    server = make_server(shards=2)
    if SLOW > 1:
        note(f"search may take {2 * SLOW} s to be back after a kill: sanitizers are slow")
    lab = Lab(server, seed, 2.0 * SLOW, print)
    wrong = lab.run(20)
    print(lab.report())
    assert not wrong, "\n".join(wrong[:10]) + "\n" + server.log()
