"""How many programs JAX compiles."""

import threading

import jax


class Compilations:
    """How many programs were compiled in this thread since it was made."""

    def __init__(self):
        self.count = 0
        self.thread = threading.get_ident()
        jax.monitoring.register_event_duration_secs_listener(self._heard)

    def _heard(self, event, duration, **kwargs):
        self.count += "backend_compile" in event and threading.get_ident() == self.thread


HEARD = Compilations()
