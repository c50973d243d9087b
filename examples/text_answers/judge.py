"""A judge that is a rule: the better answer has more of the question's words."""

from examples.text_answers.service import words


def prefer(prompt: str, first: str, second: str) -> str:
    """Prefer one of two answers."""
    one, other = (len(words(prompt) & words(answer)) for answer in (first, second))
    return "first" if one > other else "second" if other > one else "tie"
