"""The RQ worker of every queue: in-process, so that SMTP and database connections outlive a job."""

from typing import Any

from django.db import close_old_connections
from rq import SimpleWorker


class Worker(SimpleWorker):
    def perform_job(self, job: Any, queue: Any) -> bool:
        close_old_connections()  # PostgreSQL may have been restarted since the last job
        try:
            return super().perform_job(job, queue)
        finally:
            close_old_connections()
