"""What clients know of documents while a server is killed under them: which states of an id are right answers now.

Each id is written by one thread. Its operations are numbered from 1; 0 is the state before them: no document. A document
holds its number, and the number of the operation that wrote its other fields: a partial update keeps those of whatever
it found. `sent` was written to a socket, `acked` is known to be in the log, `seen` to be searchable (said by the
server, or answered to a query): neither can be undone by any death. An operation between, of which no answer came, may
be there or not.
"""
import threading


class Id:
    __slots__ = ("name", "kinds", "origins", "sent", "acked", "seen")

    def __init__(self, name):
        self.name = name
        self.kinds = ["delete"]  # by operation number
        self.origins = [{None}]  # by operation number: which puts may have written the fields that a patch keeps
        self.sent = self.acked = self.seen = 0

    def append(self, kind):
        self.kinds.append(kind)
        self.sent = len(self.kinds) - 1
        known = max(self.acked, self.seen)  # of operations after it nobody can say whether they came before this one
        kept = set().union(*self.origins[known:])
        self.origins.append({"put": {self.sent}, "delete": {None}, "patch": kept}[kind])
        return self.sent

    def states(self, first, last):
        """Document numbers that may be found when the newest applied operation is one of first..last; 0: none."""
        return {0 if self.kinds[n] == "delete" else n for n in range(first, last + 1)}


class Model:
    def __init__(self):
        self.ids = {}
        self.lock = threading.Lock()
        self.wrong = []
        self.operations = 0
        self.answers = 0

    def new(self, name):
        self.ids[name] = Id(name)
        return self.ids[name]

    def blame(self, text):
        with self.lock:
            self.wrong.append(text)

    def send(self, entry, kind):
        """A new operation of that id; its number."""
        with self.lock:
            return entry.append(kind)

    def acknowledge(self, done, accepted, searchable):
        """`done` are (Id, number) in the order of the stream."""
        with self.lock:
            for position, (entry, number) in enumerate(done):
                if position < accepted:
                    entry.acked = max(entry.acked, number)
                if position < searchable:
                    entry.seen = max(entry.seen, number)

    def before(self, entry):
        with self.lock:
            return entry.seen

    def check(self, entry, seen_before, documents, complete, how):
        """An answer to a query that began when `seen_before` was searchable."""
        found = [d["number"] for d in documents]
        with self.lock:
            self.answers += 1
            self.check_origin(entry, documents, how)
            allowed = entry.states(seen_before, entry.sent)
            if not complete:
                allowed.add(0)
            number = found[0] if found else 0
            if len(found) > 1:
                self.wrong.append(f"{how}: {entry.name} was found {len(found)} times: {found}")
            elif number not in allowed:
                self.wrong.append(f"{how}: {entry.name} was found as {number}, allowed are {sorted(allowed)}; "
                                  f"seen={entry.seen} acked={entry.acked} sent={entry.sent} kinds={entry.kinds[-8:]}")
            elif number:
                entry.seen = max(entry.seen, number)

    def check_origin(self, entry, documents, how):
        for d in documents:
            if d["number"] <= entry.sent and d.get("origin") not in entry.origins[d["number"]]:
                self.wrong.append(f"{how}: {entry.name} is {d}, its other fields may be of {entry.origins[d['number']]}")

    def final_states(self, entry):
        """When everything that was accepted is applied."""
        return entry.states(max(entry.acked, entry.seen), entry.sent)
