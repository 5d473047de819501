"""Asks what a machine is told about itself, without waiting: over HTTP by a socket of the loop, or in a file."""
import errno
import re
import socket

import paths

_TIMEOUT = 2
_MAX_BYTES = 64 * 1024
_HTTP = re.compile(r'http://([^/:]+)(?::(\d+))?(/.*)\Z')
_FILE = re.compile(r'file://(/.+)\Z')


def is_address(url):
    return isinstance(url, str) and bool(_HTTP.match(url) or _FILE.match(url))


def ask(loop, method, url, headers, answered):
    """Calls `answered(status, body)` once, later; the status is None when nobody answered in time, 404 for a file that is not there."""
    file = _FILE.match(url)
    if not file:
        return _Exchange(loop, method, _HTTP.match(url), headers, answered)
    try:
        body = paths.read_or_none(file.group(1))
    except OSError:
        body = None
    loop.after(0, lambda: answered(404, b'') if body is None else answered(200, body))


class _Exchange:
    """HTTP/1.0, so that the end of the answer is the end of the connection."""

    def __init__(self, loop, method, url, headers, answered):
        host, port, path = url.groups()
        lines = ['%s %s HTTP/1.0' % (method, path), 'Host: %s' % host, 'Content-Length: 0']
        lines += ['%s: %s' % header for header in sorted(headers.items())]
        self.loop = loop
        self.answered = answered
        self.out = '\r\n'.join(lines + ['', '']).encode()
        self.into = b''
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.timer = loop.after(_TIMEOUT, self._fail)
        code = self.socket.connect_ex((host, int(port or 80)))
        loop.on_readable(self.socket, self._read)
        if code in (0, errno.EINPROGRESS):
            loop.want_write(self.socket, self._write)
        else:
            self.timer.cancel()
            self.timer = loop.after(0, self._fail)

    def _write(self):
        try:
            sent = self.socket.send(self.out)
        except BlockingIOError:
            return
        except OSError:
            return self._fail()
        self.out = self.out[sent:]
        if not self.out:
            self.loop.want_write(self.socket, None)

    def _read(self):
        # The same turn of the loop may have ended it.
        if self.socket is None:
            return
        try:
            data = self.socket.recv(16384)
        except BlockingIOError:
            return
        except OSError:
            return self._fail()
        self.into += data
        if not data:
            self._done()
        elif len(self.into) > _MAX_BYTES:
            self._fail()

    def _done(self):
        head, found, body = self.into.partition(b'\r\n\r\n')
        status = re.match(rb'HTTP/1\.\d (\d{3})', head)
        if found and status:
            self._end(int(status.group(1)), body)
        else:
            self._fail()

    def _fail(self):
        self._end(None, b'')

    def _end(self, status, body):
        if self.socket is None:
            return
        self.timer.cancel()
        self.loop.forget(self.socket)
        self.socket.close()
        self.socket = None
        self.answered(status, body)
