"""Progress on stderr: a bar on a terminal, JSON lines where those are asked for, log lines otherwise."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from tqdm import tqdm

from shared_utils.comfy.progress import Step, Watcher
from shared_utils.settings import Settings

log = logging.getLogger("vtryon.progress")


@contextmanager
def watcher_for(settings: Settings) -> Iterator[Watcher]:
    """The watcher that suits where stderr goes."""
    if settings.log_format == "json" or not sys.stderr.isatty():
        yield _log_step
        return
    bar: tqdm[Never] = tqdm(
        total=0, file=sys.stderr, leave=False, bar_format="{desc:<24}{bar:30} {n_fmt}/{total_fmt} {elapsed}"
    )

    def draw(step: Step) -> None:
        bar.set_description_str(step.node, refresh=False)
        bar.total, bar.n = step.total or 1, step.done
        bar.refresh()

    with bar:
        yield draw


def _log_step(step: Step) -> None:
    fields = {"node": step.node, "done": step.done, "total": step.total}
    message = f"{step.node} {step.done}/{step.total}" if step.total else step.node
    log.info(message, extra={"fields": fields})
