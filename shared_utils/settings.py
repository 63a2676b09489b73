"""Settings come from the environment and from `.env`, under the names of their fields in capitals."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

MemoryMode = Literal["auto", "gpu-only", "highvram", "lowvram", "novram"]
Dtype = Literal["auto", "fp32", "fp16", "bf16"]
Fast = Literal["fp16_accumulation", "fp8_matrix_mult", "cublas_ops", "autotune"]
Attention = Literal["auto", "pytorch", "split", "quad", "sage", "flash"]
NEVER_SHOWN = ("PASSWORD", "PROPERTIES", "USER_INFO", "SECRET", "API_KEY", "TOKEN")
"""What the names of settings that may hold a secret have in them."""


class Settings(BaseSettings):
    """What every process reads. A service adds its own in its config.py."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    mode: Literal["standalone", "kafka", "rest", "grpc", "files"] = Field(
        "standalone", description="How a service is reached, unless --mode says so."
    )
    stage_backend: Literal["local", "triton"] = Field(
        "local", description="Who does a stage's work: this process, or the Triton at TRITON_URL."
    )

    model_dir: Path = Field(Path("models"), description="Folder with diffusion_models, text_encoders, vae and loras.")
    extra_model_paths: Path | None = Field(
        None, description="An extra_model_paths.yaml, as ComfyUI reads it, with further model folders."
    )
    model_memory_gb: float | None = Field(
        None,
        gt=0,
        description="Loaded models may take this much together: the least used goes first, one that can not fit is "
        "refused. Unset: no limit.",
    )

    comfyui_path: Path | None = Field(
        None, description="A ComfyUI tree to use. Unset: the tested release, fetched once into the cache."
    )
    comfyui_device: str = Field("auto", pattern=r"^(auto|cpu|\d+)$", description="auto, cpu, or the number of a GPU.")
    comfyui_memory_mode: MemoryMode = Field("auto", description="How ComfyUI spreads models over GPU memory.")
    comfyui_reserve_gb: float | None = Field(None, ge=0, description="GPU memory that ComfyUI leaves to others.")
    comfyui_dtype: Dtype = Field("auto", description="Number type of all models. auto: ComfyUI's choice for each.")
    comfyui_attention: Attention = Field(
        "auto",
        description="Attention code. pytorch is faster than auto on a CPU; it changes the last bits of a result.",
    )

    comfyui_fast: list[Fast] = Field(
        [],
        description="Ways of ComfyUI to be faster on NVIDIA GPUs that change the bits of results (a JSON list): "
        "fp16_accumulation, fp8_matrix_mult, cublas_ops, autotune.",
    )
    comfyui_pinned_memory: bool = Field(True, description="Whether ComfyUI may pin memory, to copy to a GPU faster.")

    reuse_memory_mb: float = Field(
        1000.0,
        ge=0,
        description="What was encoded before is kept in memory, up to so much, and used again. 0: nothing is.",
    )
    reuse_dir: Path | None = Field(
        None, description="A folder where it is kept too, for all processes that see it. Unset: in memory only."
    )
    reuse_dir_gb: float = Field(10.0, gt=0, description="Bound for that folder: what was used longest ago goes first.")
    reuse_results: bool = Field(
        False, description="Whether the same request, seed included, may be answered with the picture made before."
    )

    storage_roots: list[Path] = Field(
        [], description="If given (a JSON list), every path in a request must lie inside one of these folders."
    )
    max_image_megapixels: float = Field(100.0, gt=0, description="Larger pictures are refused before being decoded.")
    max_file_mb: float = Field(512.0, gt=0, description="Larger pictures and .pt files are refused before being read.")
    save_metadata: bool = Field(True, description="Write a JSON file with the metadata beside each result.")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")
    log_format: Literal["text", "json"] = Field("text", description="Lines for people, or one JSON object a line.")
    health_host: str = Field("127.0.0.1", description="Address that health and metrics are answered on.")
    health_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port for them, in processes that have no HTTP of their own; 0: any that is free. Unset: none.",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s]+$",
        description="Where traces are sent, by OTLP over HTTP. Unset: none are made.",
    )

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings as they are, what is given here before all else (None: not given), or the end of the process
        with a line for each wrong variable."""
        try:
            return cls(**{name: value for name, value in given.items() if value is not None})
        except SettingsError as wrong:  # what should be JSON is none
            name = str(wrong).partition('"')[2].partition('"')[0].upper()
            print(f"{name} is not usable: it must be JSON.", file=sys.stderr)  # noqa: T201
            sys.exit(2)
        except ValidationError as wrong:
            for error in wrong.errors():
                name = str(error["loc"][0]).upper() if error["loc"] else "settings"
                value = "" if any(word in name for word in NEVER_SHOWN) else f"={error['input']!r}"
                print(f"{name}{value} is not usable: {error['msg']}.", file=sys.stderr)  # noqa: T201
            sys.exit(2)


def cache_dir() -> Path:
    """Where downloads are kept between checkouts. VTRYON_CACHE moves it; else the XDG cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("VTRYON_CACHE") or Path(base) / "vtryon")


@contextmanager
def one_process_at_a_time(lock: Path) -> Iterator[None]:
    """Processes that start together fetch a thing once; one that dies gives the lock back."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
