"""A provider of terraform that knows the documented arguments of some resources and makes nothing: everything "made" is what was asked for.

terraform speaks protocol 5 with it (gRPC on a Unix socket), as with one that a developer debugs (`TF_REATTACH_PROVIDERS`).
`describe` is JSON: resource → name → ["required" | "optional" | "computed", type], or, for a block, its own names.
"""

import json
import os
import struct
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tfplugin5"
# Message → field → (number, type); `*` repeated. Only what terraform needs to hear from us.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Value": {"msgpack": (1, "bytes"), "json": (2, "bytes")},
    "Attribute": {
        "name": (1, "string"),
        "type": (2, "bytes"),
        "required": (4, "bool"),
        "optional": (5, "bool"),
        "computed": (6, "bool"),
    },
    "Nested": {"type_name": (1, "string"), "block": (2, "Block"), "nesting": (3, "int64")},
    "Block": {"version": (1, "int64"), "attributes": (2, "*Attribute"), "nested": (3, "*Nested")},
    "Schema": {"version": (1, "int64"), "block": (2, "Block")},
    "ByName": {"key": (1, "string"), "value": (2, "Schema")},
    "Schemas": {"provider": (1, "Schema"), "resources": (2, "*ByName")},
    "Raw": {"json": (1, "bytes")},
    "Upgrade": {"type_name": (1, "string"), "state": (3, "Raw")},
    "Prepare": {"config": (1, "Value")},
    "Read": {"type_name": (1, "string"), "state": (2, "Value")},
    "Change": {"type_name": (1, "string"), "prior": (2, "Value"), "wanted": (3, "Value")},
    "Answer": {"value": (1, "Value")},
    "Nothing": {},
}
_LIST_OF_BLOCKS = 2
Given = dict[str, Any]


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="tfplugin5_part.proto", package=_PACKAGE, syntax="proto3"
    )
    kinds = {"string": 9, "bytes": 12, "bool": 8, "int64": 3}
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            plain = kind.removeprefix("*")
            added = message.field.add(
                name=field, number=number, label=3 if kind.startswith("*") else 1
            )
            added.type = kinds.get(plain, 11)
            if plain not in kinds:
                added.type_name = f".{_PACKAGE}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASS = _classes()


class StubProvider:
    """Serves until it is stopped; `made` is what exists, by resource and name."""

    def __init__(
        self,
        source: str,
        description: dict[str, Any],
        computed: Callable[[str, Given], Given],
        socket: Path,
    ) -> None:
        """`computed` gives what the cloud would decide of a resource: by its type, from what was asked for."""
        self._source = source
        self._description = description
        self._computed = computed
        self._socket = socket
        self.made: dict[str, list[Given]] = {}
        self._server = grpc.server(futures.ThreadPoolExecutor(8))

    def start(self) -> str:
        """Begin; the value of TF_REATTACH_PROVIDERS."""
        calls = {
            "GetSchema": ("Nothing", self._schemas),
            "PrepareProviderConfig": ("Prepare", lambda asked: self._answer(asked.config)),
            "ValidateResourceTypeConfig": ("Nothing", lambda _: _CLASS["Nothing"]()),
            "Configure": ("Nothing", lambda _: _CLASS["Nothing"]()),
            "UpgradeResourceState": ("Upgrade", self._upgraded),
            "ReadResource": ("Read", lambda asked: self._answer(asked.state)),
            "PlanResourceChange": ("Change", self._planned),
            "ApplyResourceChange": ("Change", self._applied),
            "Stop": ("Nothing", lambda _: _CLASS["Nothing"]()),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                lambda asked, _, act=act: act(asked),
                request_deserializer=_CLASS[request].FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
            for name, (request, act) in calls.items()
        }
        service = grpc.method_handlers_generic_handler(f"{_PACKAGE}.Provider", handlers)
        self._server.add_generic_rpc_handlers((service,))
        self._server.add_insecure_port(f"unix:{self._socket}")
        self._server.start()
        address = {"Network": "unix", "String": str(self._socket)}
        reattach = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True}
        return json.dumps({self._source: {**reattach, "Addr": address}})

    def stop(self) -> None:
        """End."""
        self._server.stop(None).wait()

    def _schemas(self, _: Any) -> Any:
        settings = {"folder_id": ["optional", "string"]}
        answer = _CLASS["Schemas"](provider=_CLASS["Schema"](block=_block(settings)))
        for name, fields in self._description.items():
            answer.resources.add(key=name, value=_CLASS["Schema"](block=_block(fields)))
        return answer

    def _upgraded(self, asked: Any) -> Any:
        return _CLASS["Answer"](value=_CLASS["Value"](json=asked.state.json))

    def _planned(self, asked: Any) -> Any:
        wanted = _unpacked(asked.wanted.msgpack)
        if wanted is not None:
            wanted |= self._computed(asked.type_name, wanted)
        return self._answer(_json(wanted))

    def _applied(self, asked: Any) -> Any:
        before, after = _unpacked(asked.prior.msgpack), asked.wanted
        made = self.made.setdefault(asked.type_name, [])
        if before in made:
            made.remove(before)
        value = json.loads(after.json) if after.json else _unpacked(after.msgpack)
        if value is not None:
            made.append(value)
        return self._answer(after)

    def _answer(self, value: Any) -> Any:
        return _CLASS["Answer"](value=value)


def _json(value: Any) -> Any:
    return _CLASS["Value"](json=json.dumps(value).encode())


def _block(fields: dict[str, Any]) -> Any:
    block = _CLASS["Block"]()
    for name, field in fields.items():
        if isinstance(field, dict):
            block.nested.add(type_name=name, block=_block(field), nesting=_LIST_OF_BLOCKS)
            continue
        use, kind = field
        # What is not given, the cloud decides.
        block.attributes.add(
            name=name,
            type=json.dumps(kind).encode(),
            required=use == "required",
            optional=use == "optional",
            computed=use != "required",
        )
    return block


def _unpacked(text: bytes) -> Any:
    """What terraform packs (msgpack), without anything unknown: this provider leaves nothing unknown."""
    value, rest = _item(text)
    assert not rest
    return value


def _item(text: bytes) -> tuple[Any, bytes]:
    head, rest = text[0], text[1:]
    if head <= 0x7F or head >= 0xE0:
        return (head if head <= 0x7F else head - 256), rest
    if head in {0xC0, 0xC2, 0xC3}:
        return {0xC0: None, 0xC2: False, 0xC3: True}[head], rest
    if head in _NUMBERS:
        form = _NUMBERS[head]
        size = struct.calcsize(form)
        return struct.unpack(form, rest[:size])[0], rest[size:]
    kind, size, rest = _sized(head, rest)
    if kind == "text":
        return rest[:size].decode(), rest[size:]
    items = []
    for _ in range(size * 2 if kind == "map" else size):
        item, rest = _item(rest)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if kind == "map" else items), rest


_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_SIZES = {
    0xD9: ("text", ">B"),
    0xDA: ("text", ">H"),
    0xDB: ("text", ">I"),
    0xDC: ("list", ">H"),
    0xDD: ("list", ">I"),
    0xDE: ("map", ">H"),
    0xDF: ("map", ">I"),
}


def _sized(head: int, rest: bytes) -> tuple[str, int, bytes]:
    for kind, first, bits in (("map", 0x80, 4), ("list", 0x90, 4), ("text", 0xA0, 5)):
        if head >> bits == first >> bits:
            return kind, head - first, rest
    # An unknown value, or what no provider is sent: KeyError.
    kind, form = _SIZES[head]
    size = struct.calcsize(form)
    return kind, struct.unpack(form, rest[:size])[0], rest[size:]
