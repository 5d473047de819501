"""What a request can fail with; the kinds are those of model/errors.ts."""


class Refused(Exception):
    def __init__(self, kind, message):
        Exception.__init__(self, message)
        self.kind = kind


def invalid(message):
    return Refused('invalid', message)
