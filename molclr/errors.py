"""The one exception that speaks to the user."""


class MolclrError(Exception):
    """A mistake the user can mend. The message is one sentence: what is wrong, where, and what to do."""
