"""The one exception that stands for bad input."""


class UserError(Exception):
    """Bad input: a missing file, a wrong key, an empty corpus, a corrupt shard.

    The message is one line that names the file or key and what was expected. The command line prints it
    without a traceback and exits with code 2; everything else that is raised is a defect of the program. A package
    whose commands can't import this class marks its own exceptions with ``bad_input = True``.
    """

    bad_input = True
