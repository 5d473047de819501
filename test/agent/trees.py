"""Trees for tests of what the agent receives: written as {path: content}, with their manifests and bytes."""
import hashlib
import json
import os
import stat

TIME = 1700000000123456


class Folder:
    def __init__(self, mode=0o755):
        self.mode = mode


class Link:
    def __init__(self, to):
        self.to = to


class File:
    def __init__(self, data, mode=0o644, time=TIME):
        self.data = data if isinstance(data, bytes) else data.encode()
        self.mode = mode
        self.time = time


def normal(tree):
    """All folders named, text as files."""
    full = {}
    for path, held in tree.items():
        parts = path.split('/')
        for depth in range(1, len(parts)):
            full.setdefault('/'.join(parts[:depth]), Folder())
        full[path] = File(held) if isinstance(held, (str, bytes)) else held
    return dict(sorted(full.items(), key=lambda item: item[0].split('/')))


class Manifest:
    def __init__(self, tree, root='directory'):
        self.tree = normal(tree) if root == 'directory' else {'': tree}
        self.entries = []
        self.blobs = []
        for path, held in self.tree.items():
            if isinstance(held, Folder):
                self.entries.append(['d', path, held.mode])
            elif isinstance(held, Link):
                self.entries.append(['l', path, held.to])
            else:
                digest = hashlib.sha256(held.data).hexdigest()
                self.entries.append(['f', path, held.mode, len(held.data), held.time, digest])
            self.blobs.append(getattr(held, 'data', None))
        self.data = json.dumps({'version': 1, 'root': root, 'entries': self.entries}).encode()
        self.hash = hashlib.sha256(self.data).hexdigest()

    def bytes_of(self, ranges):
        return b''.join(self.blobs[at] for first, last in ranges for at in range(first, last + 1))


def shape(top):
    """What is there, for comparing: {path: (kind, mode, content, time)}; times of files only."""
    found = {}
    for folder, folders, names in os.walk(top):
        for name in folders + names:
            full = os.path.join(folder, name)
            path = os.path.relpath(full, top)
            about = os.lstat(full)
            if stat.S_ISLNK(about.st_mode):
                found[path] = ('link', os.readlink(full))
            elif stat.S_ISDIR(about.st_mode):
                found[path] = ('folder', stat.S_IMODE(about.st_mode))
            else:
                with open(full, 'rb') as file:
                    found[path] = ('file', stat.S_IMODE(about.st_mode), file.read(), about.st_mtime_ns // 1000)
    return found


def wanted(tree):
    found = {}
    for path, held in normal(tree).items():
        if isinstance(held, Link):
            found[path] = ('link', held.to)
        elif isinstance(held, Folder):
            found[path] = ('folder', held.mode)
        else:
            found[path] = ('file', held.mode, held.data, held.time)
    return found
