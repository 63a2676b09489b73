from shared_utils.transports.triton.news_backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
