"""The lab's one error type: a sentence for a person, without a traceback."""


class LabError(Exception):
    """Something the reader can act on; the text says what happened and what to do."""
