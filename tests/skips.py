#!/usr/bin/python3
"""What tests did not try, and in what they tried less, from CTest's logs: each reason once, then the number of skipped cases.

    skips.py build/PRESET/Testing/Temporary/LastTest.log...

A case is one of pytest ("SKIPPED [n] file:line: reason") or of cmocka ("[  SKIPPED ] name"), whose reason is the line
"skipped: reason" that it says before; a program that skips as a whole says that line outside any case. "note: text" is
shown and not counted.
"""
import collections
import re
import sys

TEST = re.compile(r"\d+/\d+ Test: (\S+)$")
PYTEST = re.compile(r"SKIPPED \[(\d+)\] \S+?:(?:\d+:)? (.*)$")
REASON = re.compile(r"skipped: (.*)$")
NOTE = re.compile(r"note: (.*)$")
CMOCKA_BEGIN = re.compile(r"\[ RUN      \] (\S+)$")
CMOCKA_SKIPPED = re.compile(r"\[  SKIPPED \] (\S+)$")
CMOCKA_END = re.compile(r"\[(?:       OK |  FAILED  |  ERROR   |==========)\]")


class Reader:
    """Goes through logs line by line."""

    def __init__(self):
        self.skips = collections.defaultdict(collections.Counter)  # reason -> test -> cases
        self.notes = collections.defaultdict(set)                  # text -> tests
        self.test = self.case = self.said = None

    def read(self, lines):
        for line in lines:
            self.take(line.rstrip("\n"))

    def take(self, line):
        if found := TEST.match(line):
            self.test, self.case = found[1], None
        elif found := PYTEST.match(line):
            self.skips[found[2]][self.test] += int(found[1])
        elif found := NOTE.match(line):
            self.notes[found[1]].add(self.test)
        elif found := CMOCKA_BEGIN.match(line):
            self.case, self.said = found[1], None
        elif found := REASON.match(line):
            self.say(found[1])
        elif found := CMOCKA_SKIPPED.match(line):
            self.skip_case(found[1])
        elif CMOCKA_END.match(line):
            self.case = None

    def say(self, reason):
        if self.case:
            self.said = reason
        else:
            self.skips[reason][self.test] += 1

    def skip_case(self, name):
        if name == self.case:  # else it is the list at the end, which names it again
            self.skips[self.said or f"{name} does not say why"][self.test] += 1
        self.case = None

    def report(self):
        for text, tests in sorted(self.notes.items()):
            print(f"note: {text} ({', '.join(sorted(tests))})")
        for reason, tests in sorted(self.skips.items()):
            print(f"skipped {sum(tests.values())}: {reason} ({', '.join(sorted(tests))})")
        print(sum(sum(tests.values()) for tests in self.skips.values()))


def main():
    reader = Reader()
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8", errors="replace") as lines:
            reader.read(lines)
    reader.report()


if __name__ == "__main__":
    main()
