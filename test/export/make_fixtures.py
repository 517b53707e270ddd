"""Writes fixtures/onnx.desc: ONNX's own description of its messages, by which the tests read files.

pip install onnx==1.23.2
"""

from pathlib import Path

from onnx import onnx_ml_pb2

folder = Path(__file__).parent / "fixtures"
folder.mkdir(exist_ok=True)
(folder / "onnx.desc").write_bytes(onnx_ml_pb2.DESCRIPTOR.serialized_pb)
