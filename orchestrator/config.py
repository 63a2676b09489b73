"""What the environment can set for the orchestrator: how it works, and what a try-on may leave out."""

from pathlib import Path

from pydantic import Field, field_validator

from orchestrator.steps import STEPS
from orchestrator.workflow import Policy
from shared_utils.contracts import ClipOptions, OutputOptions, SamplerOptions, ScaleOptions, VaeOptions
from shared_utils.transports.kafka.settings import KafkaSettings

STEP_SECONDS = 1800.0


class Config(SamplerOptions, ClipOptions, VaeOptions, ScaleOptions, OutputOptions, KafkaSettings):
    kafka_consumer_group: str = Field(
        "orchestrator-group", description="Orchestrators of one group share the try-ons; each group has all of them."
    )
    max_in_flight: int = Field(
        100, ge=1, description="Try-ons that an orchestrator has under way; the others wait in Kafka."
    )
    step_attempts: int = Field(2, ge=1, le=100, description="How often a step is sent before the try-on fails.")
    step_seconds: dict[str, float] = Field(
        {},
        description="Seconds that a step may take, its wait for a worker included, as JSON; 1800 if not given.",
    )
    intermediate_dir: Path = Field(
        Path("output/intermediate"), description="Folder on the shared storage for what steps hand to each other."
    )
    keep_intermediates: bool = Field(False, description="Keep those files when a try-on has ended.")
    sweep_hours: float = Field(
        24.0, gt=0, description="What a crash left in INTERMEDIATE_DIR is removed when it is that old."
    )

    @field_validator("step_seconds")
    @classmethod
    def _of_known_steps(cls, seconds: dict[str, float]) -> dict[str, float]:
        wrong = [step for step, limit in seconds.items() if step not in STEPS or limit <= 0]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: give seconds above 0 for {', '.join(STEPS)}")
        return seconds

    @property
    def policy(self) -> Policy:
        return Policy(dict.fromkeys(STEPS, STEP_SECONDS) | self.step_seconds, self.step_attempts)
