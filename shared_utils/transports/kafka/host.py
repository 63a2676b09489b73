"""A process with one stage or several behind Kafka: each has a thread, and they share the models."""

import logging
import threading
from collections.abc import Sequence
from contextlib import closing

from shared_utils.errors import InternalError, InvalidRequestError, VtryonError, first_line
from shared_utils.signals import stopped_by_signals
from shared_utils.stage import Stage
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.cancels import Cancels
from shared_utils.transports.kafka.client import Instance, make_producer
from shared_utils.transports.kafka.codecs import make_codec
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
    for stage in stages:
        stage.warm_up()
    with closing(make_codec(settings)) as codec, stopped_by_signals() as stopping:
        cancels = Cancels(settings, codec)
        failures: list[VtryonError] = []
        threads = [
            # Daemons, so that a second Ctrl-C ends the process whatever they are doing.
            threading.Thread(
                target=_serve,
                args=(stage, settings, codec, cancels, stopping, failures),
                name=stage.name,
                daemon=True,
            )
            for stage in stages
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cancels.close()
    if failures:
        raise failures[0]


def _serve(
    stage: Stage,
    settings: WorkerSettings,
    codec: Codec,
    cancels: Cancels,
    stopping: threading.Event,
    failures: list[VtryonError],
) -> None:
    """One stage, through all that can happen to Kafka; what can't be mended ends the whole process."""
    names = Names.of(stage.name, settings)
    instance = Instance(settings, names.group)

    def one_membership() -> None:
        counts = topics.counted(settings, names.requests, names.responses, topics.TRYON_PROGRESS, topics.STAGE_CANCELS)
        news = News(make_producer(settings), codec, stage.name, counts[topics.TRYON_PROGRESS])
        post = Post(stage, settings, names, codec, cancels, news, counts[names.responses], instance.name)
        worker = Worker(post)
        log.info("%s waits for requests on %s", instance.name, names.requests)
        try:
            worker.run(stopping)
        finally:
            worker.close()

    try:
        again_and_again(one_membership, instance.name, stopping)
    except VtryonError as failed:
        failures.append(failed)
    except Exception as defect:
        log.exception("a defect of the worker for %s", stage.name)
        failures.append(InternalError(f"{type(defect).__name__}: {first_line(defect)} (the log has the details)"))
    finally:
        # One stage that can't go on ends the process: half a process would look healthy and do half the work.
        stopping.set()
        instance.close()
