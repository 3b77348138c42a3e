"""A job has two ids in this API: of the task, and of the one conversion that the task makes."""

from uuid import UUID

# Changes no bit that says which kind of UUID it is.
_MASK = 0x5EC0DE00_C0DE_00DE_00DE_C0DEC0DEC0DE


def conversion_id_of(task_id: UUID) -> UUID:
    return UUID(int=task_id.int ^ _MASK)


def task_id_of(conversion_id: UUID) -> UUID:
    return UUID(int=conversion_id.int ^ _MASK)
