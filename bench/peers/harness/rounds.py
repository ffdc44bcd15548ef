"""Rounds A B A B: each pass of a peer stands next to one of Mayfly, both in processes that live through all rounds."""
import subprocess
import time

MAYFLY_WARM_PASSES = 3
SLOW_PASS_S = 1.0  # a pass this long needs none before it to bring the caches back
LEAST_ROUNDS = 3
MOST_WARM_S = 45
FASTER = 0.98  # less is noise


class Engine:
    """A driver that answers requests (bench/requests.h)."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True)

    def ask(self, mode, k, passes):
        """[(microseconds, hits or count)] per query, of the last of the passes."""
        self.process.stdin.write(f"{mode} {k} {passes}\n")
        self.process.stdin.flush()
        answers = []
        while (line := self.process.stdout.readline().rstrip("\n")):
            _, microseconds, found = line.rsplit("\t", 2)
            answers.append((float(microseconds), int(found)))
        if not answers:
            raise RuntimeError(f"{self.process.args[0]} ended")
        return answers

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def seconds(answers):
    return sum(microseconds for microseconds, _ in answers) / 1e6


def warm_up(engine, mode, k, passes, least_seconds):
    """At least so many passes and seconds; where seconds are given, until no pass has been faster for half of them."""
    begin = fastest_at = time.monotonic()
    fastest, done = float("inf"), 0
    while done < passes or not is_settled(begin, fastest_at, least_seconds):
        took = seconds(engine.ask(mode, k, 1))
        done += 1
        if took < FASTER * fastest:
            fastest, fastest_at = took, time.monotonic()


def is_settled(begin, fastest_at, least_seconds):
    now = time.monotonic()
    return now - begin >= least_seconds and (now - fastest_at >= least_seconds / 2 or now - begin >= MOST_WARM_S)


def measure(mayfly, peer, mode, k, rounds, budget_s):
    """Per round the times of both: (mayfly, peer), each a list of microseconds per query; and the last answers."""
    ours, theirs, found = [], [], None
    begin = time.monotonic()
    passes = {mayfly: 2, peer: 2}
    for done in range(rounds):
        if done >= LEAST_ROUNDS and time.monotonic() - begin > budget_s:
            break
        answers = {}
        for engine in (mayfly, peer):
            answers[engine] = engine.ask(mode, k, passes[engine])
            passes[engine] = 1 if seconds(answers[engine]) > SLOW_PASS_S else 2
        ours.append([t for t, _ in answers[mayfly]])
        theirs.append([t for t, _ in answers[peer]])
        found = tuple([n for _, n in answers[engine]] for engine in (mayfly, peer))
    return ours, theirs, found
