"""The workflow under every order, repetition and loss of events that Hypothesis finds, and a few by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator.models import TryOnRequest
from orchestrator.state import Problem, TryOn
from orchestrator.steps import LAST, STEPS
from orchestrator.workflow import (
    Answered,
    AskStage,
    CancelRequested,
    Command,
    Decision,
    Event,
    Expired,
    Policy,
    Respond,
    StopStage,
    Submitted,
    advance,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(seconds=dict.fromkeys(STEPS, 60.0), attempts=3)
RESULTS: dict[str, dict[str, Any]] = {
    "latent_encoder": {"latent_file_path": "/s/latent.pt"},
    "text_encoder": {"positive_encoding_path": "/s/positive.pt", "negative_encoding_path": None},
    "sampling": {"sampled_latent_path": "/s/sampled.pt"},
    "decoding": {"image_path": "/s/it.png"},
}


def request(**fields: Any) -> TryOnRequest:
    common = {"person_image_path": "p.png", "garment_image_path": "g.png", "correlation_id": "c", "timestamp": START}
    return TryOnRequest(**common | fields)


def problem(retryable: bool) -> Problem:
    return Problem(code="SOME_CODE", message="what happened", retryable=retryable)


class Run:
    """A try-on and everything that was sent for it, with the promises checked at every event."""

    def __init__(self) -> None:
        self.tryon: TryOn | None = None
        self.asked: list[AskStage] = []
        self.responses: list[TryOn] = []
        self.now = START

    def tell(self, event: Event) -> Decision:
        before = self.tryon
        decision = advance(before, event, POLICY)
        self.tryon = decision.tryon
        for command in decision.commands:
            self._check(command, before)
        if before is not None and before.ended:
            assert decision == Decision(before), "nothing happens after the end"
        if self.tryon == before:
            assert self.tryon is before, "whoever stores states can tell by looking"
        return decision

    def _check(self, command: Command, before: TryOn | None) -> None:
        if isinstance(command, AskStage):
            done = {} if before is None else before.results
            assert command.step not in done, "a step that succeeded is not sent again"
            assert command.request_id not in {asked.request_id for asked in self.asked}, "an attempt is sent once"
            self.asked.append(command)
            assert self.tryon is not None
            assert set(STEPS[command.step].needs) <= set(self.tryon.results)
            assert sum(asked.step == command.step for asked in self.asked) <= POLICY.attempts
        elif isinstance(command, StopStage):
            assert command.request_id in {asked.request_id for asked in self.asked}
        else:
            self.responses.append(command.tryon)
            assert command.tryon == self.tryon
            assert command.tryon.ended

    def answer(self, asked: AskStage) -> Decision:
        return self.tell(Answered(asked.step, asked.request_id, self.now, RESULTS[asked.step]))

    def last(self, step: str) -> AskStage:
        return next(asked for asked in reversed(self.asked) if asked.step == step)


class AnyOrder(RuleBasedStateMachine):
    """Events about any attempt ever sent, at any time, as often as Hypothesis likes; most are never delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.run = Run()

    @initialize(cfg=st.sampled_from([1.0, 2.5]))
    def submit(self, cfg: float) -> None:
        self.run.tell(Submitted(request(cfg=cfg), START))

    @rule(which=st.data())
    def succeed(self, which: st.DataObject) -> None:
        self.run.answer(which.draw(st.sampled_from(self.run.asked)))

    @rule(which=st.data(), retryable=st.booleans())
    def fail(self, which: st.DataObject, retryable: bool) -> None:
        asked = which.draw(st.sampled_from(self.run.asked))
        self.run.tell(Answered(asked.step, asked.request_id, self.run.now, problem=problem(retryable)))

    @rule(which=st.data(), result=st.dictionaries(st.text(max_size=3), st.integers(), max_size=2))
    def answer_nonsense(self, which: st.DataObject, result: dict[str, int]) -> None:
        asked = which.draw(st.sampled_from(self.run.asked))
        self.run.tell(Answered(asked.step, asked.request_id, self.run.now, result))

    @rule(which=st.data())
    def expire(self, which: st.DataObject) -> None:
        asked = which.draw(st.sampled_from(self.run.asked))
        self.run.tell(Expired(asked.step, asked.request_id, self.run.now))

    @rule(step=st.sampled_from([*STEPS, "no_such_step"]), identifier=st.text(max_size=40))
    def hear_of_what_was_never_sent(self, step: str, identifier: str) -> None:
        before = self.run.tryon
        self.run.tell(Answered(step, identifier, self.run.now, RESULTS.get(step, {})))
        self.run.tell(Expired(step, identifier, self.run.now))
        assert self.run.tryon == before

    @rule(step=st.sampled_from(list(STEPS)), other=st.sampled_from(list(STEPS)))
    def take_one_step_for_another(self, step: str, other: str) -> None:
        if step != other and any(asked.step == step for asked in self.run.asked):
            before = self.run.tryon
            self.run.tell(Answered(other, self.run.last(step).request_id, self.run.now, RESULTS[other]))
            assert self.run.tryon == before

    @rule()
    def submit_again(self) -> None:
        before = self.run.tryon
        self.run.tell(Submitted(request(seed=5), self.run.now))
        assert self.run.tryon == before

    @precondition(lambda self: len(self.run.asked) > 3)
    @rule()
    def cancel(self) -> None:
        self.run.tell(CancelRequested(self.run.now))
        assert self.run.tryon is not None
        assert self.run.tryon.ended

    @rule(seconds=st.integers(0, 200))
    def wait(self, seconds: int) -> None:
        self.run.now += timedelta(seconds=seconds)

    @invariant()
    def there_is_one_end(self) -> None:
        tryon = self.run.tryon
        assert len(self.run.responses) == (1 if tryon is not None and tryon.ended else 0)

    @invariant()
    def the_state_survives_a_crash(self) -> None:
        tryon = self.run.tryon
        assert tryon is None or TryOn.model_validate_json(tryon.model_dump_json()) == tryon

    def teardown(self) -> None:
        """From wherever it got to, it ends well if the stages now answer."""
        tryon = self.run.tryon
        if tryon is None or tryon.ended:
            return
        for _ in STEPS:
            assert self.run.tryon is not None
            for step in list(self.run.tryon.in_flight):
                self.run.answer(self.run.last(step))
        assert self.run.tryon is not None
        assert self.run.tryon.state == "succeeded"
        assert len(self.run.responses) == 1


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=40, deadline=None, derandomize=True)


def submitted(**fields: Any) -> Run:
    run = Run()
    run.tell(Submitted(request(**fields), START))
    return run


def test_the_straight_way() -> None:
    run = submitted(seed=7, mask_image_path="m.png", output_filename="it.jpg")
    assert [asked.step for asked in run.asked] == ["latent_encoder", "text_encoder"]
    assert run.asked[1].fields["image3_path"] == "m.png"
    run.answer(run.asked[1])
    run.answer(run.asked[0])
    sampling = run.last("sampling").fields
    assert (sampling["latent_image"], sampling["positive_encoding"]) == ("/s/latent.pt", "/s/positive.pt")
    assert (sampling["seed"], sampling["negative_encoding"]) == (7, None)
    run.answer(run.last("sampling"))
    assert run.last(LAST).fields["output_filename"] == "it.jpg"
    run.answer(run.last(LAST))
    (response,) = run.responses
    assert (response.state, response.results[LAST]["image_path"]) == ("succeeded", "/s/it.png")


def test_the_negative_is_encoded_only_if_the_sampler_reads_it() -> None:
    for fields, wanted in (({}, False), ({"cfg": 2.5}, True), ({"sampler_name": "euler_cfg_pp"}, True)):
        assert submitted(**fields).last("text_encoder").fields["encode_negative"] is wanted


def test_a_failure_that_can_pass_is_tried_again_and_then_given_up() -> None:
    run = submitted()
    for attempt in (2, 3):
        asked = run.last("text_encoder")
        decision = run.tell(Answered(asked.step, asked.request_id, run.now, problem=problem(retryable=True)))
        assert [type(command) for command in decision.commands] == [StopStage, AskStage]
        assert run.tryon is not None
        assert run.tryon.steps["text_encoder"].attempt == attempt
    asked = run.last("text_encoder")
    decision = run.tell(Answered(asked.step, asked.request_id, run.now, problem=problem(retryable=True)))
    assert [type(command) for command in decision.commands] == [StopStage, StopStage, Respond]
    assert run.responses[0].problem == problem(retryable=True).model_copy(update={"step": "text_encoder"})


def test_a_late_success_counts_and_stops_the_attempt_that_follows() -> None:
    run = submitted()
    first = run.last("latent_encoder")
    run.tell(Expired(first.step, first.request_id, run.now))
    second = run.last("latent_encoder")
    decision = run.answer(first)
    assert decision.commands == (StopStage("latent_encoder", second.request_id),)
    assert run.answer(second).commands == ()


def test_a_deadline_is_told_in_the_state_and_fails_with_a_clear_code() -> None:
    run = submitted()
    assert run.tryon is not None
    assert run.tryon.steps["latent_encoder"].deadline == START + timedelta(seconds=60)
    for _ in range(POLICY.attempts):
        asked = run.last("latent_encoder")
        run.tell(Expired(asked.step, asked.request_id, run.now))
    assert run.responses[0].problem == Problem(
        code="STEP_TIMED_OUT",
        message="latent_encoder did not answer within 60 seconds.",
        step="latent_encoder",
        retryable=True,
    )


def test_an_answer_that_lacks_what_comes_next_is_a_failure_and_no_crash() -> None:
    run = submitted()
    asked = run.last("latent_encoder")
    run.tell(Answered(asked.step, asked.request_id, run.now, {"path": "x"}))
    assert run.responses[0].problem is not None
    assert run.responses[0].problem.code == "INVALID_RESPONSE"
    assert "latent_file_path" in run.responses[0].problem.message


def test_cancel_stops_what_runs_and_answers() -> None:
    run = submitted()
    decision = run.tell(CancelRequested(run.now))
    assert [type(command) for command in decision.commands] == [StopStage, StopStage, Respond]
    assert run.responses[0].state == "cancelled"


def test_news_of_an_unknown_try_on_changes_nothing() -> None:
    for event in (CancelRequested(START), Expired("sampling", "x", START), Answered("sampling", "x", START)):
        assert advance(None, event, POLICY) == Decision(None)


def test_what_was_cancelled_before_it_came_is_answered_and_never_begun() -> None:
    decision = advance(None, Submitted(request(), START, cancelled=True), POLICY)
    assert decision.tryon is not None
    assert (decision.tryon.state, decision.tryon.steps) == ("cancelled", {})
    assert decision.commands == (Respond(decision.tryon),)


def test_files_and_trace_stay_with_the_try_on() -> None:
    decision = advance(None, Submitted(request(), START, work_dir="/w", trace={"traceparent": "t"}), POLICY)
    assert decision.tryon is not None
    assert decision.tryon.trace == {"traceparent": "t"}
    assert {asked.fields["output_dir"] for asked in decision.commands if isinstance(asked, AskStage)} == {"/w"}
