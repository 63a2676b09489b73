import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CancelRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class DecodingMetadata(_message.Message):
    __slots__ = ("processing_time_ms", "timestamp", "miniature", "vae_model_name", "latent_shape", "image_shape", "output_format", "file_size")
    PROCESSING_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MINIATURE_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LATENT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHAPE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    FILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    processing_time_ms: int
    timestamp: _timestamp_pb2.Timestamp
    miniature: bool
    vae_model_name: str
    latent_shape: _containers.RepeatedScalarFieldContainer[int]
    image_shape: _containers.RepeatedScalarFieldContainer[int]
    output_format: str
    file_size: int
    def __init__(self, processing_time_ms: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., miniature: _Optional[bool] = ..., vae_model_name: _Optional[str] = ..., latent_shape: _Optional[_Iterable[int]] = ..., image_shape: _Optional[_Iterable[int]] = ..., output_format: _Optional[str] = ..., file_size: _Optional[int] = ...) -> None: ...

class DecodingRequest(_message.Message):
    __slots__ = ("request_id", "correlation_id", "timestamp", "output_dir", "vae_model_name", "quality", "latent_path", "output_filename", "output_format")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIR_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    LATENT_PATH_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FILENAME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    output_dir: str
    vae_model_name: str
    quality: int
    latent_path: str
    output_filename: str
    output_format: str
    def __init__(self, request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., output_dir: _Optional[str] = ..., vae_model_name: _Optional[str] = ..., quality: _Optional[int] = ..., latent_path: _Optional[str] = ..., output_filename: _Optional[str] = ..., output_format: _Optional[str] = ...) -> None: ...

class DecodingResponse(_message.Message):
    __slots__ = ("status", "request_id", "correlation_id", "timestamp", "image_path", "width", "height", "metadata")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    status: str
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    image_path: str
    width: int
    height: int
    metadata: DecodingMetadata
    def __init__(self, status: _Optional[str] = ..., request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., image_path: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., metadata: _Optional[_Union[DecodingMetadata, _Mapping]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class LatentEncoderMetadata(_message.Message):
    __slots__ = ("processing_time_ms", "timestamp", "miniature", "vae_model_name", "original_image_shape", "scaled_image_shape", "latent_shape")
    PROCESSING_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MINIATURE_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_IMAGE_SHAPE_FIELD_NUMBER: _ClassVar[int]
    SCALED_IMAGE_SHAPE_FIELD_NUMBER: _ClassVar[int]
    LATENT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    processing_time_ms: int
    timestamp: _timestamp_pb2.Timestamp
    miniature: bool
    vae_model_name: str
    original_image_shape: _containers.RepeatedScalarFieldContainer[int]
    scaled_image_shape: _containers.RepeatedScalarFieldContainer[int]
    latent_shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, processing_time_ms: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., miniature: _Optional[bool] = ..., vae_model_name: _Optional[str] = ..., original_image_shape: _Optional[_Iterable[int]] = ..., scaled_image_shape: _Optional[_Iterable[int]] = ..., latent_shape: _Optional[_Iterable[int]] = ...) -> None: ...

class LatentEncoderRequest(_message.Message):
    __slots__ = ("request_id", "correlation_id", "timestamp", "output_dir", "upscale_method", "megapixels", "vae_model_name", "image_path", "encode_content")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIR_FIELD_NUMBER: _ClassVar[int]
    UPSCALE_METHOD_FIELD_NUMBER: _ClassVar[int]
    MEGAPIXELS_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    ENCODE_CONTENT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    output_dir: str
    upscale_method: str
    megapixels: float
    vae_model_name: str
    image_path: str
    encode_content: bool
    def __init__(self, request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., output_dir: _Optional[str] = ..., upscale_method: _Optional[str] = ..., megapixels: _Optional[float] = ..., vae_model_name: _Optional[str] = ..., image_path: _Optional[str] = ..., encode_content: _Optional[bool] = ...) -> None: ...

class LatentEncoderResponse(_message.Message):
    __slots__ = ("status", "request_id", "correlation_id", "timestamp", "latent_file_path", "latent_shape", "scaled_image_path", "metadata")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    LATENT_FILE_PATH_FIELD_NUMBER: _ClassVar[int]
    LATENT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    SCALED_IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    status: str
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    latent_file_path: str
    latent_shape: _containers.RepeatedScalarFieldContainer[int]
    scaled_image_path: str
    metadata: LatentEncoderMetadata
    def __init__(self, status: _Optional[str] = ..., request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latent_file_path: _Optional[str] = ..., latent_shape: _Optional[_Iterable[int]] = ..., scaled_image_path: _Optional[str] = ..., metadata: _Optional[_Union[LatentEncoderMetadata, _Mapping]] = ...) -> None: ...

class ProblemView(_message.Message):
    __slots__ = ("code", "message", "step", "retryable")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    step: str
    retryable: bool
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., step: _Optional[str] = ..., retryable: _Optional[bool] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("correlation_id", "request_id", "step", "state", "node", "done", "total", "preview", "timestamp")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    correlation_id: str
    request_id: str
    step: str
    state: str
    node: str
    done: int
    total: int
    preview: str
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, correlation_id: _Optional[str] = ..., request_id: _Optional[str] = ..., step: _Optional[str] = ..., state: _Optional[str] = ..., node: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., preview: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SamplingMetadata(_message.Message):
    __slots__ = ("processing_time_ms", "timestamp", "miniature", "unet_model_name", "lora_model_name", "lora_strength", "steps", "cfg", "sampler_name", "scheduler", "denoise", "shift", "strength", "seed", "latent_shape")
    PROCESSING_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MINIATURE_FIELD_NUMBER: _ClassVar[int]
    UNET_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LORA_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LORA_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CFG_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    DENOISE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LATENT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    processing_time_ms: int
    timestamp: _timestamp_pb2.Timestamp
    miniature: bool
    unet_model_name: str
    lora_model_name: str
    lora_strength: float
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    shift: float
    strength: float
    seed: int
    latent_shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, processing_time_ms: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., miniature: _Optional[bool] = ..., unet_model_name: _Optional[str] = ..., lora_model_name: _Optional[str] = ..., lora_strength: _Optional[float] = ..., steps: _Optional[int] = ..., cfg: _Optional[float] = ..., sampler_name: _Optional[str] = ..., scheduler: _Optional[str] = ..., denoise: _Optional[float] = ..., shift: _Optional[float] = ..., strength: _Optional[float] = ..., seed: _Optional[int] = ..., latent_shape: _Optional[_Iterable[int]] = ...) -> None: ...

class SamplingRequest(_message.Message):
    __slots__ = ("request_id", "correlation_id", "timestamp", "output_dir", "unet_model_name", "lora_model_name", "lora_strength", "steps", "cfg", "sampler_name", "scheduler", "denoise", "shift", "strength", "seed", "positive_encoding", "negative_encoding", "latent_image")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIR_FIELD_NUMBER: _ClassVar[int]
    UNET_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LORA_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LORA_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CFG_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    DENOISE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_ENCODING_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_ENCODING_FIELD_NUMBER: _ClassVar[int]
    LATENT_IMAGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    output_dir: str
    unet_model_name: str
    lora_model_name: str
    lora_strength: float
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    shift: float
    strength: float
    seed: int
    positive_encoding: str
    negative_encoding: str
    latent_image: str
    def __init__(self, request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., output_dir: _Optional[str] = ..., unet_model_name: _Optional[str] = ..., lora_model_name: _Optional[str] = ..., lora_strength: _Optional[float] = ..., steps: _Optional[int] = ..., cfg: _Optional[float] = ..., sampler_name: _Optional[str] = ..., scheduler: _Optional[str] = ..., denoise: _Optional[float] = ..., shift: _Optional[float] = ..., strength: _Optional[float] = ..., seed: _Optional[int] = ..., positive_encoding: _Optional[str] = ..., negative_encoding: _Optional[str] = ..., latent_image: _Optional[str] = ...) -> None: ...

class SamplingResponse(_message.Message):
    __slots__ = ("status", "request_id", "correlation_id", "timestamp", "sampled_latent_path", "sampled_latent_shape", "metadata")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_LATENT_PATH_FIELD_NUMBER: _ClassVar[int]
    SAMPLED_LATENT_SHAPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    status: str
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    sampled_latent_path: str
    sampled_latent_shape: _containers.RepeatedScalarFieldContainer[int]
    metadata: SamplingMetadata
    def __init__(self, status: _Optional[str] = ..., request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sampled_latent_path: _Optional[str] = ..., sampled_latent_shape: _Optional[_Iterable[int]] = ..., metadata: _Optional[_Union[SamplingMetadata, _Mapping]] = ...) -> None: ...

class StepView(_message.Message):
    __slots__ = ("name", "state", "attempt", "node", "done", "total", "started", "finished", "processing_time_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    attempt: int
    node: str
    done: int
    total: int
    started: _timestamp_pb2.Timestamp
    finished: _timestamp_pb2.Timestamp
    processing_time_ms: int
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., attempt: _Optional[int] = ..., node: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., processing_time_ms: _Optional[int] = ...) -> None: ...

class SubmitRequest(_message.Message):
    __slots__ = ("output_dir", "upscale_method", "megapixels", "vae_model_name", "clip_model_name", "unet_model_name", "lora_model_name", "lora_strength", "steps", "cfg", "sampler_name", "scheduler", "denoise", "shift", "strength", "mask_image_path", "prompt", "negative_prompt", "seed", "output_filename", "output_format", "callback_url", "person_image_path", "person", "garment_image_paths", "garments", "mask", "idempotency_key")
    OUTPUT_DIR_FIELD_NUMBER: _ClassVar[int]
    UPSCALE_METHOD_FIELD_NUMBER: _ClassVar[int]
    MEGAPIXELS_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIP_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    UNET_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LORA_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    LORA_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CFG_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_NAME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    DENOISE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    MASK_IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FILENAME_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_URL_FIELD_NUMBER: _ClassVar[int]
    PERSON_IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    PERSON_FIELD_NUMBER: _ClassVar[int]
    GARMENT_IMAGE_PATHS_FIELD_NUMBER: _ClassVar[int]
    GARMENTS_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    output_dir: str
    upscale_method: str
    megapixels: float
    vae_model_name: str
    clip_model_name: str
    unet_model_name: str
    lora_model_name: str
    lora_strength: float
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str
    denoise: float
    shift: float
    strength: float
    mask_image_path: str
    prompt: str
    negative_prompt: str
    seed: int
    output_filename: str
    output_format: str
    callback_url: str
    person_image_path: str
    person: bytes
    garment_image_paths: _containers.RepeatedScalarFieldContainer[str]
    garments: _containers.RepeatedScalarFieldContainer[bytes]
    mask: bytes
    idempotency_key: str
    def __init__(self, output_dir: _Optional[str] = ..., upscale_method: _Optional[str] = ..., megapixels: _Optional[float] = ..., vae_model_name: _Optional[str] = ..., clip_model_name: _Optional[str] = ..., unet_model_name: _Optional[str] = ..., lora_model_name: _Optional[str] = ..., lora_strength: _Optional[float] = ..., steps: _Optional[int] = ..., cfg: _Optional[float] = ..., sampler_name: _Optional[str] = ..., scheduler: _Optional[str] = ..., denoise: _Optional[float] = ..., shift: _Optional[float] = ..., strength: _Optional[float] = ..., mask_image_path: _Optional[str] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., seed: _Optional[int] = ..., output_filename: _Optional[str] = ..., output_format: _Optional[str] = ..., callback_url: _Optional[str] = ..., person_image_path: _Optional[str] = ..., person: _Optional[bytes] = ..., garment_image_paths: _Optional[_Iterable[str]] = ..., garments: _Optional[_Iterable[bytes]] = ..., mask: _Optional[bytes] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class SubmitResponse(_message.Message):
    __slots__ = ("try_ons",)
    TRY_ONS_FIELD_NUMBER: _ClassVar[int]
    try_ons: _containers.RepeatedCompositeFieldContainer[TryOnView]
    def __init__(self, try_ons: _Optional[_Iterable[_Union[TryOnView, _Mapping]]] = ...) -> None: ...

class TextEncoderMetadata(_message.Message):
    __slots__ = ("processing_time_ms", "timestamp", "miniature", "vae_model_name", "clip_model_name", "image_shapes", "reference_latent_shapes")
    PROCESSING_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MINIATURE_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIP_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SHAPES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_LATENT_SHAPES_FIELD_NUMBER: _ClassVar[int]
    processing_time_ms: int
    timestamp: _timestamp_pb2.Timestamp
    miniature: bool
    vae_model_name: str
    clip_model_name: str
    image_shapes: _containers.RepeatedCompositeFieldContainer[Integers]
    reference_latent_shapes: _containers.RepeatedCompositeFieldContainer[Integers]
    def __init__(self, processing_time_ms: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., miniature: _Optional[bool] = ..., vae_model_name: _Optional[str] = ..., clip_model_name: _Optional[str] = ..., image_shapes: _Optional[_Iterable[_Union[Integers, _Mapping]]] = ..., reference_latent_shapes: _Optional[_Iterable[_Union[Integers, _Mapping]]] = ...) -> None: ...

class TextEncoderRequest(_message.Message):
    __slots__ = ("request_id", "correlation_id", "timestamp", "output_dir", "upscale_method", "megapixels", "vae_model_name", "clip_model_name", "image1_path", "image2_path", "image3_path", "prompt", "negative_prompt", "encode_negative")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIR_FIELD_NUMBER: _ClassVar[int]
    UPSCALE_METHOD_FIELD_NUMBER: _ClassVar[int]
    MEGAPIXELS_FIELD_NUMBER: _ClassVar[int]
    VAE_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIP_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE1_PATH_FIELD_NUMBER: _ClassVar[int]
    IMAGE2_PATH_FIELD_NUMBER: _ClassVar[int]
    IMAGE3_PATH_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    ENCODE_NEGATIVE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    output_dir: str
    upscale_method: str
    megapixels: float
    vae_model_name: str
    clip_model_name: str
    image1_path: str
    image2_path: str
    image3_path: str
    prompt: str
    negative_prompt: str
    encode_negative: bool
    def __init__(self, request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., output_dir: _Optional[str] = ..., upscale_method: _Optional[str] = ..., megapixels: _Optional[float] = ..., vae_model_name: _Optional[str] = ..., clip_model_name: _Optional[str] = ..., image1_path: _Optional[str] = ..., image2_path: _Optional[str] = ..., image3_path: _Optional[str] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., encode_negative: _Optional[bool] = ...) -> None: ...

class TextEncoderResponse(_message.Message):
    __slots__ = ("status", "request_id", "correlation_id", "timestamp", "positive_encoding_path", "positive_encoding_shape", "negative_encoding_path", "negative_encoding_shape", "metadata")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_ENCODING_PATH_FIELD_NUMBER: _ClassVar[int]
    POSITIVE_ENCODING_SHAPE_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_ENCODING_PATH_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_ENCODING_SHAPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    status: str
    request_id: str
    correlation_id: str
    timestamp: _timestamp_pb2.Timestamp
    positive_encoding_path: str
    positive_encoding_shape: _containers.RepeatedScalarFieldContainer[int]
    negative_encoding_path: str
    negative_encoding_shape: Integers
    metadata: TextEncoderMetadata
    def __init__(self, status: _Optional[str] = ..., request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., positive_encoding_path: _Optional[str] = ..., positive_encoding_shape: _Optional[_Iterable[int]] = ..., negative_encoding_path: _Optional[str] = ..., negative_encoding_shape: _Optional[_Union[Integers, _Mapping]] = ..., metadata: _Optional[_Union[TextEncoderMetadata, _Mapping]] = ...) -> None: ...

class TryOnView(_message.Message):
    __slots__ = ("id", "request_id", "state", "position", "submitted", "updated", "prompt", "seed", "seed_text", "steps", "problem", "image_url", "image_path", "miniature")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    SEED_TEXT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_PATH_FIELD_NUMBER: _ClassVar[int]
    MINIATURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    request_id: str
    state: str
    position: int
    submitted: _timestamp_pb2.Timestamp
    updated: _timestamp_pb2.Timestamp
    prompt: str
    seed: int
    seed_text: str
    steps: _containers.RepeatedCompositeFieldContainer[StepView]
    problem: ProblemView
    image_url: str
    image_path: str
    miniature: bool
    def __init__(self, id: _Optional[str] = ..., request_id: _Optional[str] = ..., state: _Optional[str] = ..., position: _Optional[int] = ..., submitted: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., prompt: _Optional[str] = ..., seed: _Optional[int] = ..., seed_text: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[StepView, _Mapping]]] = ..., problem: _Optional[_Union[ProblemView, _Mapping]] = ..., image_url: _Optional[str] = ..., image_path: _Optional[str] = ..., miniature: _Optional[bool] = ...) -> None: ...

class WatchEvent(_message.Message):
    __slots__ = ("cursor", "status", "progress")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    status: TryOnView
    progress: Progress
    def __init__(self, cursor: _Optional[str] = ..., status: _Optional[_Union[TryOnView, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("id", "after")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    id: str
    after: str
    def __init__(self, id: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class Integers(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...
