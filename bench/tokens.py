"""The error of the token estimate, beside every tokenizer that can be had here: `python -m bench.tokens`."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.texts import texts
from palaver import CounterUnavailable, counters, user
from palaver.tokens import MESSAGE_TOKENS, Counter, text_tokens

__all__ = ["main"]


def _makers() -> dict[str, Callable[[], Counter]]:
    makers: dict[str, Callable[[], Counter]] = {
        "o200k": partial(counters.openai, "o200k_base"),
        "cl100k": partial(counters.openai, "cl100k_base"),
        "Tekken": counters.mistral,
    }
    found = importlib.util.find_spec("mistral_common")
    if found is not None and found.origin is not None:
        old = Path(found.origin).parent / "data" / "mistral_instruct_tokenizer_240323.model.v3"
        makers["Mistral v3"] = partial(counters.mistral, old)
    return makers


def main() -> None:
    """Print a Markdown table: tokens by each tokenizer, and how far the estimate is from it."""
    known: dict[str, Counter] = {}
    for name, make in _makers().items():
        try:
            known[name] = make()
        except CounterUnavailable as error:
            print(f"without {name}: {error}\n")
    errors: dict[str, list[float]] = {name: [] for name in known}
    print("| text | characters | estimate |" + "".join(f" {name} | error |" for name in known))
    print("|---|---:|---:|" + "---:|---:|" * len(known))
    for title, text in texts().items():
        estimate = text_tokens(text)
        cells = [title, str(len(text)), str(estimate)]
        for name, counter in known.items():
            exact = counter(user(text)) - MESSAGE_TOKENS
            errors[name].append(estimate / exact - 1)
            cells += [str(exact), f"{estimate / exact - 1:+.0%}"]
        print("| " + " | ".join(cells) + " |")
    for name, each in errors.items():
        middle = statistics.median(map(abs, each))
        print(f"\n{name}: median of the errors {middle:.0%}, from {min(each):+.0%} to {max(each):+.0%}")


if __name__ == "__main__":
    main()
