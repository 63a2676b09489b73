"""What the environment says about the folders of jobs."""

from pathlib import Path

from pydantic import Field

from shared_utils.settings import Settings


class FilesSettings(Settings):
    """The settings of every process, and where its jobs lie."""

    files_inbox: Path = Field(Path("inbox"), description="Folder that jobs are dropped into; made if missing.")
    files_outbox: Path = Field(
        Path("outbox"), description="Folder whose done and failed they come out in; made if missing."
    )
    files_poll_seconds: float = Field(1.0, gt=0, le=3600, description="How often the inbox is looked at.")
    files_settle_seconds: float = Field(
        10.0,
        ge=0,
        le=86400,
        description="A job that is not whole is taken as it is when it has not changed for so long.",
    )
    files_drain_seconds: float = Field(
        60.0,
        ge=0,
        description="How long a job in hand may go on when the process is to end. After that it is put back.",
    )
