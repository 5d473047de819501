"""One client of the daemon: JSON lines with request ids, answers and streams in any order."""
import json

import masking
from errors import Refused, invalid

_MAX_LINE = 32 * 1024 * 1024
#: Streams add to what waits to be sent only below this; answers always do.
_FILL = 128 * 1024


class Connection:
    def __init__(self, socket, loop, handle, closed):
        self.socket = socket
        self.loop = loop
        self.handle = handle
        self.closed = closed
        self.open = True
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.streams = {}
        socket.setblocking(False)
        loop.on_readable(socket, self._read)

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
        self.loop.forget(self.socket)
        self.socket.close()
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
            data = self.socket.recv(262144)
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
                del self.outbox[: self.socket.send(memoryview(self.outbox)[:262144].tobytes())]
        except (BlockingIOError, InterruptedError):
            self.loop.want_write(self.socket, self._writable)
            return
        except OSError:
            return self.close()
        self.loop.want_write(self.socket, None)

    def _writable(self):
        self._write()
        if not self.outbox:
            self.pump()
