"""tests/skips.py counts what was skipped, once each."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import skips  # noqa: E402

LOG = """Start testing: Nov 25 18:39 UTC
33/47 Test: process.jobs
Command: "/build/jobs_test"
[==========] Running 4 test(s).
[ RUN      ] one
[       OK ] one
[ RUN      ] two
skipped: built without hooks
[  SKIPPED ] two
[ RUN      ] three
[  SKIPPED ] three
[ RUN      ] four
skipped: said, but run after all
[       OK ] four
[==========] 4 test(s) run.
[  SKIPPED ] 2 test(s), listed below:
[  SKIPPED ] two
[  SKIPPED ] three

 2 SKIPPED TEST(S)
34/47 Test: process.worker
Command: "/usr/bin/python3" "-B" "-m" "pytest" "-q" "-rs"
..ss
SKIPPED [3] ../../../../tests/process/test_worker.py:385: built without hooks
SKIPPED [1] tests/process/test_worker.py: could not import 'xapian': none
note: ranks are compared over 10 documents
1 passed, 4 skipped in 3.10s
35/47 Test: unit.json_suite
skipped: the suite is not in $MAYFLY_SHARED
36/47 Test: unit.arena
[ RUN      ] one
[       OK ] one
"""


def read(text):
    reader = skips.Reader()
    reader.read(text.splitlines(keepends=True))
    return reader


def test_cases_of_pytest_and_cmocka_and_whole_programs_are_counted_once():
    found = {reason: dict(tests) for reason, tests in read(LOG).skips.items()}
    assert found == {
        "built without hooks": {"process.jobs": 1, "process.worker": 3},
        "three does not say why": {"process.jobs": 1},
        "could not import 'xapian': none": {"process.worker": 1},
        "the suite is not in $MAYFLY_SHARED": {"unit.json_suite": 1},
    }


def test_each_reason_is_printed_once_and_the_sum_last(capsys):
    read(LOG + LOG).report()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "note: ranks are compared over 10 documents (process.worker)"
    assert "skipped 8: built without hooks (process.jobs, process.worker)" in lines
    assert len(lines) == 6 and lines[-1] == "14"
