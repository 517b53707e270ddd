import type { Evaluation } from "../train/index.js";
import type { Examiner } from "./examiner.js";
import type { Outcome } from "./members.js";
import type { StudentFigures } from "./result.js";
import { spread } from "./statistics.js";

/** The figures of one way to train, over its runs. */
export async function figuresOf(outcomes: readonly Outcome[], examiner: Examiner): Promise<StudentFigures> {
  const [best, last]: [Evaluation[], Evaluation[]] = [[], []];
  for (const { files } of outcomes) {
    best.push(await examiner.examine(files.best));
    last.push(await examiner.examine(files.last));
  }
  return {
    best: { ...spreads(best), epoch: spread(outcomes.map((outcome) => outcome.best.epoch)) },
    last: spreads(last),
    histories: outcomes.map(({ history }) => history),
    evaluations: best,
    files: outcomes.map(({ files }) => files.best),
  };
}

function spreads(evaluations: readonly Evaluation[]): StudentFigures["last"] {
  return {
    accuracy: spread(evaluations.map(({ accuracy }) => accuracy)),
    agreement: spread(evaluations.map(({ agreement = 0 }) => agreement)),
    calibrationError: spread(evaluations.map(({ calibration }) => calibration.error)),
  };
}
