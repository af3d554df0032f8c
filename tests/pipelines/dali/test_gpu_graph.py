"""The graph that a GPU would run, serialized and read back: no GPU is needed to define it.

The numbers of the fields are those of DALI's ``dali.proto``.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")

from nvidia.dali import pipeline_def, types

from pipelines.base import Device
from pipelines.dali.graph import ENCODED, ROI_END, ROI_START, define_graph
from pipelines.kinds import LOAD, LOADS
from pipelines.rule import DEFAULT, Interpolation

Fields = dict[int, list[Any]]


@dataclass
class Operator:
    name: str
    inputs: list[tuple[str, str, str]]
    """Node, device, and the argument that it feeds, empty for a plain input."""
    outputs: list[tuple[str, str]]
    arguments: dict[str, Any]


def fields_of(message: bytes) -> Fields:
    """Fields of a protobuf message by number, undecoded: varints, 4 bytes, or bytes."""
    fields: Fields = defaultdict(list)
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        number, wire = divmod(varint(), 8)
        if wire == 0:
            fields[number].append(varint())
        else:
            length = {1: 8, 5: 4}.get(wire) or varint()
            fields[number].append(message[at : at + length])
            at += length
    return fields


def argument_of(message: bytes) -> tuple[str, Any]:
    fields = fields_of(message)
    floats = [struct.unpack("<f", value)[0] for value in fields[3]]
    strings = [value.decode() for value in fields[5]]
    elements = [argument_of(value)[1] for value in fields[7]]
    values = floats or fields[4] or strings or [bool(value) for value in fields[6]]
    return fields[1][0].decode(), elements if fields[8] == [1] else values[0]


def operator_of(message: bytes) -> Operator:
    fields = fields_of(message)

    def text(node: Fields, number: int) -> str:
        return node[number][0].decode() if number in node else ""

    inputs, outputs = ([fields_of(node) for node in fields[number]] for number in (2, 3))
    return Operator(
        fields[1][0].decode(),
        [(text(node, 1), text(node, 2), text(node, 4)) for node in inputs],
        [(text(node, 1), text(node, 2)) for node in outputs],
        dict(argument_of(value) for value in fields[4]),
    )


def serialized(
    device: Device,
    crop: int = DEFAULT.crop,
    load: str = LOAD,
    interpolation: Interpolation = "bilinear",
) -> tuple[dict[str, list[Operator]], list[tuple[str, str]]]:
    """Operators by name, and the outputs of the pipeline."""
    graph = pipeline_def(define_graph)(
        *(device, crop, load, interpolation),
        batch_size=4,
        num_threads=1,
        device_id=None,
        exec_dynamic=True,
    )
    fields = fields_of(graph.serialize())
    operators = defaultdict(list)
    for operator in map(operator_of, fields[5]):
        operators[operator.name].append(operator)
    outputs = [fields_of(node) for node in fields[7]]
    return operators, [(node[1][0].decode(), node[2][0].decode()) for node in outputs]


@pytest.fixture(scope="module")
def gpu() -> dict[str, list[Operator]]:
    return serialized("gpu")[0]


def test_the_graph_is_three_inputs_one_decoder_and_one_resize(
    gpu: dict[str, list[Operator]],
) -> None:
    counts = {name: len(operators) for name, operators in gpu.items()}
    assert counts == {"ExternalSource": 3, "decoders__Image": 1, "Resize": 1}


def test_bytes_and_regions_are_fed_on_the_cpu_without_a_copy(
    gpu: dict[str, list[Operator]],
) -> None:
    sources = {operator.outputs[0][0]: operator for operator in gpu["ExternalSource"]}
    assert sources.keys() == {ENCODED, ROI_START, ROI_END}
    for name, source in sources.items():
        kind = types.UINT8 if name == ENCODED else types.FLOAT
        assert source.outputs == [(name, "cpu")]
        expected = {"device": "cpu", "no_copy": True, "ndim": 1, "dtype": int(kind)}
        assert expected.items() <= source.arguments.items()


def test_the_decoder_takes_host_bytes_to_the_gpu(gpu: dict[str, list[Operator]]) -> None:
    (decoder,) = gpu["decoders__Image"]
    assert decoder.arguments["device"] == "mixed"
    assert decoder.inputs == [(ENCODED, "cpu", "")]
    assert [device for _, device in decoder.outputs] == ["gpu"]


def test_chroma_is_interpolated_as_libjpeg_turbo_does(gpu: dict[str, list[Operator]]) -> None:
    assert gpu["decoders__Image"][0].arguments["jpeg_fancy_upsampling"] is True


@pytest.mark.parametrize(("load", "share"), [("split", 0.65), ("engine", 1.0), ("cuda", 0.0)])
def test_each_load_is_the_share_of_the_hardware_engine(load: str, share: float) -> None:
    decoder = serialized("gpu", load=load)[0]["decoders__Image"][0]
    assert decoder.arguments["hw_decoder_load"] == pytest.approx(share)
    assert "hw_decoder_load" not in serialized("cpu", load=load)[0]["decoders__Image"][0].arguments


def test_these_are_all_loads_and_split_is_a_builds() -> None:
    assert LOADS == {"split": 0.65, "engine": 1.0, "cuda": 0.0}
    assert LOAD == "split"


def test_exif_orientation_is_not_applied(gpu: dict[str, list[Operator]]) -> None:
    assert gpu["decoders__Image"][0].arguments["adjust_orientation"] is False


def test_images_are_rgb(gpu: dict[str, list[Operator]]) -> None:
    assert gpu["decoders__Image"][0].arguments["output_type"] == int(types.RGB)


def test_the_resize_runs_on_the_gpu_and_takes_its_region_from_the_cpu(
    gpu: dict[str, list[Operator]],
) -> None:
    (decoder,), (resize,) = gpu["decoders__Image"], gpu["Resize"]
    assert resize.arguments["device"] == "gpu"
    assert set(resize.inputs) == {
        (decoder.outputs[0][0], "gpu", ""),
        (ROI_START, "cpu", "roi_start"),
        (ROI_END, "cpu", "roi_end"),
    }


def test_the_resize_is_linear_with_antialiasing_to_224(gpu: dict[str, list[Operator]]) -> None:
    expected = {"size": [224.0, 224.0], "antialias": True, "interp_type": int(types.INTERP_LINEAR)}
    assert expected.items() <= gpu["Resize"][0].arguments.items()


def test_another_rules_graph_differs_in_the_size_of_the_resize_alone(
    gpu: dict[str, list[Operator]],
) -> None:
    other = serialized("gpu", 97)[0]
    assert other["Resize"][0].arguments["size"] == [97.0, 97.0]
    other["Resize"][0].arguments["size"] = gpu["Resize"][0].arguments["size"]
    assert other == gpu


@pytest.mark.parametrize(
    ("interpolation", "kind"),
    [("bicubic", types.INTERP_CUBIC), ("lanczos", types.INTERP_LANCZOS3)],
)
def test_a_filter_that_overshoots_scales_rows_first_and_columns_then(
    interpolation: Interpolation, kind: types.DALIInterpType
) -> None:
    operators, outputs = serialized("gpu", interpolation=interpolation)
    rows, columns = operators["Resize"]
    (decoder,) = operators["decoders__Image"]
    assert rows.inputs[0] == (*decoder.outputs[0], "")
    assert columns.inputs[0] == (*rows.outputs[0], "")
    assert outputs == columns.outputs
    for resize in (rows, columns):
        expected = {"device": "gpu", "antialias": True, "interp_type": int(kind)}
        assert expected.items() <= resize.arguments.items()
        assert {device for _, device, name in resize.inputs if name} == {"cpu"}
    assert {name for _, _, name in rows.inputs} == {"", "size", "roi_start", "roi_end"}
    assert columns.arguments["size"] == [224.0, 224.0]


def test_the_output_is_the_resized_batch_on_the_gpu() -> None:
    operators, outputs = serialized("gpu")
    assert outputs == operators["Resize"][0].outputs
    assert outputs[0][1] == "gpu"


def test_both_devices_differ_in_where_and_in_the_decoders_hints_alone() -> None:
    gpu, cpu = serialized("gpu")[0], serialized("cpu")[0]
    differing = {
        (name, argument)
        for name in gpu
        for on_gpu, on_cpu in zip(gpu[name], cpu[name], strict=True)
        for argument in on_gpu.arguments.keys() | on_cpu.arguments.keys()
        if on_gpu.arguments.get(argument) != on_cpu.arguments.get(argument)
    }
    assert differing == {
        ("decoders__Image", "device"),
        ("decoders__Image", "jpeg_fancy_upsampling"),
        ("decoders__Image", "hw_decoder_load"),
        ("Resize", "device"),
    }
