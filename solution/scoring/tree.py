"""The prefix tree: what many token sequences share stands in it once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

Ids = tuple[int, ...]


@dataclass(eq=False)
class Node:
    """A run of tokens without a fork: `ids` at the positions from `start`.

    `tokens` counts its subtree, itself included; `reads` lists, as (offset into ids, what), the
    positions whose next token somebody asks for.
    """

    start: int
    ids: Ids
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None
    tokens: int = 0
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The position behind its last token."""
        return self.start + len(self.ids)


def grow(sequences: Sequence[Ids]) -> tuple[list[Node], list[Node]]:
    """The tree of some sequences, none empty: its roots, and the node each sequence ends with.

    Roots and children are in the order of their tokens, whatever the order of the sequences.
    """
    top = Node(0, ())
    ends: list[Node] = [top] * len(sequences)
    path, last = [top], Ids()
    for i in sorted(range(len(sequences)), key=sequences.__getitem__):
        ids = sequences[i]
        shared = common(last, ids)
        while len(path) > 1 and path[-1].start >= shared:
            path.pop()
        if path[-1].end > shared:
            path[-1] = _split(path[-1], shared)
        if shared < len(ids):
            node = Node(shared, ids[shared:], parent=path[-1])
            path[-1].children.append(node)
            path.append(node)
        ends[i], last = path[-1], ids
    for root in top.children:
        root.parent = None
    for node in reversed(list(walk(top.children))):
        node.tokens = len(node.ids) + sum(child.tokens for child in node.children)
    return top.children, ends


def _split(node: Node, at: int) -> Node:
    """Cut a node at a position; the node stays the lower part, the new upper one is given."""
    cut = at - node.start
    upper = Node(node.start, node.ids[:cut], [node], node.parent)
    assert node.parent is not None
    node.parent.children[-1] = upper
    node.start, node.ids, node.parent = at, node.ids[cut:], upper
    return upper


def walk(roots: Sequence[Node]) -> Iterator[Node]:
    """Every node, each before its children and these in order."""
    waiting = list(reversed(roots))
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def ask(end: Node, position: int, what: int) -> None:
    """Note that `what` reads the position, which lies on the way to `end`."""
    node = end
    while node.start > position:
        assert node.parent is not None
        node = node.parent
    node.reads.append((position - node.start, what))


def common(left: Ids, right: Ids) -> int:
    """How many tokens both begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:  # slices are compared in C, one token after another is not
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
