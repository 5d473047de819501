"""
One tree of files on this node, made equal to a manifest. What an earlier sync put there and the manifest no longer has is removed, what
jobs made stays. Links are never followed below the target, and every step may be cut short by a kill: the next sync compares
again, by the stat of a file where that is on record, else by its content.
"""
import errno
import hashlib
import os
import stat as stats

import manifests
import paths
from errors import Refused, invalid
from owned import FOLDER, Owned, hash_of, sign

_DRAFT = os.path.join(FOLDER, 'draft').encode()
#: Beside a file on another file system than the agent's folder.
_DRAFT_NAME = b'.styx-draft~'
_DRAFT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY = 1024 * 1024


class Tree:
    def __init__(self, written, at=None):
        """`written` is `~/…`, or absolute with `at`: where its machine made room for it. @throws invalid for what lies elsewhere than it says"""
        self.written = written
        self.target = resolve(written) if at is None else opened(written, at)
        self.owned = Owned(self.target)
        self.files = {}
        self.links = {}
        self.folders = {}
        self.dirty = False

    def full(self, path):
        return self.target + b'/' + path.encode() if path else self.target

    # What is to be done

    def is_untouched(self, wanted):
        """The usual case, fast, by the record alone: everything is as the last sync left it."""
        owned, lstat = self.owned, os.lstat
        if owned.manifest != wanted:
            return False
        prefix = self.target + b'/'
        try:
            # All of them first: where every directory is one, no file is reached through a link.
            for path, mode in owned.folders.items():
                found = lstat(prefix + path.encode()).st_mode
                if not stats.S_ISDIR(found) or stats.S_IMODE(found) != mode:
                    return False
            for path, to in owned.links.items():
                if _link(prefix + path.encode()) != to:
                    return False
            for path, (_, size, mtime, ctime, inode) in owned.files.items():
                found = lstat(prefix + path.encode() if path else self.target)
                if found.st_ctime_ns != ctime or found.st_mtime_ns != mtime or found.st_size != size or found.st_ino != inode:
                    return False
        except OSError:
            return False
        return '' in owned.files or os.path.isdir(self.target)

    def compare(self, data, wanted):
        """
        Afterwards `lacking` holds indices of `entries`, one for each content that has to come. Changes nothing but that it opens directories
        which their owner could not enter.
        """
        self.wanted, self.data = wanted, data
        self.root, self.entries = manifests.decode(data, wanted)
        self.lacking, self.copies, self.fixes = [], [], []
        self.new_folders, self.new_links, self.modes, self.in_the_way = [], [], [], []
        self.real = {}
        places = {entry[1]: entry[0] for entry in self.entries}
        self.leaving = self._leaving(places)
        self.real = {'': self._is_real_root()}
        present, asked = {}, set()
        for index, entry in enumerate(self.entries):
            if entry[0] == 'f':
                if self._compare_file(index, entry):
                    present[entry[5]] = entry[1]
                else:
                    self.lacking.append(index)
            elif entry[0] == 'd':
                self._compare_folder(entry)
            else:
                self._compare_link(entry)
        lacking = []
        for index in self.lacking:
            content = self.entries[index][5]
            if content in present or content in asked:
                self.copies.append(index)
            else:
                asked.add(content)
                lacking.append(index)
        self.lacking, self.present = lacking, present
        changes = (self.lacking, self.copies, self.fixes, self.new_folders, self.new_links, self.modes, self.leaving)
        self.dirty = any(changes) or wanted != self.owned.manifest or self.files != self.owned.files

    def _is_real_root(self):
        found = _lstat(self.target)
        if self.root == 'file' or found is None:
            return False
        if stats.S_ISDIR(found.st_mode) or (stats.S_ISLNK(found.st_mode) and os.path.isdir(self.target)):
            return True
        if '' not in self.leaving:
            raise invalid('%s is no directory on the node; take it away, or choose another target' % self.written)
        return False

    def _leaving(self, places):
        """Paths that are ours and not wanted any more, as they are."""
        leaving = {}
        for path in self.owned.all_paths():
            if places.get(path) in ('f', 'l'):
                continue
            found = self._look(path)
            if found is not None and self.owned.is_ours(path, self.full(path), found):
                leaving[path] = found
        return leaving

    def _look(self, path):
        """lstat, None for what would be reached through a link."""
        parent = path.rpartition('/')[0]
        return _lstat(self.full(path)) if not path or self._is_real(parent) else None

    def _is_real(self, folder):
        if folder not in self.real:
            if folder:
                found = self._look(folder)
                self.real[folder] = found is not None and stats.S_ISDIR(found.st_mode)
            else:
                self.real[folder] = os.path.isdir(self.target)
        return self.real[folder]

    def _compare_file(self, index, entry):
        """True when the content is there."""
        _, path, mode, size, mtime, wanted = entry
        found = self._look(path)
        if found is None:
            return False
        if not stats.S_ISREG(found.st_mode):
            self._check_way(path, found)
            return False
        known = self.owned.files.get(path)
        is_known = known is not None and known[1:] == sign(found)
        if found.st_size != size or (known[0] if is_known else _hash_or_none(self.full(path))) != wanted:
            return False
        if stats.S_IMODE(found.st_mode) != mode or found.st_mtime_ns // 1000 != mtime:
            self.fixes.append(index)
        self.files[path] = [wanted] + sign(found)
        return True

    def _compare_folder(self, entry):
        _, path, mode = entry
        self.folders[path] = mode
        found = self._look(path)
        if found is None or not stats.S_ISDIR(found.st_mode):
            self.real[path] = False
            self.new_folders.append(path)
            if mode != 0o755:
                self.modes.append((path, mode))
            return
        now = stats.S_IMODE(found.st_mode)
        if now & 0o700 != 0o700:
            os.chmod(self.full(path), now | 0o700)
            self.modes.append((path, mode))
        elif now != mode:
            self.modes.append((path, mode))

    def _compare_link(self, entry):
        _, path, to = entry
        self.links[path] = to
        found = self._look(path)
        if found is not None and stats.S_ISLNK(found.st_mode) and _link(self.full(path)) == to:
            return
        if found is not None:
            self._check_way(path, found)
        self.new_links.append((path, to))

    def _check_way(self, path, found):
        """A directory gives way to a file when nothing of a job is in it."""
        if not stats.S_ISDIR(found.st_mode):
            return
        top = self.full(path)
        for folder, _, names in os.walk(top):
            for name in names:
                inner = os.path.relpath(os.path.join(folder, name), self.target).decode('utf-8', 'surrogateescape')
                if inner not in self.leaving:
                    where = '%s/%s' % (self.written, path) if path else self.written
                    raise invalid('%s is a directory with files of jobs on the node, and none in the task' % where)
        self.in_the_way.append(path)

    # Doing it

    def prepare(self):
        """Puts the intent on record, takes away what leaves, makes the folders."""
        if not self.dirty:
            return
        self.owned.intend(self.entries, self.data)
        paths.remove(_DRAFT)
        for path in self.leaving:
            self._remove(path)
        leaving = [path for path in self.owned.folders if path not in self.folders and self._is_real(path)]
        for path in sorted(leaving, reverse=True):
            _rmdir(self.full(path))
        for path in self.in_the_way:
            for folder, _, _ in os.walk(self.full(path), topdown=False):
                os.rmdir(folder)
        try:
            os.makedirs(os.path.dirname(self.target) if self.root == 'file' else self.target, 0o755, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise invalid('something on the way to %s is no directory on the node' % self.written)
        for path in self.new_folders:
            full = self.full(path)
            try:
                os.mkdir(full, 0o755)
            except FileExistsError:
                if os.path.islink(full) or not os.path.isdir(full):
                    os.unlink(full)
                    os.mkdir(full, 0o755)
        for index in self.fixes:
            _, path, mode, _, mtime, _ = self.entries[index]
            full = self.full(path)
            os.chmod(full, mode)
            os.utime(full, ns=(mtime * 1000, mtime * 1000))
            self.files[path][1:] = sign(os.lstat(full))

    def put(self, index, chunks):
        """One file of its bytes. @throws transient when they are not what they should be"""
        _, path, mode, _, mtime, wanted = self.entries[index]
        hasher = hashlib.sha256()
        fd = os.open(_DRAFT, _DRAFT_FLAGS, 0o600)
        try:
            for chunk in chunks:
                hasher.update(chunk)
                _write(fd, chunk)
            if hasher.hexdigest() != wanted:
                raise Refused('transient', '%s arrived damaged' % path)
            os.fchmod(fd, mode)
            os.utime(fd, ns=(mtime * 1000, mtime * 1000))
        finally:
            os.close(fd)
        full = self.full(path)
        _move_in(full)
        self.files[path] = [wanted] + sign(os.lstat(full))
        self.present[wanted] = path

    def finish(self):
        if not self.dirty:
            return
        for index in self.copies:
            self.put(index, _chunks(self.full(self.present[self.entries[index][5]])))
        for path, to in self.new_links:
            paths.remove(_DRAFT)
            os.symlink(to.encode(), _DRAFT)
            _move_in(self.full(path))
        # The deepest first: one that is closed to its owner bars the way to those below.
        for path, mode in sorted(self.modes, reverse=True):
            os.chmod(self.full(path), mode)

    def settle(self):
        """A tick of the clock after `finish`: whatever changes a file from here on also changes its stat."""
        if self.dirty:
            self.owned.settle(self.wanted, self.files, self.links, self.folders)

    def _remove(self, path):
        full = self.full(path)
        try:
            paths.remove(full)
        except PermissionError:
            os.chmod(os.path.dirname(full), 0o700)
            paths.remove(full)


def resolve(written):
    """The place on this node, as bytes. Directories on the way to it must not lead out of the home directory by a link."""
    if written.startswith('~/'):
        full = os.path.join(paths.HOME, written[2:])
    elif written.startswith('/'):
        raise invalid('%s lies outside of the home directory, and this machine has made no room there' % written)
    else:
        raise invalid('a target is ~/… or absolute, not %r' % written)
    home, agent = os.path.realpath(paths.HOME), os.path.realpath(paths.BASE)
    real = os.path.realpath(full) if os.path.isdir(full) else os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))
    if not real.startswith(home + '/') or (real + '/').startswith(agent + '/'):
        raise invalid('%s leads to %s on the node, out of the home directory; take the link away, or choose another target' % (written, real))
    return full.encode()


def opened(written, at):
    """The place of an absolute target, as bytes. No directory on the way to it is a link, nor is it one itself."""
    if not isinstance(at, str) or not at.startswith('/') or os.path.normpath(at) != at or '\0' in at:
        raise invalid('%s cannot be filled through %r' % (written, at))
    real = os.path.realpath(at)
    if real != at:
        raise invalid('%s leads to %s on the node; take the link away, or choose another target' % (written, real))
    return at.encode()


def _lstat(full):
    try:
        return os.lstat(full)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _link(full):
    return os.readlink(full).decode('utf-8', 'surrogateescape')


def _hash_or_none(full):
    try:
        return hash_of(full)
    except OSError:
        return None


def _rmdir(full):
    try:
        os.rmdir(full)
    except OSError:
        # A job keeps something in it.
        pass


def _write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _chunks(full):
    with open(full, 'rb') as file:
        while True:
            data = file.read(_COPY)
            if not data:
                return
            yield data


def _move_in(full):
    """The draft to its place, over whatever file or link is there."""
    try:
        os.rename(_DRAFT, full)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        import shutil

        beside = os.path.join(os.path.dirname(full), _DRAFT_NAME)
        shutil.copy2(_DRAFT, beside, follow_symlinks=False)
        os.rename(beside, full)
        os.unlink(_DRAFT)
