"""The page's modules in one script do what they do alone."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

from tests.tools import needed
from twotick.server.web.scripts import linked, short_script

MODULES = {
    "app/main.js": """
/** Starts. */
import { h as make, Thing } from "../lib/lib.js";
import { LIST, later } from "./views/list.js";
import words from "./texts/en.js";

export const started = async () => {
  const { late } = await import("./views/late.js");
  const { LIST: again } = await import("./views/list.js");
  const other = (await import(`./texts/${"de"}.js`)).default;
  // What is imported late is the same module as at first.
  console.log(make(1), new Thing().name, LIST, words.hello, other.hello, late(), again === LIST, await later());
};

void started();
""",
    "app/views/list.js": """
import { h } from "../../lib/lib.js";
const secret = 2;
export const LIST = [h(secret)];
export async function later() {
  const found = await import("./late.js");
  return found.late();
}
""",
    "app/views/late.js": """
import { h as make } from "../../lib/lib.js";
import { LIST } from "./list.js";
import more from "../texts/more/en.js";
const secret = 3;
export function late() {
  LIST.push(make(secret));
  return `${LIST} ${more.bye}`;
}
""",
    "app/texts/en.js": """
export default {
  hello: "hello",
};
""",
    "app/texts/de.js": 'export default { hello: "hallo" };\n',
    "app/texts/more/en.js": 'export default { bye: "bye" };\n',
    "lib/lib.js": 'var a=(b)=>`<${b}>`;class c{name="export { x }"}export{a as h,c as Thing};\n',
}


def test_linked_modules_do_what_they_do_alone(tmp_path: Path) -> None:
    """Each is there once, whether it is imported at once or late, and none sees the names of another."""
    node = needed("node", "apt-get install nodejs")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    said: list[str] = []
    for kind in ("alone", "linked"):
        modules = {str(tmp_path / kind / path): short_script(content) for path, content in MODULES.items()}
        main = str(tmp_path / kind / "app/main.js")
        made = linked(modules, main) if kind == "linked" else modules
        for path, content in made.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(content, "utf-8")
        said.append(subprocess.run([node, main], check=True, capture_output=True, text=True).stdout)
    assert "<1> export { x } [ '<2>'" in said[0]
    assert said[0] == said[1]
    assert {path.name for path in (tmp_path / "linked").rglob("*.js")} == {"main.js", "late.js", "de.js", "en.js"}


def test_the_modules_of_the_page_can_be_linked() -> None:
    """No two import each other, none changes what it exports, and each import and export is of a known form."""
    root = Path(str(files("twotick"))) / "web/static"
    scripts = {f"/{path.relative_to(root)}": short_script(path.read_text("utf-8")) for path in root.rglob("*.js")}
    made = linked(scripts, "/app/main.js")
    assert 10 < len(made) < len(scripts)
    for path, content in made.items():
        left = re.findall(r"^import .*", content, re.MULTILINE)
        assert all(
            re.fullmatch(r'import (\{ \$\d+ \}|\w+|\{[^}]+\}) from "(/app/main|\.[\w./]+)\.js";.*', each)
            for each in left
        ), path
        exports = re.findall(r"^export .*", content, re.MULTILINE)
        assert not [each for each in exports if each.startswith(("export let", "export var", "export *"))], path
    whole = made["/app/main.js"]
    assert not re.search(r"^import ", whole, re.MULTILINE)
    assert len(re.findall(r"^export ", whole, re.MULTILINE)) == 1
    taken = re.findall(r"= (\$\d+)(?:\.default)?;$|^const (\$\d+) = \(\(\)", whole, re.MULTILINE)
    known: set[str] = set()
    for used, made_here in taken:
        assert made_here or used in known, f"{used} is used before it is made"
        known.add(made_here)
