"""What the packages of ``fnn.functional`` show."""

import inspect


def function_names(family):
    """The names of the public functions of a package."""
    return sorted(name for name, value in vars(family).items() if inspect.isfunction(value) and name[0] != "_")
