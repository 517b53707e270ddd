import { DistilleryError } from "../errors.js";
import type { StateDict } from "../nn/state_dict.js";
import { StudentNet } from "./student_net.js";
import { TeacherNet } from "./teacher_net.js";

/**
 * The network that a state dict belongs to, a {@link TeacherNet} or {@link StudentNet} of any sizes, with its values.
 * Its initial values are drawn from the current stream before they are replaced, as when a program makes one and loads
 * into it.
 *
 * @throws DistilleryError `BAD_CHECKPOINT` where the keys are of neither, `STATE_DICT_MISMATCH` where some do not fit.
 * @example
 * ```ts
 * const student = networkFrom(await load("student.pth"));
 * ```
 */
export function networkFrom(state: StateDict): TeacherNet | StudentNet {
  const [one, two, three, four] = ["fc1", "fc2", "fc3", "fc4"].map((name) => state[`${name}.weight`]?.shape ?? []);
  const isTeacher = "bn1.weight" in state;
  const last = isTeacher ? four : three;
  const sizes = [one?.[1], one?.[0], two?.[0], three?.[0], last?.[0]];
  if (!sizes.every((size) => size !== undefined && size > 0)) {
    throw new DistilleryError(
      "BAD_CHECKPOINT",
      `expected the keys of a TeacherNet or StudentNet, got ${Object.keys(state).slice(0, 4).join(", ")}...`,
    );
  }
  const [inFeatures, first, second, third, classes] = sizes as [number, number, number, number, number];
  const network = isTeacher
    ? new TeacherNet({ inFeatures, hidden: [first, second, third], classes })
    : new StudentNet({ inFeatures, hidden: [first, second], classes });
  return network.loadStateDict(state);
}
