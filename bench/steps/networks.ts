import { Generator, StudentNet, synthetic, TeacherNet, type TensorDataset, withGenerator } from "distillery";
import { EXAMPLES, type StepSetup } from "./mode.js";
import { hiddenSizes } from "./sizes.js";

/** Where a step starts: the script's draws of seed 0, in its order. */
export interface Start {
  readonly teacher: TeacherNet;
  /** null where the teacher itself is trained: then it is not drawn. */
  readonly student: StudentNet | null;
  readonly data: TensorDataset;
  /** The stream, with the masks still to come. */
  readonly generator: Generator;
}

/** The networks, the data and the stream of a setup; equal bits at every call. */
export function start({ mode, width }: StepSetup): Start {
  const generator = new Generator(0);
  const hidden = hiddenSizes(width);
  return withGenerator(generator, () => {
    const teacher = new TeacherNet({ hidden: hidden.teacher });
    const student = mode === "teacher" ? null : new StudentNet({ hidden: hidden.student });
    return { teacher, student, data: synthetic({ examples: EXAMPLES }), generator };
  });
}
