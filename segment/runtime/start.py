"""Set up a process, before torch is imported and before a signal can arrive."""

from segment.runtime.garbage import collect_rarely
from segment.runtime.machine import keep_freed_memory, let_threads_sleep
from segment.runtime.signals import listen


def set_up_process() -> None:
    """Apply the settings of the whole process; a second call changes nothing.

    The program calls `collect_as_usual` when its imports are done.
    """
    collect_rarely()
    let_threads_sleep()
    keep_freed_memory()
    listen()
