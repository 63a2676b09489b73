from shared_utils.transports.triton.backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
