import { describe, expect, it } from "vitest";
import { NoOptions, readOptions } from "../../bench/options.js";

/** What reading a wrong command line throws. */
function mistake(...args: string[]): NoOptions {
  try {
    readOptions(args);
  } catch (error) {
    if (error instanceof NoOptions) return error;
    throw error;
  }
  throw new Error("expected NoOptions");
}

describe("the options of the benchmark", () => {
  it("have defaults", () => {
    expect(readOptions([])).toEqual({
      quick: false,
      peers: false,
      threads: null,
      json: null,
      draw: null,
      soak: null,
      against: null,
    });
  });

  it("are read", () => {
    const args = ["--quick", "--peers", "--threads", "3", "--json", "out.json", "--draw", "docs/"];
    expect(readOptions(args)).toEqual({
      quick: true,
      peers: true,
      threads: 3,
      json: "out.json",
      draw: "docs/",
      soak: null,
      against: null,
    });
    expect(readOptions(["--soak", "20000", "--threads", "2"])).toMatchObject({ soak: 20000, threads: 2 });
    expect(readOptions(["--against", "HEAD~3", "--quick"])).toMatchObject({ against: "HEAD~3", quick: true });
  });

  it("take --json without a file, before another option too", () => {
    expect(readOptions(["--json"]).json).toBe(true);
    expect(readOptions(["--json", "--quick"])).toMatchObject({ json: true, quick: true });
  });

  it.each([
    [["--fast"], "unknown option '--fast'"],
    [["quick"], "too many arguments"],
    [["--threads"], "argument missing"],
    [["--threads", "0"], 'whole number of at least 1, got "0"'],
    [["--threads", "two"], 'whole number of at least 1, got "two"'],
    [["--against", "main", "--peers"], "cannot be used with option '--peers'"],
    [["--soak", "20", "--quick"], "'--soak <steps>' cannot be used with option '--quick'"],
    [["--json", "out.json", "--soak", "20"], "cannot be used with option '--json [file]'"],
    [["--soak", "20", "--draw", "docs"], "cannot be used with option '--draw <folder>'"],
    [["--soak", "20", "--peers"], "cannot be used with option '--peers'"],
    [["--soak", "20", "--against", "HEAD"], "cannot be used with option '--soak <steps>'"],
    [["--soak", "1.5"], 'whole number of at least 1, got "1.5"'],
  ])("refuse %j with exit code 2", (args, text) => {
    const { message, exitCode } = mistake(...args);
    expect(message).toContain(text);
    expect(exitCode).toBe(2);
  });

  it("print every option for --help, with exit code 0", () => {
    const { message, exitCode } = mistake("--help");
    expect(exitCode).toBe(0);
    for (const option of ["--quick", "--threads", "--json", "--draw", "--peers", "--soak", "--against", "--help"]) {
      expect(message).toContain(option);
    }
  });
});
