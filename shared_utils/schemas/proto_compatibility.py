"""Whether two versions of a .proto file understand each other's messages, both ways, and offer the same methods."""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from shared_utils.schemas.proto import numbers

_Type, _Label = FieldDescriptorProto.Type, FieldDescriptorProto.Label


def proto_problems(old: FileDescriptorProto, new: FileDescriptorProto) -> list[str]:
    """What keeps clients of either version from servers of the other, a sentence each."""
    if old.package != new.package:
        return [f"The package {old.package} is now called {new.package}: keep the name."]
    return [*_methods_gone(old, new), *_messages_changed(old, new)]


def _methods_gone(old: FileDescriptorProto, new: FileDescriptorProto) -> Iterator[str]:
    now = _methods(new)
    for name, shape in _methods(old).items():
        if name not in now:
            yield f"The method {name} is gone: keep it."
        elif now[name] != shape:
            yield f"The method {name} was {shape} and is {now[name]}: keep it, and add another one."


def _methods(file: FileDescriptorProto) -> dict[str, str]:
    return {
        f"{service.name}.{method.name}": (
            f"{'stream ' * method.client_streaming}{method.input_type.rpartition('.')[2]} -> "
            f"{'stream ' * method.server_streaming}{method.output_type.rpartition('.')[2]}"
        )
        for service in file.service
        for method in service.method
    }


def _messages_changed(old: FileDescriptorProto, new: FileDescriptorProto) -> Iterator[str]:
    given = numbers(new)
    now = {message.name: message for message in new.message_type}
    for message in old.message_type:
        if message.name not in now:
            yield f"The message {message.name} is gone: keep it."
            continue
        for name, number in numbers(old)[message.name].items():
            if given[message.name].get(name) != number:
                yield f"The number {number} belongs to {message.name}.{name}: give it back."
        yield from _types_changed(message, now[message.name])


def _types_changed(old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    kinds = {field.name: _kind(field) for field in new.field}
    for field in old.field:
        if field.name in kinds and kinds[field.name] != _kind(field):
            was, now = _kind(field), kinds[field.name]
            yield f"{old.name}.{field.name} was {was} and is {now}: keep it, and add a field of another name."


def _kind(field: FieldDescriptorProto) -> str:
    """A field's type in words."""
    label = "optional" if field.proto3_optional else _Label.Name(field.label).removeprefix("LABEL_").lower()
    kind = field.type_name.lstrip(".") or _Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"{label} {kind}"
