"""The scripts of the page as they are served: without comments, and those that it starts with in one piece.

A browser learns of a module from the module that imports it. On a slow network each of these steps costs a round trip,
and each module a request. So the server puts the first module, and all that it imports, into one script. Modules that
the page loads later stay files of their own; what they import from that script they get from it, so no module is there
twice.

Each module becomes a function that is called once and returns what the module exports. That is the same as long as no
two modules import each other, and no module changes what it has exported.
"""

import posixpath
import re
from collections.abc import Mapping
from typing import Final

_COMMENT: Final = re.compile(r"^ */\*\*.*?\*/$|/\*\* @type [^*\n]*\*/ ?|^ *//[^\n]*$|^ +", re.MULTILINE | re.DOTALL)
"""Comments of the page's scripts, as this project writes them: on lines of their own, and types within lines.

The pattern also finds indentation. In a template that spans lines, a view's HTML, indentation means nothing.
"""

_IMPORT: Final = re.compile(
    r'^import (?:\{ (?P<names>[^}]*) \}|(?P<default>\w+)) from "(?P<path>\.[^"]+)";$', re.MULTILINE
)
"""An import that is carried out before the module runs."""

_LATE: Final = re.compile(r'\bimport\((?P<quote>["`])(?P<path>\.[^"`$]*)(?P<rest>[^)]*\))')
"""An import that is carried out when the code comes to it. A value may be in the name, as in `./${language}.js`."""

_EXPORT: Final = re.compile(r"^export (?P<kind>async function|function|const|class) (?P<name>\w+)", re.MULTILINE)
_DEFAULT: Final = re.compile(r"^export default ", re.MULTILINE)
_LIST: Final = re.compile(r"\bexport ?\{(?P<names>[^}]*)\};?\s*$")


def short_script(content: str) -> str:
    """Return a script without comments and indentation, a quarter of it. Each line keeps its number."""
    return _COMMENT.sub(lambda each: "\n" * each[0].count("\n"), content)


def linked(scripts: Mapping[str, str], main: str) -> dict[str, str]:
    """Return the scripts to serve: one with a module and all that it imports, and all others.

    Args:
        scripts: all modules, by their paths.
        main: the path of the first one, and of the script with all that it imports.
    """
    names: dict[str, str] = {}
    _collect(main, scripts, names)
    parts = [f"const {name} = {_as_function(path, scripts[path], names)};\n" for path, name in names.items()]
    whole = "".join(parts) + f"export {{ {', '.join(names.values())} }};\n"
    others = {path: _later(path, content, names, main) for path, content in scripts.items() if path not in names}
    return {main: whole, **others}


def _collect(path: str, scripts: Mapping[str, str], names: dict[str, str]) -> None:
    """Give names to a module and what it imports, those first that are imported."""
    for found in _IMPORT.finditer(scripts[path]):
        if (imported := _target(path, found["path"])) not in names:
            _collect(imported, scripts, names)
    names[path] = f"${len(names)}"


def _target(path: str, named: str) -> str:
    """Return the path of a module that another one names."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), named))


def _as_function(path: str, content: str, names: Mapping[str, str]) -> str:
    """Return a module as a function that is called, and returns what the module exports."""
    exported = [found["name"] for found in _EXPORT.finditer(content)]
    if _DEFAULT.search(content):
        exported.append("default: $default")
    if listed := _LIST.search(content):
        exported += [": ".join(reversed(each.split(" as "))) for each in listed["names"].split(",")]
    content = _IMPORT.sub(lambda found: _taken(found, names[_target(path, found["path"])]), _LIST.sub("", content))
    content = _DEFAULT.sub("const $default = ", _EXPORT.sub(r"\g<kind> \g<name>", content))
    return f"(() => {{\n{_late(path, content, names)}\nreturn {{ {', '.join(exported)} }};\n}})()"


def _later(path: str, content: str, names: Mapping[str, str], main: str) -> str:
    """Return a module that is loaded later: what is in the first script comes from there."""

    def replace(found: re.Match[str]) -> str:
        name = names.get(_target(path, found["path"]))
        return found[0] if name is None else f'import {{ {name} }} from "{main}";{_taken(found, name)}'

    return _late(path, _IMPORT.sub(replace, content), names)


def _taken(found: re.Match[str], name: str) -> str:
    """Return the statement that takes what is imported out of the module with a name."""
    if found["default"]:
        return f"const {found['default']} = {name}.default;"
    return f"const {{ {found['names'].replace(' as ', ': ')} }} = {name};"


def _late(path: str, content: str, names: Mapping[str, str]) -> str:
    """Let late imports name modules by their whole paths, or take them from the first script."""

    def replace(found: re.Match[str]) -> str:
        target = _target(path, found["path"])
        if target in names:
            return f"Promise.resolve({names[target]})"
        # `normpath` takes away the slash before a value.
        slash = "/" if found["path"].endswith("/") else ""
        return f"import({found['quote']}{target}{slash}{found['rest']}"

    return _LATE.sub(replace, content)
