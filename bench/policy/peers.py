"""Times the scanners of Presidio and LLM Guard that do what rules of the profile do.

Reads {"text", "terms", "rounds"} from standard input; writes {"versions", "measures"}. No model is loaded:
recognizers of names and LLM Guard's classifiers are left out.
"""

import json
import logging
import sys
import time
import types
from importlib.metadata import version
from importlib.machinery import ModuleSpec
from unittest.mock import MagicMock


class Absent:
    """Stands in for packages that LLM Guard imports and no scanner measured here uses."""

    def find_spec(self, name, path=None, target=None):
        absent = name.split(".")[0] in ("faker", "torch", "transformers")
        return ModuleSpec(name, self, is_package=True) if absent else None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = lambda _: MagicMock()
        return module

    def exec_module(self, module):
        pass


def presidio():
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        PhoneRecognizer,
    )

    class Blank(SpacyNlpEngine):
        def __init__(self):
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

    kinds = (EmailRecognizer, PhoneRecognizer, IbanRecognizer, CreditCardRecognizer)
    registry = RecognizerRegistry(recognizers=[kind() for kind in kinds], supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda text: engine.analyze(text, language="en")


def llm_guard(terms):
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    from llm_guard.input_scanners.ban_substrings import BanSubstrings
    from llm_guard.input_scanners.secrets import Secrets

    banned = BanSubstrings(terms, match_type="word", case_sensitive=False)
    secrets = Secrets()
    return banned.scan, secrets.scan


def median_us(scan, text, rounds):
    scan(text)
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        scan(text)
        times.append((time.perf_counter() - begun) * 1e6)
    return round(sorted(times)[len(times) // 2], 1)


def main():
    logging.disable(logging.CRITICAL)
    asked = json.load(sys.stdin)
    text, rounds = asked["text"], asked["rounds"]
    analyze = presidio()
    sys.meta_path.insert(0, Absent())
    ban, secrets = llm_guard(asked["terms"])
    measures = [
        ("presidio-analyzer", "e-mail, telephone, IBAN, card", analyze),
        ("llm-guard", "BanSubstrings, by word", ban),
        ("llm-guard", "Secrets", secrets),
    ]
    json.dump(
        {
            "versions": {name: version(name) for name in ("presidio-analyzer", "llm-guard")},
            "measures": [
                {"peer": peer, "scanner": scanner, "us": median_us(scan, text, rounds)}
                for peer, scanner, scan in measures
            ],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
