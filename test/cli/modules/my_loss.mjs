/** Mean squared error of the logits, with a metric of its own; it gets `{ scale, ... }` of its arguments. */
export default function logitMse({ scale = 1 }) {
  return {
    name: "my-loss",
    needsTeacher: true,
    config: () => ({ name: "my-loss", scale }),
    compute({ student, teacher }) {
      const difference = student.logits.add(teacher.logits.mul(-1));
      const loss = difference.mul(difference).mean().mul(scale);
      return { loss, metrics: { logitMse: loss.item() / scale } };
    },
  };
}

/** Takes what a sweep sets. */
export const swept = ({ temperature, alpha }) => ({
  ...logitMse({ scale: alpha }),
  config: () => ({ name: "swept", temperature, alpha }),
});

export const ofBatch = ({ student, teacher }) => student.logits.add(teacher.logits.mul(-1)).pow(2).mean();

export const makesFunction = () => ofBatch;

export const throws = () => ({
  ...logitMse({}),
  compute: () => {
    throw new RangeError("of my own");
  },
});

export const fails = () => {
  throw new RangeError("of my own");
};

export const wrong = () => ({ compute: 3 });
