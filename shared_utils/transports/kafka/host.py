"""A process with one stage or several behind Kafka: each has a thread, and they share the models."""

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from shared_utils.comfy.one_thread import lend_this_thread
from shared_utils.errors import InternalError, InvalidRequestError, VtryonError, first_line
from shared_utils.measured import Measured
from shared_utils.signals import stopped_by_signals
from shared_utils.stage import Stage
from shared_utils.telemetry.endpoint import reachable
from shared_utils.telemetry.health import Health, Part
from shared_utils.telemetry.metrics import DeadLetters, StageMetrics
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.cancels import Cancels
from shared_utils.transports.kafka.client import Instance, make_producer
from shared_utils.transports.kafka.codecs import make_codec
from shared_utils.transports.kafka.lag import watched_lag
from shared_utils.transports.kafka.messages import Codec
from shared_utils.transports.kafka.news import News
from shared_utils.transports.kafka.settings import WorkerSettings
from shared_utils.transports.kafka.staying import again_and_again
from shared_utils.transports.kafka.worker import Names, Post, Worker

log = logging.getLogger("vtryon.kafka")


def run_workers(stages: Sequence[Stage], settings: WorkerSettings) -> None:
    """Serve these stages until the process is told to end."""
    named = (settings.kafka_request_topic, settings.kafka_response_topic, settings.kafka_consumer_group)
    if len(stages) > 1 and any(named):
        raise InvalidRequestError(
            "KAFKA_REQUEST_TOPIC, KAFKA_RESPONSE_TOPIC and KAFKA_CONSUMER_GROUP are of one stage: "
            "unset them where a process hosts several."
        )
    health = Health()
    metrics = StageMetrics(stages[0].name if len(stages) == 1 else "worker", lambda: health.ready)
    served = [_Served(Measured(stage, metrics), health.part(stage.name)) for stage in stages]
    # Said before the models are loaded, which may take minutes: live, and not ready.
    with reachable(settings, health, metrics.text):
        for each in served:
            each.stage.warm_up()
        with ExitStack() as stack:
            stopping = stack.enter_context(stopped_by_signals())
            health.ends_with(stopping)
            codec = stack.enter_context(closing(make_codec(settings)))
            cancels = stack.enter_context(closing(Cancels(settings, codec)))
            groups = {names.group: [names.requests] for names in (Names.of(stage.name, settings) for stage in stages)}
            stack.enter_context(watched_lag(settings, groups, metrics))
            shared = _Shared(settings, codec, cancels, metrics, DeadLetters(metrics), stopping, [])
            lend_this_thread(lambda: _serve_all(served, shared))
    if shared.failures:
        raise shared.failures[0]


@dataclass(frozen=True)
class _Served:
    stage: Stage
    part: Part


@dataclass(frozen=True)
class _Shared:
    """What the stages of a process have in common."""

    settings: WorkerSettings
    codec: Codec
    cancels: Cancels
    metrics: StageMetrics
    letters: DeadLetters
    stopping: threading.Event
    failures: list[VtryonError]


def _serve_all(served: Sequence[_Served], shared: _Shared) -> None:
    """Each in a thread, until all have ended."""
    # Daemons, so that a second Ctrl-C ends the process whatever they are doing.
    threads = [
        threading.Thread(target=_serve, args=(each, shared), name=each.stage.name, daemon=True) for each in served
    ]
    for each, thread in zip(served, threads, strict=True):
        each.part.runs_in(thread)
        thread.start()
    for thread in threads:
        thread.join()


def _serve(served: _Served, shared: _Shared) -> None:
    """One stage, through all that can happen to Kafka; what can't be mended ends the whole process."""
    stage, settings, codec = served.stage, shared.settings, shared.codec
    names = Names.of(stage.name, settings)
    instance = Instance(settings, names.group)

    def one_membership() -> None:
        served.part.turn()
        counts = topics.counted(settings, names.requests, names.responses, topics.TRYON_PROGRESS, topics.STAGE_CANCELS)
        news = News(teller, codec, stage.name, counts[topics.TRYON_PROGRESS])
        post = Post(
            stage,
            settings,
            names,
            codec,
            shared.cancels,
            news,
            counts[names.responses],
            instance.name,
            served.part,
            shared.metrics,
            shared.letters,
        )
        worker = Worker(post)
        log.info("%s waits for requests on %s", instance.name, names.requests)
        try:
            worker.run(shared.stopping)
        finally:
            served.part.ready = False
            worker.close()

    try:
        # It outlives memberships, so it must not be one that an error can end for good, as idempotent ones are.
        teller = make_producer(settings, **{"enable.idempotence": False, "max.in.flight.requests.per.connection": 1})
        again_and_again(one_membership, instance.name, shared.stopping)
    except VtryonError as failed:
        shared.failures.append(failed)
    except Exception as defect:
        log.exception("a defect of the worker for %s", stage.name)
        internal = InternalError(f"{type(defect).__name__}: {first_line(defect)} (the log has the details)")
        shared.failures.append(internal)
    finally:
        # One stage that can't go on ends the process: half a process would look healthy and do half the work.
        shared.stopping.set()
        instance.close()
