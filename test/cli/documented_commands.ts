import { readFileSync } from "node:fs";

/** The text of a page of the documentation, or of one of its sections by its title. */
export function documentation(file: string, section?: string): string {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
  if (section === undefined) return text;
  const found = text.split(/^#{2,3} /m).find((part) => part.startsWith(`${section}\n`));
  if (found === undefined) throw new Error(`${file} has no section "${section}"`);
  return found;
}

/** The `npx distillery` commands of a text's blocks of `sh`, block by block: the arguments of each. */
export function commandsOf(text: string): string[][][] {
  return blocksIn(text, "sh").flatMap((block) => {
    const commands = linesOf(block).flatMap(([npx, name, ...args]) =>
      npx === "npx" && name === "distillery" ? [args] : [],
    );
    return commands.length === 0 ? [] : [commands];
  });
}

/** Every line of a text's blocks of `sh` (which tests run) and `bash` (which would take too long), in words. */
export function shellLines(text: string): string[][] {
  return blocksIn(text, "sh|bash").flatMap(linesOf);
}

function blocksIn(text: string, languages: string): string[] {
  return Array.from(
    text.matchAll(new RegExp(`^\`\`\`(?:${languages})\n(.*?)^\`\`\``, "gms")),
    ([, block = ""]) => block,
  );
}

/** The lines of a block, split as a shell does it; `a && b` is two. */
function linesOf(block: string): string[][] {
  return block
    .replaceAll("\\\n", " ")
    .split(/\n| && /)
    .map((line) =>
      Array.from(line.replace(/ +#.*$/, "").matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, plain]) => quoted ?? plain ?? ""),
    )
    .filter(([first]) => first !== undefined);
}
