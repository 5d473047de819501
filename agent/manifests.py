"""Reading of manifests (data/manifest.ts): a tree that would reach out of its root is refused before anything is done."""
import hashlib
import json
import re

from errors import Refused, invalid

_HASH = re.compile(r'[0-9a-f]{64}\Z')
_LINE_BREAK = re.compile('[\n\r\0]')


def decode(data, wanted):
    """(root, entries): `['d', path, mode]`, `['f', path, mode, size, mtime in microseconds, hash]`, `['l', path, to]`."""
    if hashlib.sha256(data).hexdigest() != wanted:
        raise Refused('transient', 'the manifest arrived damaged')
    try:
        manifest = json.loads(data.decode())
        root, entries = manifest['root'], manifest['entries']
        if manifest['version'] != 1 or root not in ('file', 'directory') or not isinstance(entries, list):
            raise ValueError
        _check(root, entries)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise invalid('this is no manifest that this agent can use: %s' % error)
    return root, entries


def _check(root, entries):
    if root == 'file':
        if len(entries) != 1 or entries[0][0] != 'f' or entries[0][1] != '':
            raise ValueError('it must hold one file')
    folders, seen = {''}, set()
    for entry in entries:
        kind, path = entry[0], entry[1]
        path.encode()
        if root == 'directory':
            parent, _, name = path.rpartition('/')
            if name in ('', '.', '..') or _LINE_BREAK.search(name):
                raise ValueError('%r cannot be the path of a file' % path)
            # A link is never entered: what would lie behind it could be anywhere.
            if parent not in folders:
                raise ValueError('%r does not lie in a directory of the tree' % path)
            if path in seen:
                raise ValueError('%r is there twice' % path)
            seen.add(path)
        if kind == 'd':
            folders.add(path)
        elif kind == 'l':
            if not isinstance(entry[2], str) or not entry[2] or '\0' in entry[2]:
                raise ValueError('%r points nowhere' % path)
            continue
        elif kind != 'f' or type(entry[3]) is not int or entry[3] < 0 or type(entry[4]) is not int or not _HASH.match(entry[5]):
            raise ValueError('%r is malformed' % path)
        if type(entry[2]) is not int or not 0 <= entry[2] <= 0o777:
            raise ValueError('%r has no mode' % path)
