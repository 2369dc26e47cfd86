"""Errors a user can act on.

RecsysError
+-- DataError      a table, file or id is not what it should be
+-- ConfigError    recsys.toml, an option or an environment variable
+-- ModelError     a model is missing, or does not fit the data
+-- BundleError    a bundle is missing, damaged or incompatible

Every message is one line: what was found, what was expected, what to do next. The command line prints it and exits with 1.
"""


class RecsysError(Exception):
    """Base of all errors that are the user's to mend."""


class DataError(RecsysError):
    """A table, a file or an id is not what it should be."""


class ConfigError(RecsysError):
    """The configuration asks for something that cannot be."""


class ModelError(RecsysError):
    """A model is missing or does not fit the data it is used with."""


class BundleError(RecsysError):
    """A bundle is missing, damaged or was made by an incompatible version."""
