"""A page on this machine alone: ask one or two models a question, see how sure they are."""

from solution.ask.page import ask

__all__ = ["ask"]
