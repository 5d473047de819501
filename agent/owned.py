"""
What of a tree was put there by a sync. `files` maps a path to [hash, size, mtime, ctime, inode] as it was left; `maybe` maps one to
what may have been put there by a sync that did not come to its end: hashes of content, or `l` and what a link points to. `links` and
`folders` map paths to what they point to and to modes.
"""
import hashlib
import json
import os
import stat as stats

import paths

FOLDER = os.path.join(paths.BASE, 'files')
_CHUNK = 1024 * 1024


class Owned:
    def __init__(self, target):
        self.name = os.path.join(FOLDER, hashlib.sha256(target).hexdigest()[:32])
        record = _read(self.name + '.json')
        self.manifest = record.get('manifest')
        self.files = record.get('files', {})
        self.links = record.get('links', {})
        self.folders = record.get('folders', {})
        self.maybe = record.get('maybe', {})

    def manifest_bytes(self, wanted):
        """Of the tree that was put here last, or was about to be; None when that is another one."""
        data = paths.read_or_none(self.name + '.manifest')
        return data if data is not None and hashlib.sha256(data).hexdigest() == wanted else None

    def intend(self, entries, data):
        """On record before the first change, so that what a killed sync left is known by the next one."""
        folders = dict(self.folders)
        maybe = {path: list(held) for path, held in self.maybe.items()}
        for entry in entries:
            if entry[0] == 'd':
                folders[entry[1]] = entry[2]
                continue
            content = entry[5] if entry[0] == 'f' else 'l' + entry[2]
            held = maybe.setdefault(entry[1], [])
            if content not in held:
                held.append(content)
        self.maybe = maybe
        self.folders = folders
        self.manifest = None
        paths.write_whole(self.name + '.manifest', data, lasting=False)
        self._write()

    def settle(self, manifest, files, links, folders):
        self.manifest, self.files, self.links, self.folders, self.maybe = manifest, files, links, folders, {}
        self._write()

    def all_paths(self):
        return dict.fromkeys([*self.files, *self.links, *self.maybe])

    def is_ours(self, path, full, found):
        """Is what is there what a sync put there? What a job changed is the job's."""
        if stats.S_ISLNK(found.st_mode):
            to = os.readlink(full).decode('utf-8', 'surrogateescape')
            return self.links.get(path) == to or 'l' + to in self.maybe.get(path, ())
        if not stats.S_ISREG(found.st_mode):
            return False
        known = self.files.get(path)
        if known and known[1:] == sign(found):
            return True
        content = set(self.maybe.get(path, ()))
        if known:
            content.add(known[0])
        return bool(content) and hash_of(full) in content

    def _write(self):
        record = {
            'manifest': self.manifest,
            'files': self.files,
            'links': self.links,
            'folders': self.folders,
            'maybe': self.maybe,
        }
        paths.write_whole(self.name + '.json', json.dumps(record, separators=(',', ':')).encode(), lasting=False)


def _read(path):
    """Empty when there is none, or when a power cut tore it: then files are known by their content."""
    try:
        return json.loads((paths.read_or_none(path) or b'{}').decode())
    except ValueError:
        return {}


def sign(found):
    """What cannot stay the same when the content changes."""
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def hash_of(full):
    hasher = hashlib.sha256()
    fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while True:
            data = os.read(fd, _CHUNK)
            if not data:
                return hasher.hexdigest()
            hasher.update(data)
    finally:
        os.close(fd)
