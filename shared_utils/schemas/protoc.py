"""The compiler of Protocol Buffers: what a .proto file says, and the Python modules made of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

NAME = "vtryon.proto"


class ProtoError(ValueError):
    """The compiler does not take the file; it has said on stderr why."""


def described(proto: str) -> FileDescriptorProto:
    """What the file says."""
    with _compiled(proto, "--descriptor_set_out={folder}/described") as folder:
        return FileDescriptorSet.FromString((folder / "described").read_bytes()).file[0]


def python_modules(proto: str, name: str = NAME) -> dict[str, str]:
    """The modules by their file names: the code, and the types of it."""
    with _compiled(proto, "--python_out={folder}", "--pyi_out={folder}", name=name) as folder:
        return {file.name: file.read_text("utf-8") for file in sorted(folder.glob("*_pb2.py*"))}


@contextmanager
def _compiled(proto: str, *what: str, name: str = NAME) -> Iterator[Path]:
    """A folder with what the compiler wrote."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        (folder / name).write_text(proto, encoding="utf-8")
        paths = (f"--proto_path={folder}", f"--proto_path={files('grpc_tools') / '_proto'}")
        wanted = [argument.format(folder=folder) for argument in what]
        if protoc.main(["protoc", *paths, *wanted, name]) != 0:
            raise ProtoError(f"{name} can't be compiled.")
        yield folder
