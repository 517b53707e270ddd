import { expectOneOf, expectOptions } from "../checks.js";
import type { Batch } from "../data/dataset.js";
import type { Outputs } from "../losses/loss.js";
import { fitNetwork, inputsOf } from "../models/fit_network.js";
import { expectNotFrozen } from "../models/freeze_graph.js";
import { expectModule } from "../nn/expect_module.js";
import { expectOutput } from "../nn/expect_output.js";
import { Modes } from "../nn/modes.js";
import type { Module } from "../nn/module.js";
import { Taps } from "../nn/taps.js";
import { noGrad } from "../tensor/autograd.js";
import { ofRuns } from "./for_run.js";
import type { Teacher } from "./teacher.js";
import { teacherFingerprint } from "./teacher_fingerprint.js";

/** How a network is used as a teacher. */
export interface NetworkTeacherOptions {
  /**
   * In "eval", the default, the outputs depend only on the weights and the inputs. In "train" dropout is active, batch
   * statistics are used and running statistics are updated, as in the reference script.
   */
  mode?: "train" | "eval";
  /** The paths of modules whose outputs a loss reads. */
  taps?: readonly string[];
}

/** A teacher made from a network, whose outputs are not promises. */
export interface NetworkTeacher extends Teacher {
  outputs(batch: Batch): Outputs;
  evaluate(batch: Batch): Outputs;
}

/**
 * A network whose forward pass runs in each step, with its current weights. Outside of the pass it is in the modes that
 * the caller left it in.
 *
 * @throws DistilleryError `BAD_ARGUMENT` for what is no network, and for options that are unknown or out of range.
 * @example
 * ```ts
 * await distill({ teacher: live(network), student, data });
 * ```
 */
export function live(module: Module, options: NetworkTeacherOptions = {}): NetworkTeacher {
  expectModule("module", module);
  expectOptions("live", options, ["mode", "taps"]);
  const { mode = "eval", taps = [] } = options;
  expectOneOf("mode", mode, ["eval", "train"]);
  expectNotFrozen(module);
  return ofRuns(() => liveTeacher(module, { mode, taps }));
}

function liveTeacher(module: Module, { mode, taps }: Required<NetworkTeacherOptions>): NetworkTeacher {
  const training = mode === "train";
  const [modes, evalModes] = [new Modes([[module, training]]), new Modes([[module, false]])];
  const tapped = new Taps(module, taps, "teacher");
  let network = module;
  const forward = (within: Modes, batch: Batch): Outputs => {
    const { value: logits, taps } = within.run(() =>
      noGrad(() => tapped.record(() => expectOutput("teacher", network.forward(inputsOf(network, batch))))),
    );
    return { logits, taps };
  };
  return {
    name: "live",
    fingerprint: () => teacherFingerprint(network),
    open({ data }) {
      network = fitNetwork(module, data, "teacher");
    },
    outputs: (batch) => forward(modes, batch),
    evaluate: (batch) => forward(evalModes, batch),
    isFixed: !training,
    ...(training && { state: () => Object.fromEntries(module.namedBuffers()) }),
  };
}
