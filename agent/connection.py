"""One client of the daemon: JSON lines with request ids, answers and streams in any order."""
import array
import json
import os
import socket

import masking
from errors import Refused, invalid

_MAX_LINE = 32 * 1024 * 1024
#: Streams add to what waits to be sent only below this; answers always do.
_FILL = 128 * 1024


class Connection:
    """
    It begins on a socket of the daemon. `take` brings two descriptors with it, stdin and stdout of an SSH channel: the client is at the
    other end of those, and the socket says only whether that channel's process lives, which ends when the socket is closed. With `alone`
    there is no such process: the channel ends with the descriptors.
    """

    def __init__(self, client, loop, handle, closed):
        self.socket = client
        self.input = self.output = client.fileno()
        self.brought = []
        self.loop = loop
        self.handle = handle
        self.closed = closed
        self.open = True
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.streams = {}
        client.setblocking(False)
        loop.on_readable(self.input, self._read)

    def send(self, message):
        self.outbox += json.dumps(message).encode() + b'\n'
        self._write()

    def add(self, stream):
        self.streams[stream.id] = stream
        self.pump()

    def pump(self):
        """Lets every stream with something to say say one thing, in turns, as long as there is room."""
        if not self.open:
            return
        while self.open:
            said = self._fill()
            self._write()
            # What did not fit is followed by more once the client has read it.
            if not said or self.outbox:
                return

    def _fill(self):
        """One round of all streams; False when none had anything to say, or there was no room."""
        said = False
        for stream in list(self.streams.values()):
            if len(self.outbox) >= _FILL:
                break
            line = stream.next()
            if line:
                self.outbox += line
                said = True
                # To the end of the queue: when there is no room for all, nobody is always the last.
                self.streams[stream.id] = self.streams.pop(stream.id)
            if stream.done:
                self._drop(stream)
        return said

    def nudge(self):
        """A process ended: followers of its log need not wait for their next look."""
        for stream in self.streams.values():
            stream.nudge()
        self.pump()

    def close(self):
        if not self.open:
            return
        self.open = False
        for file in (self.socket, self.input, self.output):
            self.loop.forget(file)
        self.socket.close()
        for fd in self.brought:
            os.close(fd)
        for stream in list(self.streams.values()):
            self._drop(stream)
        self.closed(self)

    def _drop(self, stream):
        if self.streams.pop(stream.id, None):
            stream.close()

    def _read(self):
        if not self.open:
            return
        try:
            data = self._receive() if self.input == self.socket.fileno() else os.read(self.input, 262144)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b''
        if not data:
            return self.close()
        self.inbox += data
        while self.open:
            end = self.inbox.find(b'\n')
            if end < 0:
                break
            line = bytes(self.inbox[:end])
            del self.inbox[: end + 1]
            self._line(line)
        if len(self.inbox) > _MAX_LINE:
            self.close()

    def _receive(self):
        data, ancillary, _, _ = self.socket.recvmsg(262144, socket.CMSG_SPACE(2 * array.array('i').itemsize))
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                brought = array.array('i')
                brought.frombytes(content[: len(content) - len(content) % brought.itemsize])
                self.brought += brought
        for fd in self.brought:
            os.set_inheritable(fd, False)
        return data

    def _take(self, alone):
        if self.input != self.socket.fileno() or len(self.brought) != 2:
            return self.close()
        self.input, self.output = self.brought
        for fd in self.brought:
            os.set_blocking(fd, False)
        self.loop.forget(self.socket)
        try:
            if alone:
                self.socket.close()
            else:
                # The channel's process says nothing more: what comes is its end.
                self.loop.on_readable(self.socket, self.close)
            self.loop.on_readable(self.input, self._read)
        except OSError:
            # No pipe and no socket: nobody can be there.
            self.close()

    def _line(self, line):
        try:
            message = json.loads(line.decode())
            number = message['id']
            if type(number) is not int:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return self.close()
        if 'ack' in message:
            stream = self.streams.get(number)
            if stream and type(message['ack']) is int and message['ack'] > 0:
                stream.credit += message['ack']
                self.pump()
            return
        if 'stop' in message:
            stream = self.streams.get(number)
            if stream:
                self._drop(stream)
            return
        if message.get('op') == 'take':
            return self._take(message.get('alone') is True)
        try:
            if number in self.streams:
                raise invalid('the request id %d is in use' % number)
            answer = self.handle(self, message)
        except Refused as refused:
            answer = {'error': {'kind': refused.kind, 'message': masking.mask(str(refused))}}
        except OSError as error:
            answer = {'error': {'kind': 'transient', 'message': masking.mask('the node could not do it: %s' % error)}}
        if answer is not None and self.open:
            self.send(dict(answer, id=number))

    def _write(self):
        if not self.open:
            return
        try:
            while self.outbox:
                del self.outbox[: os.write(self.output, memoryview(self.outbox)[:262144].tobytes())]
        except (BlockingIOError, InterruptedError):
            self.loop.want_write(self.output, self._writable)
            return
        except OSError:
            return self.close()
        self.loop.want_write(self.output, None)

    def _writable(self):
        self._write()
        if not self.outbox:
            self.pump()
