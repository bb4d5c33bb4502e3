"""The shell around every stream job: Faust, as thin as it goes. `messages` names the port, `outlet` sends, `runner` drives."""

from .messages import BatchJob, Commit, Message
from .outlet import Outlet
from .runner import GO_FIRST_MS, run_job, run_jobs
from .voice import Said, Voice

__all__ = ["GO_FIRST_MS", "BatchJob", "Commit", "Message", "Outlet", "Said", "Voice", "run_job", "run_jobs"]
