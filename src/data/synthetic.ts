import { expectLength, expectOptions } from "../checks.js";
import { randint, randn } from "../tensor/random.js";
import { TensorDataset } from "./tensor_dataset.js";

/** The size of {@link synthetic} data. */
export interface SyntheticOptions {
  /** Default 1024. */
  samples?: number;
  /** Default 784. */
  features?: number;
  /** Default 10. */
  classes?: number;
}

/**
 * Noise with random labels: `randn([samples, features])`, then `randint(0, classes, [samples])`, drawn from the
 * current stream. The data of the original script: it shows that training works, and teaches nothing.
 *
 * @example
 * ```ts
 * manualSeed(0);
 * const dataset = synthetic({ samples: 256 });
 * ```
 */
export function synthetic(options: SyntheticOptions = {}): TensorDataset {
  expectOptions("synthetic", options, ["samples", "features", "classes"]);
  const { samples = 1024, features = 784, classes = 10 } = options;
  expectLength("samples", samples);
  expectLength("features", features);
  expectLength("classes", classes);
  const inputs = randn([samples, features]);
  return new TensorDataset(inputs, randint(0, classes, [samples]), { classes, name: "synthetic" });
}
