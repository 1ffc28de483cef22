"""Runs checks, each by models, and tells all that failed."""

import sys
import traceback

_checks = []


def check(models):
    def add(function):
        _checks.extend((function, model) for model in models)
        return function

    return add


def each():
    failed = 0
    for function, model in _checks:
        try:
            function(model)
        except Exception:
            failed += 1
            print(f"{function.__name__} ({model})\n{traceback.format_exc()}")
    print(f"{len(_checks) - failed} of {len(_checks)} passed")
    sys.exit(1 if failed else 0)
