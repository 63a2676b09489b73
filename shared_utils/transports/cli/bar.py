"""Progress on stderr: a bar on a terminal, JSON lines where those are asked for, log lines otherwise."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

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
        total=1, desc="starting", file=sys.stderr, leave=False, bar_format="{desc:<32} {bar:24} {elapsed}"
    )

    def draw(step: Step) -> None:
        bar.total, bar.n = step.total or 1, step.done
        bar.set_description_str(_text(step))

    # Log lines go above the bar, not into it.
    with bar, logging_redirect_tqdm():
        yield draw


def _log_step(step: Step) -> None:
    log.info(_text(step), extra={"fields": {"node": step.node, "done": step.done, "total": step.total}})


def _text(step: Step) -> str:
    return f"{step.node} {step.done}/{step.total}" if step.total else step.node
