import { beforeAll, describe, expect, test } from "vitest";
import { fingerprint } from "../../src/checkpoint/index.js";
import {
  argmax,
  type Evaluation,
  encodeSafetensors,
  evaluate,
  evaluateLogits,
  logitsOf,
  networkFrom,
} from "../../src/index.js";
import { weightsMetadata } from "../../src/models/create_network.js";
import { compareReport, runReport, sweepReport } from "../../src/report/index.js";
import { compareResult, sweepResult, type Trained, trained } from "./support.js";

let run: Trained;
beforeAll(async () => {
  run = await trained(0, ["a", "b", "c", "d", "e", "f", "g", "h"]);
});

describe("a run's report", () => {
  test("has the figures that evaluate gives, of the best weights, and leaves the networks as they were", () => {
    const { teacher, student, test: data, history, best } = run;
    const before = fingerprint(student.stateDict());
    student.train();
    const report = runReport({
      config: { command: "distill", teacherTemperature: 2.5 },
      history,
      networks: { teacher, student, best },
      data: { test: data },
    });
    expect(report.predictions?.calibrated).toEqual({
      temperature: 2.5,
      teacher: evaluateLogits(logitsOf(teacher, data).div(2.5), data.slice(0, data.length).labels),
    });
    expect([fingerprint(student.stateDict()), student.training]).toEqual([before, true]);
    expect(report.lastMetric).toBe(evaluate(student, data).accuracy);
    expect(report.predictions?.teacher).toEqual(evaluate(teacher, data));
    expect(report.best).toEqual({ epoch: best?.epoch, validationAccuracy: best?.validationAccuracy });
    const atBest = networkFrom(best?.state as NonNullable<typeof best>["state"]);
    expect(report.predictions?.evaluation).toEqual(evaluate(atBest, data, { teacher }));
    const predicted = argmax(logitsOf(atBest, data), 1).data;
    for (const { index, label } of report.predictions?.mistakes ?? []) expect(predicted[index]).not.toBe(label);
    expect(report.predictions?.mistakes.length).toBeGreaterThan(24);
    expect(report.classNames).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
    const file = encodeSafetensors(student.stateDict(), weightsMetadata(student));
    expect(file.byteLength).toBeGreaterThan(encodeSafetensors(student.stateDict()).byteLength);
    expect(report.sizes.student.bytes).toBe(file.byteLength);
    expect(report.sizes.student.parameters).toBe(student.parameterCount());
    expect(report.history).toEqual(history);
    expect(report.title).toBe("Distillation on noise");
  });

  test("a title that is undefined is the default", () => {
    const { student, test: data, history } = run;
    const more = { title: undefined, command: undefined } as object;
    const report = runReport({ config: {}, history, networks: { student }, data: { test: data }, ...more });
    expect([report.title, report.command]).toEqual(["Distillation on noise", ""]);
    expect(compareReport(compareResult(run, [0.9], [0.91]), more).title).toBe("Comparison on noise");
    expect(sweepReport(sweepResult(run, [0.5, 0.55, 0.6, 0.05, 0.8, 0.7]), more).title).toBe("Sweep on noise");
  });

  test("takes the validation set where there is no test set, and neither where there is none", () => {
    const { student, test: validation, history } = run;
    const networks = { student };
    const { predictions, sizes } = runReport({ config: {}, history, networks, data: { validation, test: null } });
    expect([predictions?.part, predictions?.weights, predictions?.teacher, sizes.teacher]).toEqual([
      "validation",
      "last",
      undefined,
      undefined,
    ]);
    const bare = runReport({ config: { data: "synthetic" }, history, networks });
    expect([bare.predictions, bare.lastMetric, bare.title]).toEqual([null, null, "Distillation on synthetic"]);
    expect(bare.sizes.student).toEqual({ parameters: student.parameterCount(), bytes: expect.any(Number) });
  });

  test("refuses what it can't use, naming it", () => {
    const { student, history } = run;
    const given = { config: {}, history, networks: { student } };
    const refused = (change: object, message: string) =>
      expect(() => runReport({ ...given, ...change } as typeof given)).toThrowError(
        expect.objectContaining({ code: "BAD_ARGUMENT", message }),
      );
    refused({ config: 3 }, "config: expected an object, got 3");
    refused({ steps: 3 }, "steps: expected a list, got 3");
    refused(
      { steps: [{ step: 1, loss: 2 }] },
      "steps[0]: expected { step, loss, gradNorm }, got a value of type Object",
    );
    refused({ history: "all" }, 'history: expected a list of epochs\' records, got "all"');
    refused({ history: [history[0], {}] }, "history[1]: expected an epoch's record, got a value of type Object");
    refused({ networks: { student: 1 } }, "networks.student: expected a Module, got 1");
    refused({ networks: { student, teacher: "big" } }, 'networks.teacher: expected a Module, got "big"');
  });
});

test("a comparison's report keeps its figures, one confusion matrix, and the mistakes of the networks given", () => {
  const { teacher, student, test: data } = run;
  const result = compareResult(run, [0.5, 0.6], [0.6, 0.7]);
  const report = compareReport(result, { networks: { student, teacher }, test: data, command: "distillery compare" });
  expect(report.result.difference).toEqual(result.difference);
  expect(report.result.distilled.best).toEqual(result.distilled.best);
  expect(report.result.distilled.evaluations.map((evaluation) => (evaluation as Evaluation).confusion)).toEqual([
    [],
    [],
  ]);
  expect(report.predictions.evaluation).toEqual(result.distilled.evaluations[0]);
  expect(report.predictions.mistakes.length).toBeGreaterThan(24);
  expect([report.config, report.command, report.classNames[0]]).toEqual([result.config, "distillery compare", "a"]);
  const baseline = compareReport(result);
  expect([baseline.predictions.mistakes, baseline.classNames[1], baseline.title]).toEqual([
    [],
    "1",
    "Comparison on noise",
  ]);
  expect(() => compareReport({} as typeof result)).toThrowError(
    expect.objectContaining({
      code: "BAD_ARGUMENT",
      message: "result: expected what compare() gives, got a value of type Object",
    }),
  );
});

test("a sweep's report has all points and the predictions of the best one", () => {
  const result = sweepResult(run, [0.1, 0.2, 0.3, 0.4, 0.6, 0.5]);
  const report = sweepReport(result, { title: "Mine" });
  expect(report.result.points).toEqual(result.points);
  expect([report.predictions.evaluation, report.title]).toEqual([result.best.evaluation, "Mine"]);
  expect(() => sweepReport(compareResult(run, [0.5], [0.5]) as never)).toThrowError(
    expect.objectContaining({ code: "BAD_ARGUMENT", message: 'result: expected what sweep() gives, got "compare"' }),
  );
});
