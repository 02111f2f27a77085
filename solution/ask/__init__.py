"""Local web page: ask one or two models a question and see their probabilities."""

from solution.ask.demo import ask

__all__ = ["ask"]
