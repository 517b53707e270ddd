/** The values that a sweep tries by default, and with how many seeds. */
export const SWEEP_DEFAULTS = { temperatures: [1, 2, 4, 8], alphas: [0.1, 0.5, 0.9], seeds: 1 } as const;
/** The fraction of the training data that is held out for validation. */
export const VALIDATION_FRACTION = 0.1;
/** How many checkpoints each trial keeps. */
export const KEPT_BY_TRIALS = 0;
/** How many pairs of students a comparison trains. */
export const SEEDS = 5;
/** The most numbers that a list of seeds, temperatures or alphas may have. */
export const MAX_SEEDS = 1000;
/** The longest that a worker process may take to open its task. */
export const MAX_START_SECONDS = 86_400;
