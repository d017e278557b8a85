"""Prompts as a model reads them: a problem that cannot be asked is refused by name, before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lib.errors import BadProblems, RoundhouseError

Messages = list[dict[str, str]]


def rendered(render: Callable[[Messages], list[int]], problem_id: str, messages: Messages) -> list[int]:
    """Token ids of a problem's prompt. Raises BadProblems naming the problem that its model's chat template refuses."""
    try:
        return render(messages)
    except RoundhouseError:
        raise
    except Exception as error:  # a chat template is a program of whoever made the model, and raises what it likes
        said = " ".join(str(error).split())[:200]
        raise BadProblems(
            f"problem {problem_id} cannot be put to the model ({type(error).__name__}: {said}); mend its prompt, or leave the problem out"
        ) from error


def refuse_too_long(problems: Sequence[str], prompts: Sequence[Sequence[int]], max_new_tokens: int, positions: int | None) -> None:
    """Raise BadProblems naming the longest prompt if it and its answer pass the positions of the model."""
    lengths = [len(prompt) for prompt in prompts]
    longest = max(lengths, default=0)
    if positions is None or longest + max_new_tokens <= positions:
        return
    more = sum(length + max_new_tokens > positions for length in lengths) - 1
    others = f" (and so do {more} more)" if more else ""
    raise BadProblems(
        f"problem {problems[lengths.index(longest)]} has a prompt of {longest} tokens, which with {max_new_tokens} new ones passes "
        f"the model's {positions} positions{others}; lower max_new_tokens to {max(0, positions - longest)}, or leave out what is too long"
    )
