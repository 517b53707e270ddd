import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, test, vi } from "vitest";
import { describeWith, terminal } from "../helpers/needs.js";
import { temporaryFolder } from "../support.js";
import { EPOCH_LINE, ended, lines, MAIN, newFolder } from "./support.js";

const temporary = temporaryFolder();

/** Starts `distillery ARGS` in a terminal of so many columns; what the terminal gets is its standard output. */
function inTerminal(args: string, cwd: string, columns: number, env: Record<string, string> = {}): ChildProcess {
  // A terminal has colours, also where CI tells programs that it has none.
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...rest } = process.env;
  const command = `stty cols ${columns} rows 24; exec '${process.execPath}' '${MAIN}' ${args}`;
  return spawn("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
    cwd,
    env: { ...rest, TERM: "xterm-256color", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
}

const ESCAPE = "\x1b";
const SEQUENCES = new RegExp(`${ESCAPE}(?:\\[[?\\d;]*[A-Za-z]|[^[])`, "g");

/** The kinds of sequences that a text has for the terminal. */
const sequencesOf = (text: string) => [...new Set(text.match(SEQUENCES))].sort();

/** What was drawn, a drawing an element. */
const drawings = (terminal: string) => terminal.split(/[\r\n]/).filter((text) => /[━─]/.test(text));
const visible = (text: string) => stripVTControlCharacters(text);

describeWith(terminal(), "in a terminal", () => {
  test.each([40, 80, 120])("the bar fits in %i columns, and lines go to standard output alone", async (columns) => {
    const cwd = newFolder(temporary);
    const child = inTerminal("distill --epochs 2 --log-file log.txt > out.txt", cwd, columns);
    const { code, stdout } = await ended(child);
    expect(code, stdout).toBe(0);
    const [out, log] = ["out.txt", "log.txt"].map((name) => readFileSync(join(cwd, name), "utf8")) as [string, string];
    const [said, printed] = [lines(log), lines(out)];
    const opening = said.slice(0, -printed.length);
    expect(said.slice(opening.length)).toEqual(printed);
    for (const line of opening) expect(line.length, line).toBeLessThanOrEqual(columns);
    expect(opening.length).toBe(columns < 80 ? 3 : 2);
    expect(opening.join(" ")).toMatch(
      /^Data: synthetic[,;] .* Teacher: .*4,242,954 parameters; student: .*535,818 parameters; \d+ threads?$/,
    );
    expect(
      lines(out)
        .slice(0, 2)
        .every((line) => EPOCH_LINE.test(line)),
      out,
    ).toBe(true);
    const drawn = drawings(stdout).map(visible);
    expect(drawn.length).toBeGreaterThan(0);
    for (const line of drawn) expect(line.length, line).toBeLessThan(columns);
    expect(drawn[0]).toMatch(/^[━─]+ {2}3% .*1\/2.* loss 0\.\d{3}/);
    if (columns >= 80) expect(drawn[0]).toMatch(/ soft 0\.\d+ hard 2\.\d+ .*lr \d.* [\d.,]+k?( samples)?\/s$/);
  });

  test.each(["list networks", "list losses", "compare --help", "--help"])("%s fits in 60 columns", async (args) => {
    const { stdout } = await ended(inTerminal(args, newFolder(temporary), 60));
    const wide = stdout.split("\r\n").filter((line) => line.length > 60);
    // Names of options with their values, which are no sentences.
    expect(wide.filter((line) => /[a-z] [a-z]/.test(line.trim()))).toEqual([]);
  });

  test("lines are printed above it, and at the end nothing of it is left", async () => {
    const { stdout } = await ended(inTerminal("distill --epochs 2", newFolder(temporary), 80));
    const printed = stdout.split("\r\n").map((line) => visible(line.split("\x1b[J").at(-1) as string));
    expect(printed.filter((line) => EPOCH_LINE.test(line))).toHaveLength(2);
    expect(printed.filter((line) => /[━─]/.test(line))).toEqual([]);
    // Whatever it wrote, it changed nothing that would have to be put back.
    expect(sequencesOf(stdout)).toEqual(["\x1b[22m", "\x1b[2m", "\x1b[36m", "\x1b[39m", "\x1b[J"].sort());
  });

  test("a comparison shows what runs, a line a run", async () => {
    const cwd = newFolder(temporary);
    const rows = Array.from({ length: 300 }, (_, i) => `${i % 3},${i % 7},${["x", "y", "z"][i % 3]}`);
    writeFileSync(join(cwd, "rows.csv"), ["a,b,label", ...rows].join("\n"));
    const { code, stdout } = await ended(
      inTerminal(
        "compare --data rows.csv --seeds 1 --epochs 40 --batch-size 8 --out c --parallel 1 --teacher-network 'mlp(hidden=[64])' --student 'mlp(hidden=[32])'",
        cwd,
        80,
      ),
    );
    expect(code, stdout).toBe(0);
    const [data, networks, ...rest] = lines(stdout).map(visible);
    expect(data?.trimEnd()).toMatch(/Data: rows, 2 values, 3 classes; 216 training, 24 validation, 60 test$/);
    expect(networks).toMatch(/^Teacher: [\d,]+ parameters; student: [\d,]+ parameters; \d threads?/);
    const shown = rest.join("\n");
    expect(shown).toMatch(/[━─] +\d+% \| .* left \| 1 in progress/);
    expect(shown).toMatch(/^ {2}(teacher|seed-0\/\w+) {2}epoch +\d+\/40 {2}loss \d\.\d{4} {2}accuracy \d+\.\d\d%/m);
    expect(shown).toMatch(/[━─] +0% \| .* left \| test set/);
    // What is trained is said before the teacher's logits are computed.
    const args = "distill --data rows.csv --epochs 1 --teacher c/teacher/teacher_best.safetensors --student 'mlp([8])'";
    const distilled = await ended(inTerminal(args, cwd, 80));
    expect(distilled.code, distilled.stdout).toBe(0);
    expect(visible(distilled.stdout)).toMatch(
      /^Data: rows, .*\r\nTeacher: .* threads?\s+[━─]+ +0% \| -:-- left \| teacher logits/,
    );
  });

  test("NO_COLOR: without colours", async () => {
    const child = inTerminal("distill --epochs 1", newFolder(temporary), 80, { NO_COLOR: "1" });
    const { stdout } = await ended(child);
    expect(drawings(stdout).length).toBeGreaterThan(0);
    expect(sequencesOf(stdout)).toEqual(["\x1b[J"]);
  });

  test.each([
    ["a terminal that can't draw", "", { TERM: "dumb" }],
    ["--quiet", "--quiet", {}],
  ])("%s: no bar", async (_, flags, env) => {
    const { code, stdout } = await ended(
      inTerminal(`distill --epochs 1 ${flags}`, newFolder(temporary), 80, env as Record<string, string>),
    );
    expect(code).toBe(0);
    expect([drawings(stdout), sequencesOf(stdout)]).toEqual([[], []]);
  });

  test("its end, SIGHUP, saves", async () => {
    const cwd = newFolder(temporary);
    const child = inTerminal("distill --epochs 20000 --out run > out.txt 2> err.txt", cwd, 80);
    const text = (name: string) => (existsSync(join(cwd, name)) ? readFileSync(join(cwd, name), "utf8") : "");
    await vi.waitFor(() => expect(text("out.txt")).toContain("Epoch [2/20000]"), 60_000);
    child.kill("SIGKILL");
    await vi.waitFor(() => expect(text("err.txt")).toMatch(/its state is saved in run: re-run with --resume/), 60_000);
  });

  test("Ctrl-C, twice: the bar is gone", async () => {
    const child = inTerminal("distill --epochs 2000", newFolder(temporary), 80);
    let seen = "";
    child.stdout?.on("data", (part: Buffer) => {
      const before = seen;
      seen += part;
      const has = (text: string) => seen.includes(text) && !before.includes(text);
      if (has("Epoch [1/2000]")) child.stdin?.write("\x03");
      if (has("once more stops at once")) child.stdin?.write("\x03");
    });
    const { code, stdout } = await ended(child);
    expect(code).toBe(130);
    const last = stdout.slice(stdout.lastIndexOf("\n") + 1);
    // The terminal itself shows what was pressed.
    expect(visible(last.split("\x1b[J").at(-1) as string)).toMatch(/^(\^C)?$/);
  });
});
