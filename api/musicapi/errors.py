"""What can go wrong with calls that answer with what was made."""

from config.errors import AppError, NotFound, ValidationFailed


class ClipNotFound(NotFound):
    message = "clip not found."


class TaskNotFound(ValidationFailed):
    # Not 404: so it is in the contract.
    code, message = "task_not_found", "task not found."


class TaskMissing(ValidationFailed):
    code, message = "missing_task_id", "missing task id."


class UploadFailed(ValidationFailed):
    code, message = "upload_failed", "The recording could not be fetched."


class TaskTimedOut(AppError):
    code, status = "task_timed_out", 504
    message = "Task failed due to timeout. Credits were previously refunded."


class TaskFailed(AppError):
    code, status = "task_failed", 500
    message = "Task failed. Credits were previously refunded."


class NoLongerKept(ValidationFailed):
    # Of a call that is repeated after its files were deleted.
    code, message = "no_longer_kept", "What this call made is no longer kept; order it anew."
