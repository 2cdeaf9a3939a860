"""The exception for errors that users can correct."""


class MolclrError(Exception):
    """An error that the user can correct. The message says what is wrong, where, and what to do, in a sentence or two."""
