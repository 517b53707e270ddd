import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { DEFAULT_LOG_FILE, withLogFile } from "../../src/index.js";
import { failure, temporaryFolder } from "../support.js";

const folder = temporaryFolder();
let printed = "";

/** Collects what would have reached the terminal. */
beforeEach(() => {
  printed = "";
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, "write").mockImplementation(((chunk: string | Uint8Array, ...rest: unknown[]) => {
      printed += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      const done = rest.at(-1);
      if (typeof done === "function") done();
      return true;
    }) as typeof stream.write);
  }
});
afterEach(() => void vi.restoreAllMocks());

const text = (file: string) => readFileSync(file, "utf8");

describe("withLogFile", () => {
  test("the file gets what standard output and standard error get, in order", async () => {
    const file = join(folder, "both.txt");
    const result = await withLogFile(async () => {
      process.stdout.write("Epoch [1/2] | KD Loss: 0.9846\n");
      process.stderr.write("a note: ü → 東京 🙂\n");
      await new Promise((resolve) => setTimeout(resolve, 5));
      process.stdout.write(Buffer.from("bytes\n"));
      return 42;
    }, file);
    expect(result).toBe(42);
    const expected = "Epoch [1/2] | KD Loss: 0.9846\na note: ü → 東京 🙂\nbytes\n";
    expect(text(file)).toBe(expected);
    expect(printed).toBe(expected);
  });

  test("what is printed is in the file at once", async () => {
    const file = join(folder, "at_once.txt");
    await withLogFile(() => {
      process.stdout.write("first\n");
      expect(text(file)).toBe("first\n");
    }, file);
  });

  test("write still answers and calls back", async () => {
    const called = vi.fn();
    await withLogFile(
      () => {
        expect(process.stdout.write("one", called)).toBe(true);
        expect(process.stdout.write("two", "utf8", called)).toBe(true);
      },
      join(folder, "calls.txt"),
    );
    expect(called).toHaveBeenCalledTimes(2);
  });

  test("a text in another encoding is written as it is printed", async () => {
    const file = join(folder, "encoded.txt");
    await withLogFile(() => process.stdout.write(Buffer.from("hex ü").toString("hex"), "hex"), file);
    expect(text(file)).toBe("hex ü");
  });

  test("its folder is made, and an earlier file is replaced", async () => {
    const file = join(folder, "deep", "er", "log.txt");
    await withLogFile(() => process.stdout.write("a long first log\n"), file);
    await withLogFile(() => process.stdout.write("short\n"), file);
    expect(text(file)).toBe("short\n");
  });

  test("an earlier file stays until there is something on standard output: what fails before adds to it", async () => {
    const file = join(folder, "earlier.txt");
    writeFileSync(file, "a good run\n");
    const refused = () => {
      process.stderr.write("refused\n");
      throw new Error("refused");
    };
    await expect(withLogFile(refused, file)).rejects.toThrow();
    expect(text(file)).toBe("a good run\nrefused\n");
    await withLogFile(() => {
      process.stderr.write("opening\n");
      expect(text(file)).toBe("a good run\nrefused\nopening\n");
      process.stdout.write("Epoch\n");
      expect(text(file)).toBe("opening\nEpoch\n");
    }, file);
    await withLogFile(() => {}, file);
    expect(text(file)).toBe("");
  });

  test("what is no function is refused before the file is opened", async () => {
    const file = join(folder, "none.txt");
    for (const body of ["x", null, undefined]) await failure(withLogFile(body as never, file), "BAD_ARGUMENT");
    await failure(
      withLogFile(() => {}, file, 1 as never),
      "BAD_ARGUMENT",
    );
    expect(existsSync(file)).toBe(false);
  });

  test("streams are restored, and nothing more reaches the file", async () => {
    const file = join(folder, "restored.txt");
    const before = [process.stdout.write, process.stderr.write];
    await withLogFile(() => process.stdout.write("inside\n"), file);
    expect([process.stdout.write, process.stderr.write]).toEqual(before);
    process.stdout.write("outside\n");
    expect(text(file)).toBe("inside\n");
  });

  test.each<[string, () => never | Promise<never>]>([
    [
      "throws",
      () => {
        process.stderr.write("before the end\n");
        throw new Error("broken");
      },
    ],
    [
      "rejects",
      async () => {
        process.stderr.write("before the end\n");
        await Promise.reject(new Error("broken"));
        throw new Error("never");
      },
    ],
  ])("a body that %s: the file has what was printed", async (how, body) => {
    const file = join(folder, `${how}.txt`);
    const before = process.stdout.write;
    await expect(withLogFile(body, file)).rejects.toThrow("broken");
    expect(text(file)).toBe("before the end\n");
    expect(process.stdout.write).toBe(before);
  });

  test("two at once, the first of which ends first; a file is one log's", async () => {
    const [stdout, stderr] = [process.stdout.write, process.stderr.write];
    const files = ["a.txt", "b.txt"].map((name) => join(folder, name));
    const print = (name: string, ms: number) => async () => {
      process.stdout.write(`${name}1\n`);
      await sleep(ms);
      process.stdout.write(`${name}2\n`);
    };
    const first = withLogFile(print("A", 10), files[0]);
    const second = withLogFile(print("B", 40), files[1]);
    await expect(withLogFile(() => {}, files[1])).rejects.toThrow(
      /b.txt: another log of this process is written to it/,
    );
    await Promise.all([first, second]);
    expect(files.map((file) => readFileSync(file, "utf8"))).toEqual(["A1\nB1\nA2\n", "B1\nA2\nB2\n"]);
    expect([process.stdout.write, process.stderr.write]).toEqual([stdout, stderr]);
  });

  test("what an async onFailure rejects with is what the call fails with", async () => {
    if (!existsSync("/dev/full")) return;
    const failing = withLogFile(
      () => void process.stdout.write("x\n"),
      "/dev/full",
      async () => {
        throw new RangeError("of my own");
      },
    );
    await expect(failing).rejects.toThrow(new RangeError("of my own"));
  });

  test("one inside another", async () => {
    const [outer, inner] = [join(folder, "outer.txt"), join(folder, "inner.txt")];
    await withLogFile(async () => {
      process.stdout.write("1");
      await withLogFile(() => process.stdout.write("2"), inner);
      process.stdout.write("3");
    }, outer);
    expect([text(outer), text(inner)]).toEqual(["123", "2"]);
  });
});

test("by default it is where the script's helper has it", () => {
  expect(DEFAULT_LOG_FILE).toBe("output_results/knowledge_distillation.txt");
});

describe("a file that can't be written", () => {
  test.each<[string, (folder: string) => string]>([
    [
      "a folder in its place",
      (folder) => {
        mkdirSync(join(folder, "taken"));
        return join(folder, "taken");
      },
    ],
    [
      "a file in its folder's place",
      (folder) => {
        writeFileSync(join(folder, "file"), "mine");
        return join(folder, "file", "log.txt");
      },
    ],
  ])("%s: IO_ERROR, before the body runs", async (_, prepare) => {
    const file = prepare(folder);
    const before = [process.stdout.write, process.stderr.write];
    const body = vi.fn();
    const { message } = await failure(withLogFile(body, file), "IO_ERROR");
    expect(message.startsWith(`${file}: can't write it: `), message).toBe(true);
    expect(body).not.toHaveBeenCalled();
    expect([process.stdout.write, process.stderr.write]).toEqual(before);
  });
});
