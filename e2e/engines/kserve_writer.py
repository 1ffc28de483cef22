"""A real KServe model server (Open Inference Protocol V2) around a writer that needs no model: one
sentence that depends on the prompt alone and says how it was asked. Run by e2e/tests/engines.rs."""

from hashlib import sha256

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.errors import InvalidInput


def sealed(prompt: str) -> str:
    """Letters that depend on the whole prompt: digits would be numbers that no record has."""
    return "".join(chr(ord("a") + byte % 26) for byte in sha256(prompt.encode()).digest()[:8])


class Writer(Model):
    def __init__(self, name: str):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload: InferRequest, headers=None, response_headers=None):
        tensor = payload.get_input_by_name("input-0")
        if tensor is None:
            raise InvalidInput("there is no tensor input-0")
        prompt = tensor.data[0]
        prompt = prompt.decode() if isinstance(prompt, bytes) else prompt
        seal = sealed(prompt)
        wire = "gRPC" if payload.from_grpc else "REST"
        text = f"We are glad that you are with us, says kserve over {wire} {seal}."
        output = InferOutput("output-0", shape=[1], datatype="BYTES", data=[text])
        return InferResponse(payload.id, self.name, [output])


ModelServer().start([Writer("writer")])
