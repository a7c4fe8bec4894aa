"""A TensorRT plan from an exported ONNX file: read, checked, built, compared, written."""
