"""What the cloud says ahead of taking this machine back. The source comes with the lease, so that it is followed without anybody."""
import json
import time

import metadata
import paths
from errors import invalid

#: A notice for a time so long ago, in seconds, is about an earlier life of the disk.
_STALE = 300
#: Of `at` what is left for the last words of the job and of ours, seconds.
_LAST_WORDS = 2
KINDS = ('interruption', 'rebalance')


class Notices:
    """`interrupted(at, grace)` is called once in a life of the daemon: the machine goes at `at`, the jobs have `grace` seconds."""

    def __init__(self, loop, events, interrupted):
        self.loop = loop
        self.events = events
        self.interrupted = interrupted
        self.source = None
        self.token = None
        self.timer = None
        self.told = {}

    def follow(self, source):
        if source == self.source:
            return
        self.source = source
        self.token = None
        if self.timer:
            self.timer.cancel()
        if source:
            self._look(source)

    def _look(self, source):
        """Asks for all kinds that it has not heard of, one after the other, and again after a while."""
        kinds = [kind for kind in KINDS if source[kind] and kind not in self.told]

        def following():
            if self.source is not source:
                return
            if kinds:
                self._ask(source, kinds.pop(0), following)
            elif len(self.told) < len([kind for kind in KINDS if source[kind]]):
                self.timer = self.loop.after(source['every'] / 1000, lambda: self._look(source))

        following()

    def _ask(self, source, kind, then):
        if source['token'] and self.token is None:
            return self._renew(source, lambda: then() if self.token is None else self._ask(source, kind, then))
        place = source[kind]
        headers = {source['token']['header']: self.token} if source['token'] else {}

        def answered(status, body):
            if status == 401:
                self.token = None
            elif status == 200:
                self._heard(kind, place, body)
            then()

        metadata.ask(self.loop, 'GET', place['url'], headers, answered)

    def _renew(self, source, then):
        token = source['token']

        def answered(status, body):
            self.token = body.decode('latin-1').strip() if status == 200 else None
            then()

        metadata.ask(self.loop, 'PUT', token['url'], token['ask'], answered)

    def _heard(self, kind, place, body):
        # Few machines ever hear of one.
        import calendar

        try:
            text = json.loads(body.decode())[place['time']]
            at = calendar.timegm(time.strptime(text[:19], '%Y-%m-%dT%H:%M:%S'))
        except (ValueError, KeyError, TypeError):
            return paths.note('a notice (%s) that cannot be read: %r' % (kind, body[:200]))
        left = at - time.time()
        if left < -_STALE:
            return
        self.told[kind] = at
        if not self.events.has_notice(kind, at):
            paths.note('notice: %s at %s' % (kind, text))
            self.events.append('notice', kind=kind, at=at)
        if kind == 'interruption':
            self.interrupted(at, max(0, left - min(_LAST_WORDS, left / 4)))


def check(source):
    """@raises Refused for what is no source of notices; None is one that says nothing."""
    if source is None:
        return
    fine = isinstance(source, dict) and type(source.get('every')) in (int, float) and source['every'] > 0
    fine = fine and all(kind in source and _is_place(source[kind], 'time') for kind in KINDS)
    token = source.get('token') if fine else None
    fine = fine and (token is None or _is_place(token, 'header') and isinstance(token.get('ask'), dict))
    if not fine:
        raise invalid('the source of notices is malformed')


def _is_place(place, field):
    return place is None or isinstance(place, dict) and metadata.is_address(place.get('url')) and isinstance(place.get(field), str)
