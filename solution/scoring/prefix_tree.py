"""Prefix tree of token sequences: every shared prefix is stored once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Ids = tuple[int, ...]


class Read(NamedTuple):
    """A position whose next-token logits are needed, as the `k`-th one of a request."""

    position: int
    request: int
    k: int


@dataclass(eq=False)
class Node:
    """A run of tokens without a fork: `ids` at the positions from `start`.

    `tokens` and `rows` count the subtree, the node included; `pending_tokens` only those that
    something is read at or after. The positions in `reads` are offsets into `ids`.
    """

    start: int
    ids: Ids
    children: list[Node] = field(default_factory=list)
    parent: Node | None = None
    tokens: int = 0
    rows: int = 0
    pending_tokens: int = 0
    reads: list[Read] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The position after the last token."""
        return self.start + len(self.ids)


def build_prefix_tree(sequences: Sequence[Ids]) -> tuple[list[Node], list[Node]]:
    """Return the roots, and for every sequence (none empty) the node it ends with.

    Roots and children are sorted by their tokens, whatever the order of the sequences.
    """
    top = Node(0, ())
    ends: list[Node] = [top] * len(sequences)
    path, last = [top], Ids()
    for i in sorted(range(len(sequences)), key=sequences.__getitem__):
        ids = sequences[i]
        shared = common_prefix_length(last, ids)
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
    return top.children, ends


def sum_subtrees(roots: Sequence[Node]) -> None:
    """Set `tokens`, `rows` (from the nodes' own) and `pending_tokens` (from `reads`)."""
    for node in reversed(list(iter_nodes(roots))):
        node.tokens = len(node.ids) + sum(child.tokens for child in node.children)
        node.rows += sum(child.rows for child in node.children)
        node.pending_tokens = sum(child.pending_tokens for child in node.children)
        if node.reads or node.pending_tokens:
            node.pending_tokens += len(node.ids)


def _split(node: Node, at: int) -> Node:
    """Cut a node at a position; `node` stays the lower part, the new upper one is returned."""
    cut = at - node.start
    upper = Node(node.start, node.ids[:cut], [node], node.parent)
    assert node.parent is not None
    node.parent.children[-1] = upper
    node.start, node.ids, node.parent = at, node.ids[cut:], upper
    return upper


def iter_nodes(roots: Sequence[Node]) -> Iterator[Node]:
    """Yield every node, each before its children and these in order."""
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children)


def mark_read(end: Node, read: Read) -> None:
    """Attach `read`, at a position of a sequence that ends with `end`, to its node."""
    node = end
    while node.start > read.position:
        assert node.parent is not None
        node = node.parent
    node.reads.append(read._replace(position=read.position - node.start))


def common_prefix_length(left: Ids, right: Ids) -> int:
    """Return the number of tokens that both sequences begin with."""
    low, high = 0, min(len(left), len(right))
    while low < high:  # slices are compared in C, one token after another is not
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
