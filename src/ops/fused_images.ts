import { DistilleryError } from "../errors.js";
import type { Op } from "../tensor/op.js";
import { type Conv2dAttributes, windowOf } from "./conv2d.js";
import type { BatchNormAttributes } from "./norm_call.js";

/** What follows a convolution or a BatchNorm in its last write, in this order. */
interface Epilogue {
  /** Whether an input is added. */
  readonly addend: boolean;
  readonly relu: boolean;
}

/** Inputs x, weight, bias and addend if there are any, and those of BatchNorm in eval mode, if it follows, behind its x. */
export const fusedConv2dOp: Op<Omit<Conv2dAttributes, "relu"> & Epilogue & { norm: BatchNormAttributes | null }> = {
  name: "conv2dNormAddRelu",
  forward: () => onlyInGraphs("conv2dNormAddRelu"),
  lower: ({ addend, relu, norm, bfloat16 = false, ...attributes }) => {
    const epilogue = { addend, relu, bfloat16, norm: norm !== null, ...(norm !== null && { eps: norm.eps }) };
    return { kind: "conv2d", window: windowOf(attributes), ...epilogue };
  },
};

/** Inputs x, addend if there is one, and those of BatchNorm behind its x. */
export const fusedNormOp: Op<BatchNormAttributes & Epilogue> = {
  name: "batchNormAddRelu",
  forward: () => onlyInGraphs("batchNormAddRelu"),
  lower: (attributes) => ({ kind: "batchNorm", ...attributes }),
};

function onlyInGraphs(name: string): never {
  throw new DistilleryError("INTERNAL", `${name}: is made of the nodes of a graph`);
}
