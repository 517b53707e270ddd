import { readFileSync } from "node:fs";

/** The text of a page of the documentation, or of one of its sections by its title. */
export function documentation(file: string, section?: string): string {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
  if (section === undefined) return text;
  const found = text.split(/^#{2,3} /m).find((part) => part.startsWith(`${section}\n`));
  if (found === undefined) throw new Error(`${file} has no section "${section}"`);
  return found;
}

/** The `npx distillery` commands of a text, block by block: the arguments of each. */
export function commandsOf(text: string): string[][][] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block.replaceAll("\\\n", " "));
  return blocks.flatMap((block) => {
    const commands = block.split("\n").flatMap((line) => argumentsOf(line) ?? []);
    return commands.length === 0 ? [] : [commands];
  });
}

/** A line's arguments after `npx distillery`, as a shell splits them; null for another command. */
function argumentsOf(line: string): [string[]] | null {
  const words = [...line.replace(/ #.*$/, "").matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? "",
  );
  return words[0] === "npx" && words[1] === "distillery" ? [words.slice(2)] : null;
}
