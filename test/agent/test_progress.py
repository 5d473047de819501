import progress


def told(machine, job):
    """What was told of a job's progress until its end, and after it."""
    lines, channel = [], machine.connect()
    for message in channel.stream('events', since=0):
        event = message['event']
        if event['type'] == 'progress' and event['jobKey'] == job:
            lines.append(event['line'])
        if event['type'] == 'exited' and event['process']['jobKey'] == job:
            channel.send(id=channel.number, stop=True)
            return lines


def test_what_a_run_says_of_its_progress_is_told_while_it_runs_and_its_last_word_before_its_exit(machine):
    channel = machine.connect()
    channel.start('says', 'echo 0.25 >> "$STYX_PROGRESS"; until [ -e ~/go ]; do sleep 0.1; done; echo 0.254 >> "$STYX_PROGRESS"')
    for message in channel.stream('events', since=0):
        if message['event']['type'] == 'progress':
            assert message['event']['line'] == '0.25'
            channel.send(id=channel.number, stop=True)
            break
    open(machine.path('go'), 'w').close()
    assert told(machine, 'says') == ['0.25', '0.254']


def test_the_last_line_that_is_not_blank_counts_and_only_rank_0_of_a_run_has_a_say(machine):
    channel = machine.connect()
    channel.start('last', 'printf "0.1\\n0.2\\n 0.5 \\n\\n" > "$STYX_PROGRESS"')
    assert told(machine, 'last') == ['0.5']
    channel.start('long', 'head -c 100000 /dev/zero | tr "\\0" x > "$STYX_PROGRESS"')
    assert told(machine, 'long') == ['x' * 64]
    channel.start('other', 'echo 0.5 > "$STYX_PROGRESS"', rank=1)
    assert told(machine, 'other') == []
    channel.start('failed', 'echo 0.5 > "$STYX_PROGRESS"; exit 3')
    assert told(machine, 'failed') == ['0.5']
    channel.start('pipe', 'rm "$STYX_PROGRESS"; mkfifo "$STYX_PROGRESS"')
    assert told(machine, 'pipe') == [], 'a reader that waits would hold up the agent'
    channel.start('setup', '[ -z "${STYX_PROGRESS-}" ] || exit 1', phase='setup')
    assert channel.exit_of('setup')['exitCode'] == 0


def test_a_change_of_less_than_a_hundredth_is_told_once_a_minute_a_larger_one_at_the_next_look():
    class Events:
        def __init__(self):
            self.lines = []

        def append(self, kind, **fields):
            self.lines.append(fields['line'])

    class Process:
        key = ('j', 'run', 0)

    now = [1000.0]
    events, says = Events(), ['0.1']
    looks = progress.Progress(events)
    original = progress._last_line, progress.time.monotonic
    progress._last_line, progress.time.monotonic = lambda path: says[0], lambda: now[0]
    Process.folder = '/nowhere'
    try:
        for seconds, line in ((0, '0.1'), (5, '0.105'), (54, '0.105'), (1, '0.105'), (5, '0.2'), (5, '31%'), (5, 'odd'), (60, 'odd'), (5, '0.5')):
            now[0] += seconds
            says[0] = line
            looks.look(Process)
        assert events.lines == ['0.1', '0.105', '0.2', '31%', 'odd']
        looks.look(Process, ended=True)
        assert events.lines[-1] == '0.5'
    finally:
        progress._last_line, progress.time.monotonic = original
