import { permute, reshape } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * The channels of x [rows, channels, height, width] in the order that takes one of each group in turn (Zhang et al.,
 * 2018). `torch.nn.ChannelShuffle`.
 */
export function channelShuffle(x: Tensor, groups: number): Tensor {
  const [rows, channels, height, width] = x.shape;
  const grouped = reshape(x, [rows, groups, channels / groups, height * width]);
  return reshape(permute(grouped, [0, 2, 1, 3]), [rows, channels, height, width]);
}
