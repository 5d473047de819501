"""Secret values that jobs were given, so that the agent's own words do not repeat them."""

#: Shorter values would mask half of what people write.
_SHORTEST = 4
_known = set()


def enter(known):
    """From here on `known` is what is masked, and added to; see shared.py."""
    global _known
    _known = known


def know(values):
    for value in values:
        _known.update(part for part in [value] + value.split('\n') if len(part.strip()) >= _SHORTEST)


def mask(text):
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, '*****')
    return text
