import { currentGenerator } from "../../src/tensor/random.js";

export * from "../../src/index.js";

/** Where the current random stream is. */
export const currentState = (): number[] => [...currentGenerator().state];
