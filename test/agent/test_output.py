def test_what_a_run_left_comes_with_its_exit_and_no_more_than_is_taken(machine):
    channel = machine.connect()
    channel.start('left', 'echo a=1 >> "$STYX_OUTPUT"; echo "b=ä" >> "$STYX_OUTPUT"')
    assert channel.exit_of('left')['output'] == 'a=1\nb=ä\n'
    channel.start('nothing', 'true')
    assert 'output' not in channel.exit_of('nothing')
    channel.start('failed', 'echo a=1 >> "$STYX_OUTPUT"; exit 3')
    assert 'output' not in channel.exit_of('failed')
    channel.start('large', 'head -c 100000 /dev/zero | tr "\\0" x > "$STYX_OUTPUT"')
    assert channel.exit_of('large')['output'] == 'x' * (8 * 1024 + 1)
    assert machine.connect().start('left', 'true')['output'] == 'a=1\nb=ä\n', 'as it will always be answered'
