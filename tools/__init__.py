"""Scripts that make data; not part of the installed package."""
