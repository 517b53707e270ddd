import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Screen, TerminalLine } from "../../src/log/terminal_line.js";

/** As much of a terminal as the line needs: it breaks lines that are too long, also when it gets narrower. */
class FakeTerminal implements Screen {
  readonly hasColours = false;
  listeners = new Set<() => void>();
  rows = [""];
  row = 0;
  column = 0;

  constructor(private width: number) {}

  columns = () => this.width;
  lines = () => 24;
  onResize(changed: () => void): () => void {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  }

  write(text: string): void {
    for (const part of text.split(SEQUENCES)) {
      if (part.endsWith("\x1b[J")) this.rows = [...this.rows.slice(0, this.row), this.#start()];
      else if (part.endsWith("\x1b[K")) this.rows[this.row] = this.#start();
      else if (part.startsWith("\x1b[")) this.row -= Number(part.slice(2, -1));
      else this.#print(part);
    }
  }

  #start(): string {
    return (this.rows[this.row] ?? "").slice(0, this.column);
  }

  /** Breaks every row that has become too long, and stays at the same sign. */
  resize(width: number): void {
    this.width = width;
    let at = 0;
    this.rows = this.rows.flatMap((row, i) => {
      if (i < this.row) at += Math.max(1, Math.ceil(row.length / width));
      return row.match(new RegExp(`.{1,${width}}`, "g")) ?? [""];
    });
    this.row = at;
    for (const changed of this.listeners) changed();
  }

  #print(text: string): void {
    for (const sign of text) {
      if (sign === "\r") this.column = 0;
      else if (sign === "\n") this.#goTo(this.row + 1, 0);
      else this.#put(sign);
    }
  }

  #put(sign: string): void {
    if (this.column === this.width) this.#goTo(this.row + 1, 0);
    const row = (this.rows[this.row] ?? "").padEnd(this.column);
    this.rows[this.row] = row.slice(0, this.column) + sign + row.slice(this.column + 1);
    this.column += 1;
  }

  #goTo(row: number, column: number): void {
    [this.row, this.column] = [row, column];
    this.rows[row] ??= "";
  }
}

const SEQUENCES = new RegExp(`(${"\x1b"}\\[\\d*[JKA])`);
const long = (width: number) => "x".repeat(Math.min(60, width));
let exits: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  exits = process.listenerCount("exit");
});
afterEach(() => void vi.useRealTimers());

describe("TerminalLine", () => {
  test("it is drawn at once, then at most eight times a second, the newest at last", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    line.show(() => "first, and long");
    expect(terminal.rows).toEqual(["first, and long"]);
    line.show(() => "second");
    line.show(() => "third");
    expect(terminal.rows).toEqual(["first, and long"]);
    vi.advanceTimersByTime(125);
    expect([terminal.rows, terminal.column]).toEqual([["third"], 0]);
    line.stop();
    expect([terminal.rows, terminal.column]).toEqual([[""], 0]);
  });

  test("the last column stays free", () => {
    const terminal = new FakeTerminal(40);
    const line = new TerminalLine(terminal);
    line.show(long);
    expect(terminal.rows).toEqual(["x".repeat(39)]);
    line.stop();
  });

  test("lines are printed above it", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    for (const epoch of [1, 2]) {
      vi.advanceTimersByTime(125);
      line.show(() => `epoch ${epoch}, and more that is longer than what is printed`);
      line.clear();
      terminal.write(`Epoch ${epoch}\r\n`);
    }
    vi.advanceTimersByTime(125);
    line.show(() => "epoch 3");
    expect(terminal.rows).toEqual(["Epoch 1", "Epoch 2", "epoch 3"]);
    line.stop();
    expect(terminal.rows).toEqual(["Epoch 1", "Epoch 2", ""]);
  });

  test("several lines are drawn over each other, and lines are printed above them", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    const show = (text: string) => {
      vi.advanceTimersByTime(125);
      line.show(() => text);
    };
    terminal.write("Epoch 1\r\n");
    show("all\n  one, long\n  two");
    expect([terminal.rows, terminal.row, terminal.column]).toEqual([["Epoch 1", "all", "  one, long", "  two"], 1, 0]);
    show("all\n  one");
    expect(terminal.rows).toEqual(["Epoch 1", "all", "  one"]);
    line.clear();
    terminal.write("Epoch 2\r\n");
    show("all\n  two\n  three");
    expect(terminal.rows).toEqual(["Epoch 1", "Epoch 2", "all", "  two", "  three"]);
    line.stop();
    expect(terminal.rows).toEqual(["Epoch 1", "Epoch 2", ""]);
  });

  test("a text is given the columns and lines that are free", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    line.show((width, height) => `${width} x ${height}`);
    expect(terminal.rows).toEqual(["79 x 23"]);
    line.stop();
  });

  test("after it was taken away, nothing draws it but the next text", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    line.show(() => "first");
    line.show(() => "second");
    line.clear();
    vi.advanceTimersByTime(1000);
    terminal.resize(60);
    expect(terminal.rows).toEqual([""]);
    line.show(() => "third");
    expect(terminal.rows).toEqual(["third"]);
    line.stop();
  });

  test("a narrower terminal breaks it; it is drawn anew, and nothing is left behind", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    terminal.write("Epoch 1\r\n");
    line.show(long);
    for (const width of [50, 25, 7, 30, 100]) {
      terminal.resize(width);
      expect(terminal.rows.join("")).toBe(`Epoch 1${long(width - 1)}`);
      expect(terminal.rows.slice(-1)).toEqual([long(width - 1)]);
    }
    line.stop();
  });

  test("stopped, it listens to nothing", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    expect([terminal.listeners.size, process.listenerCount("exit")]).toEqual([1, exits + 1]);
    line.show(() => "text");
    line.show(() => "more");
    line.stop();
    expect([terminal.listeners.size, process.listenerCount("exit"), vi.getTimerCount()]).toEqual([0, exits, 0]);
  });

  test("a process that ends takes it away", () => {
    const terminal = new FakeTerminal(80);
    const line = new TerminalLine(terminal);
    line.show(() => "text");
    process.listeners("exit").at(-1)?.(0);
    expect(terminal.rows).toEqual([""]);
    line.stop();
  });
});
