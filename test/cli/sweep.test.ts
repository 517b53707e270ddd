import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type SweepResult, sweepCaveats, sweepSummary } from "../../src/index.js";
import { timeless } from "../compare/support.js";
import { temporaryFolder } from "../support.js";
import { ended, imageFolder, jsonLines, launch, lines, newFolder, refused, SMALL, succeed, tree } from "./support.js";

const temporary = temporaryFolder();
const data = imageFolder();
const GRID = ["--temperatures", "1,4", "--alphas", "0.1,0.9"];
const ARGS = ["sweep", "--data", data, ...GRID, ...SMALL, "--epochs", "2", "--batch-size", "16", "--lr", "1e-4"];
const OUT = join("runs", "sweep");

const resultOf = (folder: string): SweepResult => JSON.parse(readFileSync(join(folder, OUT, "sweep.json"), "utf8"));

describe("sweep", () => {
  test("prints a run a line, the grid with its best, and the answer; one after the other gives the same", async () => {
    const cwd = newFolder(temporary);
    const printed = lines(await succeed(ARGS, cwd));
    const result = resultOf(cwd);
    expect(
      printed
        .slice(0, 5)
        .map((line) => line.slice(0, line.indexOf(":")))
        .sort(),
    ).toEqual(
      ["teacher", ...result.points.map((point) => `temperature-${point.temperature}/alpha-${point.alpha}`)].sort(),
    );
    const accuracies = (temperature: number) =>
      result.points.flatMap((point) => {
        const mark = point.alpha === result.best.alpha && temperature === result.best.temperature ? "*" : "";
        return point.temperature === temperature ? [`${(100 * point.validationAccuracy).toFixed(2)}%${mark}`] : [];
      });
    const row = (start: string) =>
      printed
        .find((line) => line.startsWith(start))
        ?.trim()
        .split(/ {2,}/);
    expect(row("validation accuracy")).toEqual(["validation accuracy", "alpha 0.1", "alpha 0.9"]);
    for (const temperature of [1, 4]) {
      expect(row(`temperature ${temperature} `)).toEqual([`temperature ${temperature}`, ...accuracies(temperature)]);
    }
    expect(printed.slice(-3, -1)).toEqual([sweepSummary(result), ...sweepCaveats(result)]);
    expect(printed.at(-1)).toBe(`Written to ${join(OUT, "sweep.json")} and ${join(OUT, "report.html")}`);
    expect(existsSync(join(cwd, OUT, "report.html"))).toBe(true);

    const again = newFolder(temporary);
    const objects = jsonLines(await succeed([...ARGS, "--parallel", "1", "--json", "--no-report"], again));
    expect(timeless(resultOf(again), OUT)).toEqual(timeless(result, OUT));
    const { answer, points, best } = objects.at(-1) ?? {};
    expect(answer).toBe(printed.at(-3));
    expect(points).toEqual(result.points.map(({ history: _, ...point }) => point));
    expect(best).toMatchObject({ temperature: result.best.temperature, alpha: result.best.alpha });
  });

  test("--seeds: the mean with its standard deviation, and what can be told apart", async () => {
    const cwd = newFolder(temporary);
    const printed = lines(
      await succeed([...ARGS.map((arg) => (arg === "0.1,0.9" ? "0.5" : arg)), "--seeds", "2"], cwd),
    );
    const result = resultOf(cwd);
    expect(result.seeds).toEqual([0, 1]);
    const { best, points } = result;
    const cell = ({ validationAccuracy, spread }: SweepResult["points"][number]) =>
      `${(100 * validationAccuracy).toFixed(2)}% ± ${(100 * (spread?.figure.std as number)).toFixed(2)}`;
    for (const point of points) {
      const mark = point.temperature === best.temperature ? "*" : "";
      const line = printed.find((line) => line.startsWith(`temperature ${point.temperature} `));
      expect(line?.trim().split(/ {2,}/)).toEqual([`temperature ${point.temperature}`, cell(point) + mark]);
    }
    expect(printed.find((line) => line.startsWith("validation accuracy, mean and sd of 2"))).toBeDefined();
    expect(printed.slice(-4, -1)).toEqual([sweepSummary(result), ...sweepCaveats(result)]);
    expect(tree(join(cwd, OUT, "seed-1"))).toContain("temperature-4");
  });

  test("Ctrl-C saves, and it resumes", async () => {
    const args = [...ARGS, "--no-report"];
    const [whole, cwd] = [newFolder(temporary), newFolder(temporary)];
    await succeed([...args, "--parallel", "1"], whole);
    const child = launch(args, cwd, { heldUntil: "stop" });
    const end = ended(child);
    await new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
    child.kill("SIGINT");
    const { code, stderr } = await end;
    expect(code).toBe(130);
    expect(stderr).toContain("of 5 runs done; their state is saved in");
    await succeed([...args, "--resume"], cwd);
    expect(timeless(resultOf(cwd), OUT)).toEqual(timeless(resultOf(whole), OUT));
  });
});

describe("what is refused, before anything is written", () => {
  test.each([
    [[], "--data: expected a data set's name, folder or file: the synthetic data are noise"],
    [["--temperatures", "1,hot"], '--temperatures: expected a number above 0, got "hot"'],
    [["--temperatures", "1,0"], "--temperatures: expected a number above 0, got 0"],
    [["--alphas", ""], '--alphas: expected a number from 0 to 1, got ""'],
    [["--temperature", "3"], "unknown option '--temperature'"],
  ])("%j", async (more, text) => {
    const folder = newFolder(temporary);
    const args = more.length === 0 ? ["sweep"] : ["sweep", "--data", data, ...more];
    expect(await refused(args, folder, 2, "BAD_ARGUMENT")).toContain(text);
    expect(tree(folder)).toEqual([]);
  });
});
