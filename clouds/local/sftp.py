"""The sftp subsystem of an instance: SFTP protocol version 3 over standard input and output (draft-ietf-secsh-filexfer-02).

Runs inside the instance, as sshd runs its sftp-server. Paths are relative to the current directory, the home.
"""
import errno
import os
import stat
import struct
import sys
import time

MAX_PACKET = 256 * 1024
MAX_HANDLES = 256
MAX_READ = 128 * 1024
NAMES_AT_ONCE = 100

INIT, VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = 1, 2, 101, 102, 103, 104, 105, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
MESSAGES = {OK: "Success", EOF: "End of file", BAD_MESSAGE: "Bad message", UNSUPPORTED: "Operation unsupported"}
SIZE, OWNER, MODE, TIMES, EXTENDED = 1, 2, 4, 8, 0x80000000
READ, WRITE, APPEND, CREATE, TRUNCATE, EXCLUSIVE = 1, 2, 4, 8, 16, 32
EXTENSIONS = {
    b"posix-rename@openssh.com": b"1",
    b"fsync@openssh.com": b"1",
    b"hardlink@openssh.com": b"1",
    b"statvfs@openssh.com": b"2",
    b"lsetstat@openssh.com": b"1",
    b"limits@openssh.com": b"1",
}


class Malformed(Exception):
    pass


class Request:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if self.at + size > len(self.data):
            raise Malformed()
        self.at += size
        return self.data[self.at - size : self.at]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def u64(self):
        return struct.unpack(">Q", self.take(8))[0]

    def text(self):
        return self.take(self.u32())

    def path(self):
        path = self.text()
        if b"\0" in path:
            raise OSError(errno.EINVAL, "a NUL in the path")
        return path or b"."

    def attributes(self):
        flags = self.u32()
        attributes = {}
        if flags & SIZE:
            attributes["size"] = self.u64()
        if flags & OWNER:
            attributes["owner"] = (self.u32(), self.u32())
        if flags & MODE:
            attributes["mode"] = stat.S_IMODE(self.u32())
        if flags & TIMES:
            attributes["times"] = (self.u32(), self.u32())
        if flags & EXTENDED:
            for _ in range(self.u32()):
                self.text()
                self.text()
        return attributes


def string(data):
    return struct.pack(">I", len(data)) + data


def encode(info):
    times = [max(0, min(int(value), 0xFFFFFFFF)) for value in (info.st_atime, info.st_mtime)]
    flags = SIZE | OWNER | MODE | TIMES
    return struct.pack(">IQIIIII", flags, info.st_size, info.st_uid, info.st_gid, info.st_mode, *times)


def long_name(name, info):
    when = time.strftime("%b %d %H:%M", time.localtime(info.st_mtime))
    line = "%s %4d %-8d %-8d %10d %s " % (
        stat.filemode(info.st_mode), info.st_nlink, info.st_uid, info.st_gid, info.st_size, when,
    )
    return line.encode() + name


def change(target, attributes, follow=True):
    """`target` is a path, or the descriptor of an open file."""
    on_file = {} if isinstance(target, int) or follow else {"follow_symlinks": False}
    if "size" in attributes:
        os.truncate(target, attributes["size"])
    if "mode" in attributes and follow:
        os.chmod(target, attributes["mode"])
    if "times" in attributes:
        os.utime(target, attributes["times"], **on_file)
    if "owner" in attributes:
        os.chown(target, *attributes["owner"], **on_file)


class Server:
    def __init__(self):
        self.handles = {}
        self.next = 0
        self.operations = {
            3: self.open, 4: self.close, 5: self.read, 6: self.write, 7: self.lstat, 8: self.fstat, 9: self.setstat,
            10: self.fsetstat, 11: self.opendir, 12: self.readdir, 13: self.remove, 14: self.mkdir, 15: self.rmdir,
            16: self.realpath, 17: self.stat, 18: self.rename, 19: self.readlink, 20: self.symlink, 200: self.extended,
        }

    def handle(self, thing):
        self.next += 1
        name = b"%d" % self.next
        self.handles[name] = thing
        return HANDLE, string(name)

    def opened(self, request, kind):
        thing = self.handles.get(request.text())
        if not isinstance(thing, kind):
            raise OSError(errno.EBADF, "no such handle")
        return thing

    def room(self):
        if len(self.handles) >= MAX_HANDLES:
            raise OSError(errno.EMFILE, "too many open handles")

    def open(self, request):
        path, wanted, attributes = request.path(), request.u32(), request.attributes()
        self.room()
        flags = os.O_RDWR if wanted & READ and wanted & WRITE else os.O_WRONLY if wanted & WRITE else os.O_RDONLY
        for bit, flag in ((APPEND, os.O_APPEND), (CREATE, os.O_CREAT), (TRUNCATE, os.O_TRUNC), (EXCLUSIVE, os.O_EXCL)):
            flags |= flag if wanted & bit else 0
        return self.handle(os.open(path, flags | os.O_CLOEXEC, attributes.get("mode", 0o666)))

    def close(self, request):
        thing = self.handles.pop(request.text(), None)
        if thing is None:
            raise OSError(errno.EBADF, "no such handle")
        if isinstance(thing, int):
            os.close(thing)
        return OK

    def read(self, request):
        file, offset, size = self.opened(request, int), request.u64(), request.u32()
        data = os.pread(file, min(size, MAX_READ), offset)
        return (DATA, string(data)) if data else EOF

    def write(self, request):
        file, offset, data = self.opened(request, int), request.u64(), request.text()
        while data:
            written = os.pwrite(file, data, offset)
            offset += written
            data = data[written:]
        return OK

    def lstat(self, request):
        return ATTRS, encode(os.lstat(request.path()))

    def stat(self, request):
        return ATTRS, encode(os.stat(request.path()))

    def fstat(self, request):
        return ATTRS, encode(os.fstat(self.opened(request, int)))

    def setstat(self, request):
        change(request.path(), request.attributes())
        return OK

    def fsetstat(self, request):
        change(self.opened(request, int), request.attributes())
        return OK

    def opendir(self, request):
        path = request.path()
        self.room()
        names = [b".", b".."] + os.listdir(path)
        return self.handle((path, names))

    def readdir(self, request):
        path, names = self.opened(request, tuple)
        entries = []
        while names and len(entries) < NAMES_AT_ONCE:
            name = names.pop(0)
            try:
                info = os.lstat(os.path.join(path, name))
            except OSError:
                continue
            entries.append(string(name) + string(long_name(name, info)) + encode(info))
        return (NAME, struct.pack(">I", len(entries)) + b"".join(entries)) if entries else EOF

    def remove(self, request):
        os.unlink(request.path())
        return OK

    def mkdir(self, request):
        path, attributes = request.path(), request.attributes()
        os.mkdir(path, attributes.get("mode", 0o777))
        return OK

    def rmdir(self, request):
        os.rmdir(request.path())
        return OK

    def name(self, path):
        return NAME, struct.pack(">I", 1) + string(path) + string(path) + struct.pack(">I", 0)

    def realpath(self, request):
        return self.name(os.path.realpath(request.path()))

    def rename(self, request):
        source, target = request.path(), request.path()
        if os.path.lexists(target):
            raise OSError(errno.EEXIST, "the target exists")
        os.rename(source, target)
        return OK

    def readlink(self, request):
        return self.name(os.readlink(request.path()))

    def symlink(self, request):
        # OpenSSH's order, which every client follows: what it points to, then the link.
        target, link = request.path(), request.path()
        os.symlink(target, link)
        return OK

    def extended(self, request):
        name = request.text()
        if name == b"posix-rename@openssh.com":
            os.replace(request.path(), request.path())
        elif name == b"hardlink@openssh.com":
            os.link(request.path(), request.path())
        elif name == b"fsync@openssh.com":
            os.fsync(self.opened(request, int))
        elif name == b"lsetstat@openssh.com":
            change(request.path(), request.attributes(), follow=False)
        elif name == b"limits@openssh.com":
            return EXTENDED_REPLY, struct.pack(">QQQQ", MAX_PACKET, MAX_READ, MAX_READ, MAX_HANDLES)
        elif name == b"statvfs@openssh.com":
            info = os.statvfs(request.path())
            sizes = (info.f_bsize, info.f_frsize, info.f_blocks, info.f_bfree, info.f_bavail)
            files = (info.f_files, info.f_ffree, info.f_favail, 0, info.f_flag, info.f_namemax)
            return EXTENDED_REPLY, struct.pack(">11Q", *(sizes + files))
        else:
            return UNSUPPORTED
        return OK

    def answer(self, kind, request):
        try:
            operation = self.operations.get(kind)
            return operation(request) if operation else UNSUPPORTED
        except Malformed:
            return BAD_MESSAGE
        except (OSError, OverflowError, ValueError) as error:
            number = getattr(error, "errno", None)
            message = os.strerror(number) if number else str(error)
            if number in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return NO_SUCH_FILE, message
            if number in (errno.EACCES, errno.EPERM):
                return PERMISSION_DENIED, message
            return FAILURE, message


def status(code, message):
    return STATUS, struct.pack(">I", code) + string(message.encode()) + string(b"en")


def serve(source, sink):
    def send(kind, body):
        sink.write(struct.pack(">IB", len(body) + 1, kind) + body)
        sink.flush()

    server = Server()
    while True:
        head = source.read(5)
        if len(head) < 5:
            return
        size, kind = struct.unpack(">IB", head)
        if size < 1 or size > MAX_PACKET:
            return
        request = Request(source.read(size - 1))
        if len(request.data) < size - 1:
            return
        if kind == INIT:
            pairs = b"".join(string(name) + string(version) for name, version in EXTENSIONS.items())
            send(VERSION, struct.pack(">I", 3) + pairs)
            continue
        number = request.take(4)
        result = server.answer(kind, request)
        if isinstance(result, int):
            result = status(result, MESSAGES[result])
        elif isinstance(result[1], str):
            result = status(*result)
        send(result[0], number + result[1])


try:
    serve(sys.stdin.buffer, sys.stdout.buffer)
except (BrokenPipeError, Malformed):
    pass
