"""Lets a network in ONNX Runtime's own format (``.ort``) give out a tensor that it keeps to itself.

Such a file is a FlatBuffer that holds the optimised graph. The outputs of a graph are a vector of offsets to their
names; an offset to another name gives out another tensor. Nothing is moved: the new name is appended, the offset is
overwritten. Layout: "FlatBuffers Internals", and ``ort.fbs`` of ONNX Runtime, whose fields only ever grow at the end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from fastrtc.errors import ConfigurationError

_IDENTIFIER = b"ORTM"
# Places of fields in the table of each object.
_SESSION_MODEL = 1
_MODEL_GRAPH = 7
_GRAPH_NODES, _GRAPH_OUTPUTS = 2, 6
_NODE_ATTRIBUTES = 10
_ATTRIBUTE_NAME, _ATTRIBUTE_GRAPH = 0, 7


def with_outputs(model: bytes, branch: str, exchanged: Mapping[str, str]) -> bytes:
    """A model in which one branch of an ``If`` gives other tensors in the place of some of its outputs.

    Args:
        model: What is in the ``.ort`` file.
        branch: ``"then_branch"`` or ``"else_branch"``, of the only ``If`` in the main graph that has such a branch.
        exchanged: Names of outputs, and for each the name of the tensor of that branch to give in its place.

    Raises:
        ConfigurationError: That is no ``.ort`` file, or it has no such branch, output or tensor.
    """
    data = bytearray(model)
    try:
        graph = _branch(data, branch)
        places = {name.decode(): place for place, name in _names(data, graph, _GRAPH_OUTPUTS)}
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ConfigurationError("this is no network in the format of ONNX Runtime") from error
    for output, tensor in exchanged.items():
        known = struct.pack("<I", len(tensor)) + tensor.encode() + b"\0"
        if output not in places or known not in model:
            raise ConfigurationError(f"the network has no output {output!r}, or no tensor {tensor!r}")
        data.extend(bytes(-len(data) % 4))
        place = places[output]
        struct.pack_into("<I", data, place, len(data) - place)
        data.extend(known)
    data.extend(bytes(-len(data) % 4))
    return bytes(data)


def _branch(data: bytearray, name: str) -> int:
    """Where the table of a branch's graph is."""
    if data[4:8] != _IDENTIFIER:
        raise ConfigurationError("this is no network in the format of ONNX Runtime")
    graph = _table(data, _table(data, _follow(data, 0), _SESSION_MODEL), _MODEL_GRAPH)
    for node in _places(data, graph, _GRAPH_NODES):
        for attribute in _places(data, _follow(data, node), _NODE_ATTRIBUTES):
            table = _follow(data, attribute)
            at = _field(data, table, _ATTRIBUTE_NAME)
            if at is not None and _string(data, _follow(data, at)) == name.encode():
                return _table(data, table, _ATTRIBUTE_GRAPH)
    raise ConfigurationError(f"the network has no branch {name!r}")


def _names(data: bytearray, table: int, field: int) -> Iterator[tuple[int, bytes]]:
    for place in _places(data, table, field):
        yield place, _string(data, _follow(data, place))


def _places(data: bytearray, table: int, field: int) -> range:
    """Where the offsets in a vector are."""
    at = _field(data, table, field)
    if at is None:
        return range(0)
    vector = _follow(data, at)
    return range(vector + 4, vector + 4 + 4 * _number(data, vector), 4)


def _table(data: bytearray, table: int, field: int) -> int:
    at = _field(data, table, field)
    if at is None:
        raise IndexError(field)
    return _follow(data, at)


def _field(data: bytearray, table: int, field: int) -> int | None:
    """Where a table has a field, None if it has left it out."""
    (back,) = struct.unpack_from("<i", data, table)
    layout = table - back
    (size,) = struct.unpack_from("<H", data, layout)
    slot = 4 + 2 * field
    if slot >= size:
        return None
    (offset,) = struct.unpack_from("<H", data, layout + slot)
    return table + offset if offset else None


def _string(data: bytearray, at: int) -> bytes:
    return bytes(data[at + 4 : at + 4 + _number(data, at)])


def _follow(data: bytearray, at: int) -> int:
    return at + _number(data, at)


def _number(data: bytearray, at: int) -> int:
    (number,) = struct.unpack_from("<I", data, at)
    return int(number)
