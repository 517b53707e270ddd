import { AdamW, clipGradNorm, kdLoss, noGrad, OneCycleLR, withGenerator } from "distillery";
import { cycle } from "./cycle.js";
import { SCHEDULE, type StepSetup } from "./mode.js";
import { start } from "./networks.js";

/**
 * A step as a user writes it with the library's functions, outside of its loops: arrays are the garbage collector's.
 * Gives the next loss at each call, the same bits as the loops'.
 */
export function stepByHand(setup: StepSetup): () => number {
  const { teacher, student, data, generator } = start(setup);
  if (setup.mode === "teacher" || student === null) throw new Error("stepByHand: expected a mode with a student");
  teacher.freeze().train(setup.mode === "train");
  const batches = cycle(data, setup.rows);
  const logits = setup.mode === "cached" ? noGrad(() => teacher.forward(data.inputs)) : null;
  const optimizer = new AdamW(student.parameters(), { lr: SCHEDULE.maxLr, weightDecay: 1e-5 });
  const scheduler = new OneCycleLR(optimizer, { ...SCHEDULE, stepsPerEpoch: batches.length });
  return () =>
    withGenerator(generator, () => {
      const { inputs, labels, start } = batches.next();
      const teacherLogits = logits?.slice(start, start + setup.rows) ?? noGrad(() => teacher.forward(inputs));
      const loss = kdLoss(student.forward(inputs), teacherLogits, labels, { temperature: 3.5, alpha: 0.6 });
      optimizer.zeroGrad();
      loss.backward();
      clipGradNorm(student.parameters(), 1.0);
      optimizer.step();
      scheduler.step();
      return loss.item();
    });
}
