"""
Entry of the node agent. `serve` connects stdin and stdout to the daemon and replaces one of another version, `serve any` takes the
one that serves; `receive` takes the files of a job; `hosts` puts names of other machines in place; `daemon` is the daemon itself,
`shared` those of many instances of a local cloud.
"""
import sys


def main():
    if sys.version_info < (3, 8):
        found = '.'.join(str(part) for part in sys.version_info[:3])
        sys.stdout.write('{"styx": "refused", "kind": "invalid", "message": "python3 is %s, 3.8 or later is needed"}\n' % found)
        return 1
    import os

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    command = sys.argv[1] if len(sys.argv) > 1 else ''
    if command == 'serve':
        import channel

        return channel.serve(sys.argv[2:] == ['any'])
    if command == 'receive':
        import receive

        return receive.receive()
    if command == 'hosts':
        import hosts

        return hosts.main(sys.argv[2:])
    if command == 'daemon':
        import daemon

        return daemon.run()
    if command == 'shared':
        import shared

        return shared.run()
    sys.stderr.write('usage: main.py serve [any]|receive|hosts PATH VERSION|daemon|shared\n')
    return 2


if __name__ == '__main__':
    sys.exit(main())
