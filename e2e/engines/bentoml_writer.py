"""A real BentoML service around a writer that needs no model: one sentence that depends on the prompt
alone. Run by e2e/tests/engines.rs."""

from hashlib import sha256

import bentoml
from pydantic import BaseModel


def sealed(prompt: str) -> str:
    """Letters that depend on the whole prompt: digits would be numbers that no record has."""
    return "".join(chr(ord("a") + byte % 26) for byte in sha256(prompt.encode()).digest()[:8])


class Written(BaseModel):
    text: str
    longest: int


@bentoml.service
class Writer:
    @bentoml.api
    def generate(self, prompt: str, max_tokens: int = 16) -> Written:
        seal = sealed(prompt)
        text = f"We are glad that you are with us, says bentoml {seal}."
        return Written(text=text, longest=max_tokens)

    @bentoml.api
    def plain(self, prompt: str) -> str:
        return f"plainly: {prompt}"
