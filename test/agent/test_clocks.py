"""The rules of leases against a clock of the test's own, in a process that has a home of its own."""
import json
import subprocess
import sys

import pytest
from conftest import AGENT

PROGRAM = '''
import json, sys
import paths
paths.prepare()
from lease import Leases
rule, deadman, lost, steps = json.load(sys.stdin)
now, jobs, sessions = [0.0], [0], [0]
leases = Leases(None, None, lambda: jobs[0], lambda: sessions[0], lambda: now[0])
leases._act = lambda power, reason: fired.append(now[0])
fired = []
off = {"action": "stop", "command": ["true"], "identity": {"path": "/x", "text": "x"}}
given = {"idle": rule and {"after": rule[0], "waitFor": rule[1], "powerOff": off},
         "deadman": deadman and {"after": deadman, "powerOff": off}, "contactLost": lost}
leases.set(dict(given))
for at, what in steps:
    while now[0] < at and not fired:
        now[0] += 1
        leases.look()
    if what == "contact": leases.contact()
    elif what == "same lease": leases.set(json.loads(json.dumps(given)))
    elif what == "other rule": leases.set(dict(given, idle=dict(given["idle"], after=given["idle"]["after"] + 1000)))
    elif what.startswith("jobs"): jobs[0] = int(what[5:]); leases.look()
    elif what.startswith("sessions"): sessions[0] = int(what[9:]); leases.look()
print(fired[0] if fired else None)
'''


def fired(machine, rule, deadman, lost, *steps):
    """Second at which the lease fired, looking once a second up to the last step."""
    result = subprocess.run(
        [sys.executable, '-c', PROGRAM], input=json.dumps([rule, deadman, lost, steps]).encode(), stdout=subprocess.PIPE,
        env=dict(machine.environment, PYTHONPATH=AGENT), check=True,
    )
    return json.loads(result.stdout.decode().replace('None', 'null'))


MINUTE = 60000
DAY = 24 * 60 * MINUTE


@pytest.mark.parametrize('case, rule, deadman, lost, steps, expected', [
    ('idle from the start', [10 * MINUTE, 'jobs'], None, 2 * MINUTE, [(1000, 'end')], 600),
    ('silence is waited for as well', [MINUTE, 'jobs'], None, 2 * MINUTE, [(1000, 'end')], 120),
    ('contact puts it off', [MINUTE, 'jobs'], None, 2 * MINUTE, [(100, 'contact'), (1000, 'end')], 220),
    ('the same lease again is contact, and does not restart the idle clock', [10 * MINUTE, 'jobs'], None, 2 * MINUTE,
     [(590, 'same lease'), (2000, 'end')], 710),
    ('another rule restarts it', [10 * MINUTE, 'jobs'], None, MINUTE, [(500, 'other rule'), (2000, 'end')], 1101),
    ('idle counts from the end of a job', [10 * MINUTE, 'jobs'], None, MINUTE, [(10, 'jobs 1'), (900, 'jobs 0'), (2000, 'end')], 1500),
    ('a session holds jobs_and_ssh', [10 * MINUTE, 'jobs_and_ssh'], None, MINUTE,
     [(10, 'sessions 1'), (900, 'sessions 0'), (2000, 'end')], 1500),
    ('and not jobs', [10 * MINUTE, 'jobs'], None, MINUTE, [(10, 'sessions 1'), (2000, 'end')], 600),
    ('none is a hard timer', [10 * MINUTE, 'none'], None, MINUTE, [(10, 'jobs 1'), (2000, 'end')], 600),
    ('dead man waits for jobs', None, 30 * MINUTE, MINUTE, [(10, 'jobs 1'), (3600, 'jobs 0'), (9000, 'end')], 5400),
    ('dead man counts from the last contact', None, 30 * MINUTE, MINUTE, [(1700, 'contact'), (9000, 'end')], 3500),
    ('twelve hours with a job fire nothing', [10 * MINUTE, 'jobs'], DAY, MINUTE, [(1, 'jobs 1'), (43200, 'end')], None),
])
def test_a_lease_fires_exactly_when_its_rule_says(machine, case, rule, deadman, lost, steps, expected):
    assert fired(machine, rule, deadman, lost, *steps) == expected, case
