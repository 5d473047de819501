"""The root directory of an instance, made from outside in its mount namespace.

    root.py boot DIR PID              the instance's root in place of the machine's, with all places that were opened before
    root.py open DIR PID TARGET...    makes room for targets; prints where each lies on the instance's disk, as JSON
    root.py probe DIR                 whether both can be had here, in a namespace that ends with this process

A place is a directory of the instance's disk (DIR/disk/N) that stands for one of the machine: what the machine has in it is bound into
it, entry by entry, and what is made in it is the instance's own. `/` is the first place. Exit 3: refused, in words for people.
"""
import ctypes
import fcntl
import json
import os
import stat
import sys

NEWNS, NEWUSER = 0x20000, 0x10000000
BIND, MOVE, REC, UNBINDABLE, PRIVATE, SLAVE = 4096, 8192, 16384, 1 << 17, 1 << 18, 1 << 19
DETACH, EINVAL = 2, 22
#: A bind each; the kernel gives a namespace 100,000 mounts.
MAX_ENTRIES = 5000
#: pivot_root has no function in libc, and other numbers elsewhere.
PIVOT_ROOT = {'x86_64': 155, 'aarch64': 41, 'riscv64': 41, 'ppc64le': 203, 's390x': 217}

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    pass


def checked(what, result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, '%s: %s' % (what, os.strerror(number)))


def mount(source, target, flags, kind=None):
    source, target = os.fsencode(source), os.fsencode(target)
    checked('mount %s' % target, libc.mount(source, target, kind, ctypes.c_ulong(flags), None))


def unmount(target):
    """True when there was a mount."""
    try:
        checked('umount %s' % target, libc.umount2(os.fsencode(target), DETACH))
    except OSError as error:
        if error.errno != EINVAL:
            raise
        return False
    return True


def remove_empty(path):
    """Takes a mount point away; what is more than one stays."""
    try:
        found = os.lstat(path)
        if stat.S_ISDIR(found.st_mode):
            os.rmdir(path)
        elif stat.S_ISLNK(found.st_mode) or found.st_size == 0:
            os.unlink(path)
    except OSError:
        pass


def is_below(path, top):
    return path.startswith(top.rstrip('/') + '/')


class Disk:
    """`places` maps a path to {'disk': N, 'bound': names that are the machine's}; written before what it tells of is made."""

    def __init__(self, directory):
        self.directory = directory
        self.file = os.path.join(directory, 'places.json')
        os.makedirs(os.path.join(directory, 'disk'), 0o700, exist_ok=True)
        self.lock = os.open(os.path.join(directory, 'disk', 'lock'), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            with open(self.file) as file:
                self.places = json.load(file)
        except FileNotFoundError:
            self.places = {}

    def save(self):
        with open(self.file + '.tmp', 'w') as file:
            json.dump(self.places, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(self.file + '.tmp', self.file)

    def path_of(self, place):
        return os.path.join(self.directory, 'disk', str(self.places[place]['disk']))

    def nearest(self, path):
        return max((place for place in self.places if place == path or is_below(path, place)), key=len)

    def is_own(self, path):
        """Is it on the instance's disk, and no part of the machine's that is bound into it?"""
        place = self.nearest(path)
        return path == place or os.path.relpath(path, place).split('/')[0] not in self.places[place]['bound']

    def on_disk(self, path):
        place = self.nearest(path)
        return os.path.normpath(os.path.join(self.path_of(place), os.path.relpath(path, place)))

    def is_in_place(self, place):
        try:
            return os.path.samefile(place, self.path_of(place))
        except FileNotFoundError:
            return False

    def furnish(self, place):
        """A mount of the place's directory, still where the disk is, with what the machine has bound into it."""
        with os.scandir(place) as entries:
            found = [(entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False)) for entry in entries]
        if len(found) > MAX_ENTRIES:
            raise Refused('cannot be had, since %s holds more than %d entries' % (place, MAX_ENTRIES))
        known = self.places.setdefault(place, {'disk': len(self.places), 'bound': []})
        staged = self.path_of(place)
        os.makedirs(staged, exist_ok=True)
        os.chmod(staged, stat.S_IMODE(os.stat(place).st_mode) | 0o700)
        # Left by one that was killed.
        while unmount(staged):
            pass
        for name in known['bound']:
            remove_empty(os.path.join(staged, name))
        own = set(os.listdir(staged))
        found = [entry for entry in found if entry[0] not in own]
        known['bound'] = [name for name, _, _ in found]
        self.save()
        mount(staged, staged, BIND)
        # A directory above the disk may be bound into it: without this the mount would hold itself.
        mount('none', staged, UNBINDABLE)
        for name, is_link, is_directory in found:
            source, target = os.path.join(place, name), os.path.join(staged, name)
            try:
                if is_link:
                    os.symlink(os.readlink(source), target)
                    continue
                if is_directory:
                    os.mkdir(target)
                else:
                    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                mount(source, target, BIND | REC)
            except FileNotFoundError:
                # Gone meanwhile.
                remove_empty(target)
        return staged

    def boot(self):
        is_first = not self.places
        if is_first or not self.is_in_place('/'):
            try:
                staged = self.furnish('/')
                os.chdir(staged)
                checked('pivot_root', libc.syscall(PIVOT_ROOT[os.uname().machine], b'.', b'.'))
                checked('umount of the old root', libc.umount2(b'.', DETACH))
            except (OSError, KeyError):
                if is_first:
                    self.forget()
                raise
            os.chdir('/')
            mount('none', '/', PRIVATE)
        for place in sorted(self.places, key=len):
            if not os.path.isdir(place):
                self.open_above(place)
                os.makedirs(place)
            self.open(place)

    def forget(self):
        """As if nothing had been tried: the instance goes on without a root of its own."""
        root = self.path_of('/')
        os.chdir('/')
        while unmount(root):
            pass
        for name in os.listdir(root):
            remove_empty(os.path.join(root, name))
        os.unlink(self.file)

    def open(self, place):
        if place in self.places and self.is_in_place(place):
            return
        staged = self.furnish(place)
        mount(staged, place, MOVE)
        mount('none', place, PRIVATE)

    def open_above(self, path):
        """Makes the deepest directory there is above a path a place, unless it is the instance's own already."""
        above = os.path.dirname(path)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        real = os.path.realpath(above)
        if real != above:
            raise Refused('leads to %s there; name that place itself' % real)
        if not os.path.isdir(above):
            raise Refused('cannot be had, since %s is a file there' % above)
        if not self.is_own(above):
            self.open(above)

    def claim(self, target):
        """Afterwards nothing of the machine is at `target` or below, and what is put there is the instance's."""
        # DIR is <state>/instances/<id>.
        state = os.path.dirname(os.path.dirname(self.directory))
        if target == state or is_below(state, target) or is_below(target, state):
            raise Refused("is where Styx keeps the disks of instances, or above it")
        inner = next((place for place in self.places if place == target or is_below(place, target)), None)
        if inner is not None:
            raise Refused('is above a place that another mount has opened (%s); take the cluster down first' % inner)
        self.open_above(target)
        place, name = os.path.split(target)
        if place in self.places and name in self.places[place]['bound']:
            unmount(target)
            self.places[place]['bound'].remove(name)
            self.save()
            remove_empty(target)
        return self.on_disk(target)


def enter(pid):
    """The mount namespace of a process. Whoever made its user namespace has all rights in it, until the next exec."""
    files = []
    for name, kind in (('user', NEWUSER), ('mnt', NEWNS)):
        path, own = '/proc/%d/ns/%s' % (pid, name), '/proc/self/ns/%s' % name
        if os.stat(path).st_ino != os.stat(own).st_ino:
            files.append((os.open(path, os.O_RDONLY | os.O_CLOEXEC), kind))
        elif kind == NEWNS:
            raise OSError(EINVAL, 'process %d has no mount namespace of its own' % pid)
    for file, kind in files:
        checked('setns', libc.setns(file, kind))
    os.chdir('/')


def probe(directory):
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        checked('unshare', libc.unshare(NEWNS))
    else:
        checked('unshare', libc.unshare(NEWUSER | NEWNS))
        for name, text in (('setgroups', 'deny'), ('uid_map', '%d %d 1' % (user, user)), ('gid_map', '%d %d 1' % (group, group))):
            with open('/proc/self/' + name, 'w') as file:
                file.write(text)
    mount('none', '/', REC | SLAVE)
    mount('none', directory, 0, b'tmpfs')
    disk = Disk(directory)
    disk.boot()
    disk.open('/usr')


def main(action, directory, *arguments):
    if action == 'probe':
        return probe(directory)
    disk = Disk(directory)
    enter(int(arguments[0]))
    if action == 'boot':
        return disk.boot()
    if not disk.places or not disk.is_in_place('/'):
        raise Refused('cannot be had: this instance started without a root of its own')
    found = {}
    # What is above first: it would take places below it away.
    for target in sorted(arguments[1:], key=len):
        try:
            found[target] = disk.claim(target)
        except Refused as refused:
            raise Refused('%s %s' % (target, refused))
        except OSError as error:
            raise Refused('%s cannot be had: %s' % (target, error))
    print(json.dumps(found))


try:
    main(*sys.argv[1:])
except Refused as refusal:
    sys.exit(print(refusal, file=sys.stderr) or 3)
except OSError as failure:
    sys.exit(print(failure, file=sys.stderr) or 1)
