import { getNumThreads } from "../../src/index.js";

/** The threads of a new process: this module is loaded once in each. */
export const THREADS = getNumThreads();
