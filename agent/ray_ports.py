"""
Ports for the Ray of one node. Its servers listen on all interfaces of the host, and nodes may share one: each takes a block of ports
that no other node has taken and nobody listens on, and holds it by a lock as long as it lives.
"""
import fcntl
import os
import socket
import zlib

from errors import Refused

NAMES = ('gcs', 'dashboard', 'client', 'agent', 'agentGrpc', 'metrics', 'runtimeEnv', 'nodeManager', 'objectManager')
#: Below what Linux gives to outgoing connections, and above 10002 to 19999, where Ray refuses its own GCS.
_FIRST, _END, _SIZE = 20000, 32000, 10


def take(folder, seed):
    """(number of the block, {name: port}, descriptor that holds it until it is closed)"""
    os.makedirs(folder, 0o700, exist_ok=True)
    count = (_END - _FIRST) // _SIZE
    first = zlib.crc32(seed.encode())
    for step in range(count):
        block = (first + step) % count
        held = os.open(os.path.join(folder, str(block)), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        ports = {name: _FIRST + block * _SIZE + at for at, name in enumerate(NAMES)}
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(held)
            continue
        if all(_is_free(port) for port in ports.values()):
            return block, ports, held
        os.close(held)
    raise Refused('transient', 'all ports from %d to %d are taken on this machine' % (_FIRST, _END))


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
            return True
        except OSError:
            return False
