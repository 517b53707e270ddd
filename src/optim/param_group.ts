import type { Tensor } from "../tensor/tensor.js";

/** Parameters that move with the same options, which their optimizer adds to these. */
export interface ParamGroup {
  params: readonly Tensor[];
  /** The learning rate; a scheduler sets it. */
  lr: number;
  weightDecay: number;
  /** Set by schedulers: the rate that they start from, and the values between which a OneCycleLR moves. */
  initialLr?: number;
  maxLr?: number;
  minLr?: number;
  maxMomentum?: number;
  baseMomentum?: number;
}

/** What an optimizer moves: a list of parameters, or groups of them with options of their own. */
export type Params<O> = readonly Tensor[] | readonly (O & { params: Tensor | readonly Tensor[] })[];
