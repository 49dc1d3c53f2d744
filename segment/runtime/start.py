"""The start of a program: before torch is imported, and before anyone can ask the program to end."""

from segment.runtime.machine import keep_freed_memory, let_threads_sleep
from segment.runtime.signals import listen


def begin_program() -> None:
    """Set what concerns the whole process; a second call changes nothing."""
    let_threads_sleep()
    keep_freed_memory()
    listen()
