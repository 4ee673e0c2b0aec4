"""Writes out the graph of a shortened model for all its layers.

The graph is torch's document of an exported program (torch/_export/serde/schema.py).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .repeated_layers import NotAsItsPattern, NotRepeated, Stack

Names = dict[str, str]
Node = dict[str, Any]

_SYMBOLS = ("sym_int_values", "sym_bool_values", "sym_float_values")
_VALUES = ("tensor_values", *_SYMBOLS)
_STATE = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}


def write_out(document: bytes, stacks: list[Stack]) -> bytes:
    """The document with all layers. Raises NotRepeated where the captured ones do not follow one another,
    NotAsItsPattern where one is not as the others say."""
    program = json.loads(document)
    for stack in stacks:
        graph = _Captured(program["graph_module"], stack)
        graph.check()
        graph.write_out()
    return json.dumps(program).encode()


class _Captured:
    """A graph with one stack's captured layers: the nodes before them, of each, and after them."""

    def __init__(self, module: dict[str, Any], stack: Stack) -> None:
        self.module, self.graph, self.stack = module, module["graph"], stack
        self.state = dict(_state_names(module["signature"]["input_specs"]))
        self.before, self.layers, self.after = self._cut(self.graph["nodes"])
        self.made = [list(_made(layer)) for layer in self.layers]
        self.carried = [self._carried(number) for number in range(len(self.layers))]

    def _cut(self, nodes: list[Node]) -> tuple[list[Node], list[list[Node]], list[Node]]:
        numbers = [self._layer_of(node) for node in nodes]
        inside = [place for place, number in enumerate(numbers) if number is not None]
        first, end = (inside[0], inside[-1] + 1) if inside else (0, 0)
        order = numbers[first:end]
        if None in order or order != sorted(order) or len(set(order)) != self.stack.few + 1:
            raise NotRepeated(f"{self.stack.path}: its layers do not follow one another directly")
        layers = [
            [node for node, number in zip(nodes[first:end], order, strict=True) if number == layer]
            for layer in range(self.stack.few + 1)
        ]
        return nodes[:first], layers, nodes[end:]

    def _layer_of(self, node: Node) -> int | None:
        modules = node["metadata"].get("nn_module_stack", "").split(";")
        numbers = (self.stack.split(path)[0] for _, path, _ in map(_module, modules))
        return next((number for number in numbers if number is not None), None)

    def _carried(self, number: int) -> str:
        """The one value that the layer's successor reads. Sizes may be read by all that follow."""
        *others, last = [*self.layers[number + 1 :], self.after]
        sizes = {name for table in _SYMBOLS for name in self.graph[table]} if others else set()
        following, *later = [*others, last]
        read = set(_read(following)) | (set() if others else set(_names(self.graph["outputs"])))
        beyond = {name for nodes in later for name in _read(nodes)} | set(_names(self.graph["outputs"]))
        made = set(self.made[number]) - sizes
        found = made & read
        if len(found) != 1 or (others and made & beyond):
            raise NotRepeated(f"{self.stack.path}.{number}: does not hand one value to the next layer alone")
        return found.pop()

    def check(self) -> None:
        """Every captured layer that has a pattern must be what its pattern gives."""
        for number in range(1, self.stack.few + 1):
            index = self.stack.probe if number == self.stack.few else number
            pattern = self.stack.patterns[index]
            if pattern == number:
                continue
            if len(self.made[pattern]) != len(self.made[number]):
                raise NotAsItsPattern(f"{self.stack.path}.{index}: has other nodes than layer {pattern}")
            pairs = list(zip(self.made[pattern], self.made[number], strict=True))
            names = dict(pairs) | self._state_of(pattern, number)
            names[self.carried[pattern - 1]] = self.carried[number - 1]
            alike = [_essence(node, names) for node in self.layers[pattern]] == [
                _essence(node, {}) for node in self.layers[number]
            ]
            if not alike or any(
                self.graph[t].get(a) != self.graph[t].get(b) for t in _VALUES for a, b in pairs
            ):
                raise NotAsItsPattern(
                    f"{self.stack.path}.{index}: computes something else than layer {pattern}"
                )

    def _state_of(self, pattern: int, index: int) -> Names:
        """From the inputs that are a captured layer's own tensors to another layer's."""
        old, new = (f"{self.stack.path}.{number}.".replace(".", "_") for number in (pattern, index))
        names = {}
        for name, full in self.state.items():
            if self.stack.split(full)[0] != pattern:
                continue
            kind, found, rest = name.partition(old)
            if not found or len(kind) != 2:
                raise NotRepeated(f"{full}: is called {name} in the graph")
            names[name] = kind + new + rest
        return names

    def write_out(self) -> None:
        """Puts all layers in the place of the captured ones. What is captured keeps its names."""
        fresh = _FreshNames([*self.before, *(node for layer in self.layers for node in layer), *self.after])
        nodes = list(self.before)
        values = {table: dict(self.graph[table]) for table in _VALUES}
        for name in self.made[-1]:  # the probe goes
            for table in values.values():
                table.pop(name, None)
        carried = ""
        for index, pattern in enumerate(self.stack.patterns):
            own = {} if index == pattern else fresh.names(self.layers[pattern])
            state = self._state_of(pattern, index)
            for table in _VALUES:
                old = self.graph[table]
                values[table].update(
                    {new: old[name] for name, new in {**own, **state}.items() if name in old}
                )
            names = {**own, **state, self.carried[pattern - 1]: carried} if pattern else {}
            nodes += [self._in_layer(_renamed(node, names), pattern, index) for node in self.layers[pattern]]
            carried = own.get(self.carried[pattern], self.carried[pattern])
        last = {self.carried[-1]: carried}
        self.graph.update(values)
        self.graph["nodes"] = [*nodes, *(_renamed(node, last) for node in self.after)]
        self.graph["outputs"] = _substituted(self.graph["outputs"], last)
        signature = self.module["signature"]
        signature["output_specs"] = _substituted(signature["output_specs"], last)
        self._replace_inputs()

    def _in_layer(self, node: Node, pattern: int, index: int) -> Node:
        """By the modules that it is called in."""
        entries = (_module(entry) for entry in node["metadata"]["nn_module_stack"].split(";"))
        place = re.compile(rf"{re.escape(self.stack.path)}\.{pattern}(?=\.|$)")
        moved = [
            ",".join((*(place.sub(f"{self.stack.path}.{index}", x) for x in e[:2]), e[2])) for e in entries
        ]
        return {**node, "metadata": {**node["metadata"], "nn_module_stack": ";".join(moved)}}

    def _replace_inputs(self) -> None:
        """The program's inputs, and the modules' names, for all layers."""
        graph, signature = self.graph, self.module["signature"]

        def layer_of(item: Any) -> int | None:
            return self.stack.split(self.state.get(next(_names(item), ""), ""))[0]

        def renamed(item: Any, pattern: int, index: int) -> Any:
            return _substituted(item, self._state_of(pattern, index))

        def renamed_spec(spec: Any, pattern: int, index: int) -> Any:
            spec = renamed(spec, pattern, index)
            ((kind, fields),) = spec.items()
            _, rest = self.stack.split(fields[_STATE[kind]])
            return {kind: {**fields, _STATE[kind]: f"{self.stack.path}.{index}.{rest}"}}

        def renamed_call(call: Any, _pattern: int, index: int) -> Any:
            _, rest = self.stack.split(call["fqn"])
            return {**call, "fqn": f"{self.stack.path}.{index}" + (f".{rest}" if rest else "")}

        graph["inputs"] = self._for_all_layers(graph["inputs"], layer_of, renamed)
        signature["input_specs"] = self._for_all_layers(signature["input_specs"], layer_of, renamed_spec)
        self.module["module_call_graph"] = self._for_all_layers(
            self.module["module_call_graph"], lambda call: self.stack.split(call["fqn"])[0], renamed_call
        )

    def _for_all_layers(
        self, items: Iterable[Any], layer_of: Callable[[Any], int | None], renamed: Callable[..., Any]
    ) -> list[Any]:
        """Wherever the captured layers' items stand in a row, those of all layers in their order."""
        result: list[Any] = []
        run: dict[int, list[Any]] = {}

        def finish() -> None:
            for index, pattern in enumerate(self.stack.patterns if run else []):
                result.extend(renamed(item, pattern, index) for item in run.get(pattern, []))
            run.clear()

        last = -1
        for item in items:
            number = layer_of(item)
            if number is None or number < last:  # parameters of all layers, then buffers of all
                finish()
            last = -1 if number is None else number
            if number is None:
                result.append(item)
            else:
                run.setdefault(number, []).append(item)
        finish()
        return result


class _FreshNames:
    """torch.export numbers nodes by their kind: "linear", "linear_1". Copies go on behind all of them."""

    def __init__(self, nodes: list[Node]) -> None:
        self._highest: Counter[str] = Counter()
        for kind, number in map(_kind, _own_names(nodes)):
            self._highest[kind] = max(self._highest[kind], number)

    def names(self, nodes: list[Node]) -> Names:
        names = {}
        for name in dict.fromkeys(_own_names(nodes)):
            kind, _ = _kind(name)
            self._highest[kind] += 1
            names[name] = f"{kind}_{self._highest[kind]}"
        return names


def _own_names(nodes: list[Node]) -> Iterator[str]:
    yield from (node["name"] for node in nodes if node.get("name"))
    yield from _made(nodes)


def _kind(name: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.+?)_(\d+)", name)
    return (found[1], int(found[2])) if found else (name, 0)


def _module(entry: str) -> tuple[str, str, str]:
    """Key, path and type of a called module."""
    key, path, kind = [*entry.split(",", 2), "", ""][:3]
    return key, path, kind


def _state_names(specs: list[Any]) -> Iterator[tuple[str, str]]:
    """The graph's and the full names of parameters, buffers and constants."""
    for spec in specs:
        for kind, key in _STATE.items():
            if spec.get(kind):
                yield spec[kind]["arg"]["name"], spec[kind][key]


def _names(tree: Any) -> Iterator[str]:
    """The names of values in an argument or a result."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("name", "as_name") and isinstance(value, str):
                yield value
            else:
                yield from _names(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _names(value)


def _substituted(tree: Any, names: Names) -> Any:
    if isinstance(tree, list):
        return [_substituted(value, names) for value in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: names.get(value, value)
        if key in ("name", "as_name") and isinstance(value, str)
        else _substituted(value, names)
        for key, value in tree.items()
    }


def _read(nodes: list[Node]) -> Iterator[str]:
    return (name for node in nodes for given in node["inputs"] for name in _names(given["arg"]))


def _made(nodes: list[Node]) -> Iterator[str]:
    return (name for node in nodes for name in _names(node["outputs"]))


def _essence(node: Node, names: Names) -> Any:
    """All that a node computes, with other names of values."""
    if any("as_graph" in given["arg"] for given in node["inputs"]):
        raise NotRepeated(f"{node.get('name')}: holds a graph of its own")
    inputs = [(given["name"], _substituted(given["arg"], names)) for given in node["inputs"]]
    return node["target"], inputs, _substituted(node["outputs"], names)


def _renamed(node: Node, names: Names) -> Node:
    inputs = [{**given, "arg": _substituted(given["arg"], names)} for given in node["inputs"]]
    own = {"name": names.get(node["name"], node["name"])} if node.get("name") else {}
    return {**node, **own, "inputs": inputs, "outputs": _substituted(node["outputs"], names)}
