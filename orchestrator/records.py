"""What the orchestrator sends, as records: requests and cancellations to stages, states, answers, dead letters."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from orchestrator.models import StepTiming, TryOnFailure, TryOnSuccess
from orchestrator.spans import onward
from orchestrator.state import Problem, TryOn
from orchestrator.steps import LAST
from orchestrator.workflow import AskStage
from shared_utils.contracts import Cancel, now
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.dead_letters import described
from shared_utils.transports.kafka.messages import CORRELATION_ID, DEADLINE, REPLY_PARTITION, STATE, Codec
from shared_utils.transports.kafka.sending import Outgoing


class Records:
    def __init__(self, codec: Codec, keep_intermediates: bool) -> None:
        self._codec = codec
        self._keep_intermediates = keep_intermediates

    def request(self, ask: AskStage, tryon: TryOn, home: int, partition: int) -> Outgoing:
        """`home` is the number of the partition that the try-on lives on: the answer has to come there."""
        fields = {
            **ask.fields,
            "request_id": ask.request_id,
            "correlation_id": tryon.correlation_id,
            "timestamp": tryon.steps[ask.step].started,
        }
        deadline = tryon.steps[ask.step].deadline.timestamp()
        headers = {REPLY_PARTITION: home, DEADLINE: f"{deadline:.3f}"}
        return self._outgoing(topics.request_topic(ask.step), tryon, fields, partition, headers)

    def cancel(self, tryon: TryOn, request_id: str) -> Outgoing:
        cancel = Cancel(correlation_id=tryon.correlation_id, request_id=request_id)
        return self._outgoing(topics.STAGE_CANCELS, tryon, cancel, -1)

    def status(self, tryon: TryOn, home: int) -> Outgoing:
        return self._outgoing(topics.TRYON_STATUS, tryon, tryon, home, {STATE: tryon.state})

    def end(self, tryon: TryOn, home: int) -> Iterator[Outgoing]:
        """The answer, and the dead letter of what failed."""
        yield self._outgoing(topics.TRYON_RESPONSES, tryon, self._response(tryon), home)
        if tryon.state == "failed" and tryon.problem is not None:
            attempts = [{"step": name, "attempts": step.attempt} for name, step in tryon.steps.items()]
            story = described(topics.TRYON_REQUESTS, home, None, tryon.problem.code, tryon.problem.message, attempts)
            letter = self._outgoing(topics.TRYON_REQUESTS, tryon, tryon.request, -1, story)
            # As it would be on its own topic: that is where it goes when it is sent again.
            yield replace(letter, topic=topics.dead_letter_topic(topics.TRYON_REQUESTS))

    def _outgoing(
        self, topic: str, tryon: TryOn, message: Any, partition: int, headers: dict[str, Any] | None = None
    ) -> Outgoing:
        value = self._codec.encode(topic, message)
        common = {CORRELATION_ID: tryon.correlation_id, **onward(tryon)}
        return Outgoing(topic, tryon.correlation_id, value, common | (headers or {}), partition)

    def _response(self, tryon: TryOn) -> TryOnSuccess | TryOnFailure:
        ids = {"request_id": tryon.request.request_id, "correlation_id": tryon.correlation_id}
        timings = _timings(tryon)
        if tryon.state != "succeeded":
            return failure(tryon.problem or Problem(code="INTERNAL_ERROR", message=""), ids, timings)
        latent, text, sampled = (tryon.results[step] for step in ("latent_encoder", "text_encoder", "sampling"))
        return TryOnSuccess(
            **ids,
            image_path=tryon.results[LAST]["image_path"],
            latent_file_path=latent["latent_file_path"],
            scaled_image_path=latent.get("scaled_image_path"),
            positive_encoding_path=text["positive_encoding_path"],
            negative_encoding_path=text["negative_encoding_path"],
            sampled_latent_path=sampled["sampled_latent_path"],
            intermediates_kept=self._keep_intermediates,
            seed=tryon.request.seed,
            timings=timings,
        )


def failure(problem: Problem, ids: dict[str, Any], timings: list[StepTiming]) -> TryOnFailure:
    return TryOnFailure(
        **ids,
        error_code=problem.code,
        error_message=problem.message,
        retryable=problem.retryable,
        failed_step=problem.step,
        timings=timings,
    )


def _timings(tryon: TryOn) -> list[StepTiming]:
    return [
        StepTiming(
            step=name,
            attempts=step.attempt,
            started=step.started,
            finished=step.finished or now(),
            processing_time_ms=step.processing_time_ms,
        )
        for name, step in tryon.steps.items()
        if step.state == "done"
    ]
