"""Twenty kills; kill_lab.py is the command for more."""
import os
import time

from kill_lab import Lab

LIMIT = 20  # seconds until search answers again; on a machine that does nothing else kill_lab.py wants 2


def test_nothing_acknowledged_is_lost_or_doubled_whatever_is_killed(make_server):
    seed = int(os.environ.get("MAYFLY_KILL_SEED", time.time()))
    print(f"MAYFLY_KILL_SEED={seed}")
    server = make_server(shards=2, config={"deadline-ms": 1500})  # what is usual
    lab = Lab(server, seed, LIMIT, print)
    wrong = lab.run(20)
    print(lab.report())
    assert not wrong, "\n".join(wrong[:10]) + "\n" + server.log()
